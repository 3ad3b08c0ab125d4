"""The compressed RTF bodies of Outlook (MS-OXRTFCP), as in TNEF and .msg.

A reader of our own: the one on PyPI (compressed-rtf 1.0.7) gives nothing for a wrong checksum and goes byte by byte.
"""

import struct
from collections.abc import Iterator
from typing import Final

from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening.members import PIECE_BYTES, UnreadableError

_HEADER: Final = struct.Struct("<IIII")
_COMPRESSED: Final = 0x75465A4C
_UNCOMPRESSED: Final = 0x414C454D
_WINDOW_BYTES: Final = 4096
_INITIAL: Final = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans Serif"
    rb"SymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0%b\par \pard\plain\f0\fs20\b\i\u\tab\tx"
) % b"\r\n"
"""What the window holds before the first byte (MS-OXRTFCP 2.1.2.1)."""


def decompress(data: memoryview) -> Iterator[bytes]:
    """Yield the RTF. Checksum and sizes are not looked at: readers differ in whether they do.

    Raises:
        UnreadableError: `not_unpackable`: neither compressed nor stored.
    """
    if len(data) < _HEADER.size:
        raise UnreadableError(UnscannedReason.NOT_UNPACKABLE, "compressed RTF shorter than its header")
    _, _, method, _ = _HEADER.unpack_from(data)
    content = data[_HEADER.size :]
    if method == _UNCOMPRESSED:
        yield bytes(content)
    elif method == _COMPRESSED:
        yield from _lzfu(bytes(content))
    else:
        raise UnreadableError(UnscannedReason.NOT_UNPACKABLE, f"RTF compressed by method {method:#x}")


def _lzfu(content: bytes) -> Iterator[bytes]:
    """Decompress. `out` begins with the window, so a reference is a distance back into it."""
    out = bytearray(_INITIAL.rjust(_WINDOW_BYTES))
    shift = len(_INITIAL)  # the place in the window that is written to next, less the bytes in `out` behind it
    at, end = 0, len(content)
    while at < end:
        control = content[at]
        at += 1
        for bit in range(8):
            if not control >> bit & 1:
                out += content[at : at + 1]
                at += 1
                continue
            token = int.from_bytes(content[at : at + 2], "big")
            at += 2
            position = (len(out) - _WINDOW_BYTES + shift) % _WINDOW_BYTES
            distance = (position - (token >> 4)) % _WINDOW_BYTES
            if distance == 0 or at > end:
                yield bytes(out[_WINDOW_BYTES:])
                return
            length = (token & 15) + 2
            source = out[-distance : len(out) - distance + length]
            out += (source * (length // len(source) + 1))[:length]
        if len(out) >= _WINDOW_BYTES + PIECE_BYTES:
            yield bytes(out[_WINDOW_BYTES:])
            shift = (shift + len(out) - _WINDOW_BYTES) % _WINDOW_BYTES
            del out[:-_WINDOW_BYTES]
    yield bytes(out[_WINDOW_BYTES:])
