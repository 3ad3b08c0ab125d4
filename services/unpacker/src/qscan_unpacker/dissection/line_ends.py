"""Bare CR, which ends a line for some readers and for others does not (RFC 5322 §2.3)."""

import re
from collections.abc import Iterator

from qscan_unpacker.dissection.transfer import PIECE_BYTES

_LONE_CR = re.compile(rb"\r(?!\n)")
_CR = 0x0D


def has_lone_cr(data: memoryview) -> bool:
    """Whether there is a CR without its LF; fast where there is no CR at all."""
    return any(b"\r" in piece and _LONE_CR.search(piece) is not None for piece in _pieces(data))


def with_line_feeds(data: memoryview) -> Iterator[bytes]:
    """`data` with an LF for each lone CR, in pieces. All offsets stay the same."""
    return (_LONE_CR.sub(b"\n", piece) for piece in _pieces(data))


def _pieces(data: memoryview) -> Iterator[bytes]:
    """All bytes, in pieces none of which ends between a CR and its LF."""
    at, size = 0, len(data)
    while at < size:
        end = min(size, at + PIECE_BYTES)
        if end < size and data[end - 1] == _CR:
            end += 1
        yield bytes(data[at:end])
        at = end
