"""What is found in a text."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

WrappingKind = Literal["uuencode", "yenc", "binhex", "data_url", "base64"]

PIECE_BYTES = 256 * 1024
"""About how much is decoded at once."""
MAX_FILES_IN_TEXT = 1_000
"""Readings counted. A newsletter has some dozens of inline images."""
MAX_OPENINGS_IN_TEXT = 250_000
"""What looks like the beginning of a file of one kind, whether one follows or not. So many take a second."""
_MAX_NAME_BYTES = 1_024
"""Far above what any file system allows; the rest of an overlong name is cut off."""


class TooManyFilesError(Exception):
    """A text has more files than `MAX_FILES_IN_TEXT`, or more beginnings of some than `MAX_OPENINGS_IN_TEXT`.

    The rest of it was not looked at: that is `budget.components`.
    """


@dataclass(frozen=True)
class WrappedFile:
    """One reading of one file in a text.

    Where readers of mail differ, the same place gives several of these, one for each way to read it.

    Attributes:
        offset: where the encoded text begins in the whole, in bytes, its opening line included.
        length: bytes of the encoded text, its closing line included.
        names: every name it may have; none for most data: URLs.
        pieces: the decoded content; iterated once, before the next file is asked for. It may turn out empty.
        complete: it ends as the format says, and nothing in it is out of order: all readers see the same.
    """

    kind: WrappingKind
    offset: int
    length: int
    names: tuple[str, ...] = field(repr=False)
    pieces: Iterable[bytes] = field(repr=False)
    complete: bool


def candidate_names(*raw: bytes) -> tuple[str, ...]:
    """The names that `raw` may stand for: without the white space around them, with and without quotation marks."""
    names: list[str] = []
    for one in raw:
        name = one[:_MAX_NAME_BYTES].strip().decode("utf-8", errors="replace")
        names += [name, name.strip("\"'").strip()]
    return tuple(dict.fromkeys(name for name in names if name))
