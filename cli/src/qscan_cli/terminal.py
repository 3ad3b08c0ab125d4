"""Text on a terminal: how wide it is, how it is cut and wrapped, and its colours.

Of `rich` and `wcwidth` only this little would be used, so neither is a dependency.
"""

import os
import unicodedata
from collections.abc import Iterator
from enum import StrEnum
from typing import TextIO

_ELLIPSIS = "…"
_PLAIN = str.maketrans(
    {"├": "|", "└": "`", "│": "|", "─": "-", "→": ">", "✗": "x", "·": ".", _ELLIPSIS: "~", "⋯": "~", "�": "?"}
)


class Style(StrEnum):
    """SGR parameters of ECMA-48; only what every terminal has, on a dark and on a light ground."""

    PLAIN = ""
    DIM = "2"
    STRONG = "1"
    GOOD = "32"
    DOUBTFUL = "33"
    BAD = "1;31"


def has_colours(stream: TextIO) -> bool:
    """Whether `stream` is a terminal on which the user wants colours (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def painted(text: str, style: Style, *, colours: bool) -> str:
    """`text` in a style, which ends with it."""
    return f"\x1b[{style}m{text}\x1b[0m" if colours and style and text else text


def columns(text: str) -> int:
    """How many columns printable text takes, at most: a mark that combines counts as one, so nothing hides in it."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def cut(text: str, width: int) -> str:
    """`text` in at most `width` columns (from 1 on): of what is longer both ends: a file's extension stands at one."""
    if columns(text) <= width:
        return text
    room = width - columns(_ELLIPSIS)
    tail = _beginning(text[::-1], room // 2)[::-1]
    return _beginning(text, room - columns(tail)) + _ELLIPSIS + tail


def wrapped(text: str, width: int) -> Iterator[str]:
    """Lines of at most `width` columns (from 2 on), broken between words where that can be."""
    line = ""
    for word in text.split():
        rest = word
        if line and columns(line) + 1 + columns(rest) > width:
            yield line
            line = ""
        while columns(rest) > width:
            piece = _beginning(rest, width)
            yield piece
            rest = rest[len(piece) :]
        line = f"{line} {rest}" if line else rest
    if line:
        yield line


def for_encoding(text: str, encoding: str) -> str:
    """`text` as a terminal that knows only `encoding` can show it: lines of a drawing in ASCII, the rest as ``?``."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAIN).encode(encoding, "replace").decode(encoding)
    return text


def _beginning(text: str, width: int) -> str:
    used = 0
    for index, character in enumerate(text):
        used += columns(character)
        if used > width:
            return text[:index]
    return text
