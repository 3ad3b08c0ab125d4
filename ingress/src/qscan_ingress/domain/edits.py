"""The answer's edits: which bytes of the raw message are replaced by what (DESIGN §4)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from qscan_contracts.intake import Edit


class BadEditsError(Exception):
    """The edits cannot be applied. The text says why and is for the log."""


@dataclass(frozen=True)
class Keep:
    """Bytes of the raw message, from `offset` on, that stay."""

    offset: int
    size: int


@dataclass(frozen=True)
class Insert:
    """Bytes that the raw message did not have."""

    content: bytes


@dataclass(frozen=True)
class EditedMessage:
    """How the message to deliver is put together from the raw one; `size` is its size in bytes."""

    pieces: tuple[Keep | Insert, ...]
    size: int


def plan(edits: Sequence[Edit], raw_size: int) -> EditedMessage:
    """Put the edits in the order of writing. Without edits it is the raw message in one piece.

    Raises:
        BadEditsError: they are not ascending, overlap, or reach beyond the message.
    """
    for edit in edits:
        if edit.offset < 0 or edit.delete < 0 or edit.offset + edit.delete > raw_size:
            raise BadEditsError("an edit reaches beyond the message")
    for earlier, later in pairwise(edits):
        if later.offset < earlier.offset + earlier.delete:
            raise BadEditsError("the edits overlap or are not in ascending order")
    pieces = tuple(_pieces(edits, raw_size))
    deleted = sum(edit.delete for edit in edits)
    inserted = sum(len(edit.insert) for edit in edits)
    return EditedMessage(pieces, raw_size - deleted + inserted)


def _pieces(edits: Sequence[Edit], raw_size: int) -> Iterator[Keep | Insert]:
    position = 0
    for edit in edits:
        if edit.offset > position:
            yield Keep(position, edit.offset - position)
        if edit.insert:
            yield Insert(edit.insert)
        position = edit.offset + edit.delete
    if raw_size > position:
        yield Keep(position, raw_size - position)


def apply(edited: EditedMessage, raw: bytes) -> bytes:
    """The message to deliver, for a raw message that is in memory."""
    view = memoryview(raw)
    return b"".join(
        view[piece.offset : piece.offset + piece.size] if isinstance(piece, Keep) else piece.content
        for piece in edited.pieces
    )
