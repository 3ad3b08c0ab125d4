"""Inflating in pieces, up to the damage where there is any."""

import zlib
from collections.abc import Iterable, Iterator
from typing import Final

from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening.members import PIECE_BYTES, UnreadableError

_INPUT_BYTES: Final = 64 * 1024
_SALVAGE_BYTES: Final = 64


def inflated(pieces: Iterable[bytes], inflater: "zlib._Decompress", what: str) -> Iterator[bytes]:
    """Yield what comes out. Whether the stream came to its end, `inflater.eof` says behind it.

    Args:
        pieces: of the stream, of any size.
        inflater: fresh, for the head that the stream has.
        what: the stream, for the error's detail.

    Raises:
        UnreadableError: `not_unpackable`, behind what came out before the damage.
    """
    for piece in pieces:
        for start in range(0, len(piece), _INPUT_BYTES):
            waiting = piece[start : start + _INPUT_BYTES]
            while waiting and not inflater.eof:
                before = inflater.copy()
                try:
                    out = inflater.decompress(waiting, PIECE_BYTES)
                except zlib.error as error:
                    yield from _salvaged(before, waiting)
                    raise UnreadableError(UnscannedReason.NOT_UNPACKABLE, f"{what}: {error}") from None
                yield out
                waiting = inflater.unconsumed_tail


def _salvaged(inflater: "zlib._Decompress", waiting: bytes) -> Iterator[bytes]:
    """Yield what comes out before the damage: in the piece in which it is, zlib gives nothing."""
    for start in range(0, len(waiting), _SALVAGE_BYTES):
        before = inflater.copy()
        try:
            yield inflater.decompress(waiting[start : start + _SALVAGE_BYTES])
        except zlib.error:
            for at in range(start, start + _SALVAGE_BYTES):
                try:
                    yield before.decompress(waiting[at : at + 1])
                except zlib.error:
                    return
