"""Names of members, in every way that some reader shows them, and which of them lead out of a folder."""

import re
from collections.abc import Iterable
from typing import Final

_UNSAFE: Final = re.compile(
    r"""
    ^[/\\]                      # absolute, or UNC
    | ^[A-Za-z]:                # a drive
    | (?:^|[/\\])\.\.(?:[/\\]|$)
    | :[^/\\:]+$                # an alternate data stream of NTFS
    | [\x00-\x1f]
    """,
    re.VERBOSE,
)


def decoded(raw: bytes, *, utf8: bool = False) -> tuple[str, ...]:
    """Every text that `raw` may be: UTF-8 where it is valid, and code page 437 unless it is ASCII.

    `utf8`: the archive says that it is UTF-8; then what is invalid is replaced. A name that goes on behind a NUL is
    also given as far as a C program reads it.
    """
    if raw.isascii():
        texts = [raw.decode("ascii")]
    else:
        texts = []
        try:
            texts.append(raw.decode("utf-8"))
        except UnicodeDecodeError:
            if utf8:
                texts.append(raw.decode("utf-8", "replace"))
        texts.append(raw.decode("cp437"))
    return unique(short for text in texts for short in (text, text.partition("\0")[0]))


def unique(names: Iterable[str]) -> tuple[str, ...]:
    """Names in their order, each once; empty ones go."""
    return tuple(dict.fromkeys(name for name in names if name))


def leads_out(names: Iterable[str]) -> bool:
    """Whether a program that trusts one of these names would write outside of its folder, or not to a plain file."""
    return any(_UNSAFE.search(name) for name in names)
