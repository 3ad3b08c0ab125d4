"""BinHex 4.0 in a text (RFC 1741, appendix A).

Checksums are not compared: no reader of mail refuses a file for them. What is behind the stated lengths is given as
well, since MIME-tools takes everything up to the closing colon for the file.
"""

import binascii
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from qscan_unpacker.dissection.wrapped.wrapped_file import PIECE_BYTES, WrappedFile, candidate_names

_SENTENCE = b"This file must be converted"
_OPENING = re.compile(rb"[\r\n][ \t]*:")
_DIGITS = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
_BARE = re.compile(rb"\s{0,64}:[" + re.escape(_DIGITS) + rb"]{30}")
"""How a file begins that stands alone, without the sentence, as some parts of type application/mac-binhex40."""
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_TO_BASE64 = bytes.maketrans(_DIGITS, _BASE64)
_NOT_DIGITS = bytes(set(range(256)) - set(_DIGITS))
_COLON = b":"
_MARK = b"\x90"
_RUN = re.compile(rb"\x90(.)", re.DOTALL)
_AFTER_NAME_BYTES = 21
"""Version (1), type (4), creator (4), flags (2), lengths of the forks (4 each), checksum (2)."""
_CHECKSUM_BYTES = 2
_MAX_MAC_NAME = 63
_WITHOUT_END = 1 << 63


def find(text: bytes) -> Iterator[WrappedFile]:
    """The forks of the files of a text, in order."""
    after = 0
    if _BARE.match(text) is not None:
        colon = text.index(_COLON)
        opened = _open(text, 0, colon + 1)
        if opened is not None and opened.is_plausible:
            yield from opened.forks()
            after = opened.offset + opened.length
    while (sentence := text.find(_SENTENCE, after)) >= 0:
        opening = _OPENING.search(text, sentence)
        if opening is None:
            return
        opened = _open(text, sentence, opening.end())
        if opened is not None:
            yield from opened.forks()
        after = opening.end() if opened is None else opened.offset + opened.length


@dataclass(frozen=True)
class _Opened:
    """A file whose header was read. `at`: where the data fork begins in `decoded`."""

    offset: int
    length: int
    closed: bool
    name: bytes
    version: int
    fork_bytes: tuple[int, int]
    at: int
    decoded: "_Forward"

    @property
    def is_plausible(self) -> bool:
        """Whether the header looks like one that a Macintosh wrote."""
        return 0 < len(self.name) <= _MAX_MAC_NAME and self.version == 0 and b"\0" not in self.name

    def forks(self) -> Iterator[WrappedFile]:
        """The data fork, the resource fork, and what is behind them."""
        at = self.at
        for size in self.fork_bytes:
            if size:
                yield self._fork(self.decoded.range(at, at + size), complete=self.closed)
            at += size + _CHECKSUM_BYTES
        rest = self.decoded.range(at, _WITHOUT_END)
        first = next(rest, b"")
        if first:
            yield self._fork(itertools.chain([first], rest), complete=False)

    def _fork(self, pieces: Iterator[bytes], *, complete: bool) -> WrappedFile:
        return WrappedFile("binhex", self.offset, self.length, candidate_names(self.name), pieces, complete=complete)


def _open(text: bytes, offset: int, start: int) -> _Opened | None:
    """The file that begins at `offset` and whose first digit is at `start`; None where there is no whole header."""
    closing = text.find(_COLON, start)
    stop = len(text) if closing < 0 else closing
    decoded = _Forward(_expanded(_packed(text, start, stop)))
    name_bytes = int.from_bytes(decoded.read(0, 1), "big")
    at = 1 + name_bytes + _AFTER_NAME_BYTES
    head = decoded.read(1, at)
    if len(head) < at - 1:
        return None
    fixed = head[name_bytes:]
    forks = int.from_bytes(fixed[11:15], "big"), int.from_bytes(fixed[15:19], "big")
    length = stop + (closing >= 0) - offset
    return _Opened(offset, length, closing >= 0, head[:name_bytes], fixed[0], forks, at, decoded)


class _Forward:
    """Reads ranges of a stream, each behind the one before."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._piece, self._offset = pieces, b"", 0

    def read(self, start: int, stop: int) -> bytes:
        """The bytes between two offsets, fewer at the end."""
        return b"".join(self.range(start, stop))

    def range(self, start: int, stop: int) -> Iterator[bytes]:
        """The same in pieces; what was not asked for in front of it is passed over."""
        while start < stop:
            piece = self._piece[max(0, start - self._offset) : stop - self._offset]
            if piece:
                start += len(piece)
                yield piece
                continue
            self._offset += len(self._piece)
            following = next(self._pieces, None)
            self._piece = following or b""
            if following is None:
                return


def _packed(text: bytes, start: int, stop: int) -> Iterator[bytes]:
    """Six bits a digit; what is no digit is passed over."""
    carry = b""
    for at in range(start, stop, PIECE_BYTES):
        digits = carry + text[at : min(at + PIECE_BYTES, stop)].translate(_TO_BASE64, _NOT_DIGITS)
        whole = len(digits) - len(digits) % 4
        yield binascii.a2b_base64(digits[:whole])
        carry = digits[whole:]
    if len(carry) > 1:
        yield binascii.a2b_base64(carry + b"=" * (4 - len(carry)))


def _expanded(packed: Iterator[bytes]) -> Iterator[bytes]:
    """Runs written out: a byte, the mark and a count stand for that byte so many times; mark and zero for the mark."""
    carry, last = b"", b"\0"
    for piece in packed:
        literal, *runs = _RUN.split(carry + piece)
        out = bytearray(last + literal)
        for count, following in zip(runs[::2], runs[1::2], strict=True):
            out += out[-1:] * (count[0] - 1) if count[0] else _MARK
            out += following
            if len(out) > PIECE_BYTES:
                yield bytes(out[1:])
                del out[:-1]
        # A mark at the very end has its count in the next piece.
        carry = _MARK if (runs[-1] if runs else literal).endswith(_MARK) else b""
        if carry:
            del out[-1:]
        yield bytes(out[1:])
        last = bytes(out[-1:])
