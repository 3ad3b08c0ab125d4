"""Compressed streams, each counting what it takes and gives: the methods of zip (APPNOTE §4.4.5) and single files.

deflate64 is from inflate64 (LGPL-2.1-or-later, kept up with py7zr); Python itself has deflate, bzip2, LZMA and xz, and
gives what comes before damage, which libarchive does not; libarchive has the rest. Of zip's methods shrink, reduce and
implode died with PKZIP 1, PPMd is rare, and the media methods are for one program only.
"""

import bz2
import lzma
import zlib
from collections.abc import Callable, Generator, Iterator
from struct import unpack_from
from typing import Final

from inflate64 import Inflater

from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening.libarchive_reader import LibarchiveError, decompressed
from qscan_unpacker.opening.members import PIECE_BYTES, UnreadableError
from qscan_unpacker.opening.metering import OUT_OF_MEMORY
from qscan_unpacker.opening.signatures import Compression

Method = int | Compression
"""A method of zip by its number, or the format of a compressed file."""

STORED: Final = 0
DEFLATE: Final = 8
DEFLATE64: Final = 9
BZIP2: Final = 12
LZMA: Final = 14
ZSTD: Final = 93
XZ: Final = 95

KNOWN_METHODS: Final = frozenset({*range(1, 8), 10, 16, 18, 19, 94, 96, 97, 98})
"""Methods that APPNOTE names and nothing here undoes."""

_OLD_ZSTD: Final = 20
_INPUT_BYTES: Final = 16 * 1024
_SALVAGE_INPUT_BYTES: Final = 16
_DEFLATE64_INPUT_BYTES: Final = 256
"""inflate64 has no limit of its own: one byte gives 26 KB at most, so this much gives some 7 MB."""
_XZ_MAGIC: Final = b"\xfd7zXZ\0"
_MAX_DICTIONARY_BYTES: Final = 128 * 1024 * 1024
_LZMA_HEADER_BYTES: Final = 9


class Decoding:
    """One reading of a member's content.

    Attributes, up to date while `pieces` is iterated:
        consumed: bytes of the input that were used.
        produced: bytes that came out.
        crc: CRC-32 of them.
        complete: the stream came to its own end (or, stored, to the end of the input).
        failure: why it did not, for who reads the member; None while nothing is wrong.
    """

    def __init__(self, method: Method, content: memoryview, *, size: int = 0, crc: int = 0) -> None:
        """`content`: from the first byte of the member to the last that can belong to it.

        `size` and `crc` are the stated ones; only LZMA needs them, which need not say where it ends.
        """
        self.method = method
        self.content = content
        self.consumed = self.produced = self.crc = 0
        self.complete = False
        self.failure: UnreadableError | None = None
        self._stated = size, crc

    def pieces(self) -> Generator[bytes]:
        """The content, once. Never raises for what the bytes are: see `error`."""
        try:
            for piece in _METHODS[self.method](self, self._stated):
                if piece:
                    self.produced += len(piece)
                    self.crc = zlib.crc32(piece, self.crc)
                    yield piece
        except LibarchiveError as error:
            self.failure = error.unreadable
        except (zlib.error, lzma.LZMAError, OSError, ValueError, EOFError) as error:
            # Another program may have the memory: that is something else than bytes that nobody can read.
            too_much = isinstance(error, lzma.LZMAError) and "memory" in str(error).lower()
            self.failure = self._out_of_memory() if too_much else self._unreadable(str(error))
        except MemoryError:
            # liblzma says so of hostile headers, whatever memory there is.
            self.failure = self._out_of_memory()
        else:
            if not self.complete:
                self.failure = self._unreadable("the compressed bytes end too early")

    @property
    def error(self) -> str:
        """Why it is not complete, for people; ``""`` while nothing is wrong."""
        return self.failure.detail if self.failure else ""

    def _unreadable(self, why: str) -> UnreadableError:
        return UnreadableError(UnscannedReason.NOT_UNPACKABLE, f"method {self.method}: {why}")

    def _out_of_memory(self) -> UnreadableError:
        return UnreadableError(UnscannedReason.OVER_BUDGET, OUT_OF_MEMORY)


def is_supported(method: Method) -> bool:
    """Whether there is a decoder for the method."""
    return method in _METHODS


def drained(decoding: Decoding, max_bytes: int) -> Decoding:
    """Run a decoding for what becomes of it only, up to `max_bytes` of output."""
    for _ in decoding.pieces():
        if decoding.produced > max_bytes:
            break
    return decoding


def _stored(of: Decoding, _stated: tuple[int, int]) -> Iterator[bytes]:
    for at in range(0, len(of.content), PIECE_BYTES):
        of.consumed = min(at + PIECE_BYTES, len(of.content))
        yield bytes(of.content[at : of.consumed])
    of.complete = True


def _deflate(of: Decoding, _stated: tuple[int, int]) -> Iterator[bytes]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    for at in range(0, len(of.content), _INPUT_BYTES):
        pending: memoryview | bytes = of.content[at : at + _INPUT_BYTES]
        end = at + len(pending)
        while True:
            before = inflater.copy()
            try:
                piece = inflater.decompress(pending, PIECE_BYTES)
            except zlib.error:
                yield from _salvaged(before, pending)
                raise
            # At the end of the stream the tail may still hold what is already in unused_data.
            of.consumed = end - len(inflater.unused_data if inflater.eof else inflater.unconsumed_tail)
            yield piece
            if inflater.eof:
                of.complete = True
                return
            pending = inflater.unconsumed_tail
            if not pending and len(piece) < PIECE_BYTES:
                break


def _salvaged(inflater: "zlib._Decompress", pending: memoryview | bytes) -> Iterator[bytes]:
    """What comes out before the damage: zlib's own answer to an error is nothing at all."""
    for at in range(0, len(pending), _SALVAGE_INPUT_BYTES):
        try:
            yield inflater.decompress(pending[at : at + _SALVAGE_INPUT_BYTES])
        except zlib.error:
            return


def _deflate64(of: Decoding, _stated: tuple[int, int]) -> Iterator[bytes]:
    inflater = Inflater()
    for at in range(0, len(of.content), _DEFLATE64_INPUT_BYTES):
        piece: bytes = inflater.inflate(bytes(of.content[at : at + _DEFLATE64_INPUT_BYTES]))
        yield piece
        if inflater.eof:
            # It does not say how much of the last input it used. The first of it is what is surely used.
            of.consumed = at + 1
            of.complete = True
            return
        of.consumed = at + _DEFLATE64_INPUT_BYTES


def _bzip2(of: Decoding, _stated: tuple[int, int]) -> Iterator[bytes]:
    at = 0
    while not of.complete:
        decompressor = bz2.BZ2Decompressor()
        yield from _limited(decompressor, of, at)
        at = of.consumed
        of.complete = decompressor.eof and bytes(of.content[at : at + 3]) != b"BZh"
        if not decompressor.eof:
            return


def _lzma(of: Decoding, stated: tuple[int, int]) -> Iterator[bytes]:
    """LZMA with the short header of zip (APPNOTE §5.8): version, size of the properties, properties."""
    if len(of.content) < _LZMA_HEADER_BYTES or unpack_from("<H", of.content, 2)[0] != 5:  # noqa: PLR2004
        raise ValueError("no LZMA properties")
    properties, dictionary = unpack_from("<BI", of.content, 4)
    literals, rest = properties % 9, properties // 9
    decompressor = lzma.LZMADecompressor(
        lzma.FORMAT_RAW,
        filters=[
            {
                "id": lzma.FILTER_LZMA1,
                "lc": literals,
                "lp": rest % 5,
                "pb": rest // 5,
                "dict_size": min(max(dictionary, 4096), _MAX_DICTIONARY_BYTES),
            }
        ],
    )
    size, crc = stated
    try:
        for piece in _limited(decompressor, of, _LZMA_HEADER_BYTES):
            past = of.produced + len(piece) - size
            # Without an end mark the size alone tells the end. It is believed where the checksum agrees.
            if size and past >= 0 and zlib.crc32(piece[: len(piece) - past], of.crc) == crc:
                yield piece[: len(piece) - past]
                of.complete = True
                return
            yield piece
    except lzma.LZMAError as error:
        if dictionary > _MAX_DICTIONARY_BYTES:
            raise MemoryError("LZMA with a dictionary that is too large") from error
        if not size or of.produced < size:
            raise
    of.complete = decompressor.eof or of.produced >= size > 0


def _xz(of: Decoding, _stated: tuple[int, int]) -> Iterator[bytes]:
    decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MAX_DICTIONARY_BYTES)
    yield from _limited(decompressor, of, 0)
    of.complete = decompressor.eof


def _xz_streams(of: Decoding, _stated: tuple[int, int]) -> Iterator[bytes]:
    """Streams one behind the other with padding between them (xz format §2.2)."""
    at = 0
    while not of.complete:
        decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MAX_DICTIONARY_BYTES)
        yield from _limited(decompressor, of, at)
        if not decompressor.eof:
            return
        at = of.consumed
        while not any(padding := bytes(of.content[at : at + 4])) and padding:
            at += len(padding)
        of.complete = bytes(of.content[at : at + 6]) != _XZ_MAGIC


def _lzma_alone(of: Decoding, _stated: tuple[int, int]) -> Iterator[bytes]:
    decompressor = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_MAX_DICTIONARY_BYTES)
    yield from _limited(decompressor, of, 0)
    of.complete = decompressor.eof


def _limited(decompressor: bz2.BZ2Decompressor | lzma.LZMADecompressor, of: Decoding, at: int) -> Iterator[bytes]:
    """Everything of one stream that begins at `at`, never more than a piece at once."""
    while not decompressor.eof:
        pending = b""
        if decompressor.needs_input:
            pending = bytes(of.content[at : at + _INPUT_BYTES])
            if not pending:
                return
            at += len(pending)
        yield decompressor.decompress(pending, PIECE_BYTES)
        of.consumed = at - len(decompressor.unused_data)


def _by_libarchive(compression: Compression) -> Callable[[Decoding, tuple[int, int]], Iterator[bytes]]:
    def decode(of: Decoding, _stated: tuple[int, int]) -> Iterator[bytes]:
        of.consumed = len(of.content)
        yield from decompressed(of.content, compression)
        of.complete = True

    return decode


_METHODS: Final[dict[Method, Callable[[Decoding, tuple[int, int]], Iterator[bytes]]]] = {
    STORED: _stored,
    DEFLATE: _deflate,
    DEFLATE64: _deflate64,
    BZIP2: _bzip2,
    LZMA: _lzma,
    XZ: _xz,
    ZSTD: _by_libarchive(Compression.ZSTD),
    _OLD_ZSTD: _by_libarchive(Compression.ZSTD),
    Compression.BZIP2: _bzip2,
    Compression.XZ: _xz_streams,
    Compression.LZMA: _lzma_alone,
    Compression.LZIP: _by_libarchive(Compression.LZIP),
    Compression.ZSTD: _by_libarchive(Compression.ZSTD),
    Compression.LZ4: _by_libarchive(Compression.LZ4),
    Compression.COMPRESS: _by_libarchive(Compression.COMPRESS),
}
