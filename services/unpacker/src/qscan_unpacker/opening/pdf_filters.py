"""The filters of PDF streams (ISO 32000-2 §7.4) that embedded files have, a piece at a time.

Not those of the PDF library: it gives all of a stream at once or, where the stream is broken, nothing.
"""

import itertools
import re
import zlib
from base64 import a85decode
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening.inflating import inflated
from qscan_unpacker.opening.members import PIECE_BYTES, UnreadableError

MAX_FILTERS: Final = 8
"""Of one stream. Two are in use; each costs a pass."""

_NO_DIGITS: Final = bytes(set(range(256)) - set(b"0123456789abcdefABCDEF"))
_NO_85: Final = bytes(set(range(256)) - set(range(ord("!"), ord("u") + 1)) - {ord("z")})
_FEED_BYTES: Final = 64 * 1024
_CLEAR, _END = 256, 257
_FIRST_CODE: Final = 258
_MAX_CODES: Final = 4096
_FIRST_WIDTH, _LAST_WIDTH = 9, 12
_END_OF_RUNS: Final = 128


def decoded(content: bytes, filters: Iterable[str]) -> Iterator[bytes]:
    """Yield what a stream holds.

    Args:
        content: what is in the file, decrypted.
        filters: their names, with the slash, in the order in which they are to be undone.

    Raises:
        UnreadableError: `not_unpackable`, behind what could be decoded: a broken stream or a filter that no embedded
            file has.
    """
    names = [name for name in filters if name != "/Crypt"]  # The identity: the library has decrypted already.
    if len(names) > MAX_FILTERS:
        raise UnreadableError(UnscannedReason.OVER_BUDGET, f"PDF stream with over {MAX_FILTERS} filters")
    pieces: Iterator[bytes] = (content[at : at + _FEED_BYTES] for at in range(0, len(content), _FEED_BYTES))
    for name in names:
        if name not in _FILTERS:
            raise UnreadableError(UnscannedReason.NOT_UNPACKABLE, "PDF stream with a filter that is not for files")
        pieces = _FILTERS[name](pieces)
    return pieces


def _flate(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Inflate. A stream without the head of zlib is taken for bare deflate, as lenient readers do."""
    first = next(pieces, b"")
    inflater = zlib.decompressobj(zlib.MAX_WBITS if _has_zlib_head(first) else -zlib.MAX_WBITS)
    yield from inflated(itertools.chain((first,), pieces), inflater, "PDF stream")


def _has_zlib_head(piece: bytes) -> bool:
    return len(piece) > 1 and piece[0] & 15 == zlib.DEFLATED and int.from_bytes(piece[:2], "big") % 31 == 0


def _hex(pieces: Iterator[bytes]) -> Iterator[bytes]:
    digits = b""
    for piece in pieces:
        content, end, _ = piece.partition(b">")
        digits += content.translate(None, _NO_DIGITS)
        whole = len(digits) & ~1
        yield bytes.fromhex(digits[:whole].decode("ascii"))
        digits = digits[whole:]
        if end:
            break
    yield bytes.fromhex((digits + b"0").decode("ascii")) if digits else b""


def _ascii85(pieces: Iterator[bytes]) -> Iterator[bytes]:
    # At once: a group may begin anywhere, and what comes out is at most four times what goes in.
    digits = b"".join(pieces).partition(b"~")[0].translate(None, _NO_85)
    try:
        yield a85decode(digits)
    except ValueError as error:
        raise UnreadableError(UnscannedReason.NOT_UNPACKABLE, f"PDF stream: {error}") from None


def _run_length(pieces: Iterator[bytes]) -> Iterator[bytes]:
    content = b"".join(pieces)
    out = bytearray()
    at = 0
    while at + 1 < len(content) and content[at] != _END_OF_RUNS:
        length = content[at]
        if length < _END_OF_RUNS:
            out += content[at + 1 : at + 2 + length]
            at += 2 + length
        else:
            out += content[at + 1 : at + 2] * (257 - length)
            at += 2
        if len(out) >= PIECE_BYTES:
            yield bytes(out)
            out.clear()
    yield bytes(out)


def _lzw(pieces: Iterator[bytes]) -> Iterator[bytes]:
    out = bytearray()
    entries = _Lzw(b"".join(pieces)).entries()
    try:
        for entry in entries:
            out += entry
            if len(out) >= PIECE_BYTES:
                yield bytes(out)
                out.clear()
    except UnreadableError:
        yield bytes(out)
        raise
    yield bytes(out)


class _Lzw:
    """Undoes LZW, with codes that grow one code early: the default of PDF. What comes behind a broken code is lost."""

    def __init__(self, content: bytes) -> None:
        self._content = iter(content)
        self._buffer = self._held = 0
        self._width = _FIRST_WIDTH
        self._table: list[bytes] = []

    def entries(self) -> Iterator[bytes]:
        previous = b""
        while (code := self._code()) != _END:
            if code == _CLEAR:
                self._table, self._width, previous = [], _FIRST_WIDTH, b""
                continue
            entry = self._entry(code, previous)
            if not entry:
                raise UnreadableError(UnscannedReason.NOT_UNPACKABLE, "PDF stream: broken LZW")
            yield entry
            if previous:
                self._learn(previous + entry[:1])
            previous = entry

    def _code(self) -> int:
        """Return the next code; at the content's end, the one that says so."""
        while self._held < self._width:
            octet = next(self._content, None)
            if octet is None:
                return _END
            self._buffer = (self._buffer & 0xFFFF) << 8 | octet
            self._held += 8
        self._held -= self._width
        return self._buffer >> self._held & (1 << self._width) - 1

    def _entry(self, code: int, previous: bytes) -> bytes:
        if code < _CLEAR:
            return bytes([code])
        place = code - _FIRST_CODE
        if place < len(self._table):
            return self._table[place]
        return previous + previous[:1] if place == len(self._table) else b""

    def _learn(self, entry: bytes) -> None:
        known = _FIRST_CODE + len(self._table)
        if known < _MAX_CODES:
            self._table.append(entry)
            if known + 2 >= 1 << self._width and self._width < _LAST_WIDTH:
                self._width += 1


_Filter = Callable[[Iterator[bytes]], Iterator[bytes]]
_FILTERS: Final[dict[str, _Filter]] = {
    "/FlateDecode": _flate,
    "/Fl": _flate,
    "/ASCIIHexDecode": _hex,
    "/AHx": _hex,
    "/ASCII85Decode": _ascii85,
    "/A85": _ascii85,
    "/RunLengthDecode": _run_length,
    "/RL": _run_length,
    "/LZWDecode": _lzw,
    "/LZW": _lzw,
}

_NAME: Final = re.compile(rb"/[A-Za-z0-9]+")


def named_in(dictionary: bytes) -> list[str]:
    """Return the filters that a stream's dictionary names, where there is no parser for it."""
    at = dictionary.find(b"/Filter")
    if at < 0:
        return []
    value = dictionary[at + len(b"/Filter") :].lstrip()
    if value[:1] == b"[":
        return [name.decode("ascii") for name in _NAME.findall(value.partition(b"]")[0])]
    first = _NAME.match(value)
    return [first[0].decode("ascii")] if first else []
