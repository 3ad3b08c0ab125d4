"""The head of a 7z: enough of it to take the encryption out, so that libarchive reads the rest (7zFormat.txt).

Only what says how streams are packed is understood; names and the division into files are carried over as they stand.
Everything raises `ValueError` or `IndexError` for what it does not understand.
"""

import lzma
from collections.abc import Sequence
from dataclasses import dataclass, replace
from struct import pack, unpack_from
from typing import Final
from zlib import crc32

from qscan_unpacker.opening.signatures import SEVEN_ZIP_MAGIC

START_BYTES: Final = 32
MAX_HEADER_BYTES: Final = 16 * 1024 * 1024
MAX_FOLDERS: Final = 100_000
MAX_CODERS: Final = 8

COPY: Final = b"\0"
AES: Final = b"\x06\xf1\x07\x01"
LZMA1: Final = b"\x03\x01\x01"
LZMA2: Final = b"\x21"

_END, _HEADER, _PROPERTIES, _STREAMS, _PACKED, _UNPACKED = 0, 1, 2, 4, 6, 7
_SIZES, _CHECKSUMS, _FOLDERS, _UNPACKED_SIZES, _ENCODED_HEADER = 0x09, 0x0A, 0x0B, 0x0C, 0x17


@dataclass(frozen=True)
class Coder:
    """One step of unpacking: what it is, and how many streams go in and come out."""

    method: bytes
    inputs: int
    outputs: int
    properties: bytes


@dataclass(frozen=True)
class Folder:
    """Streams that are unpacked together.

    Attributes:
        bound: (input, output) pairs that are joined, numbered over all coders.
        packed: the inputs that come from the archive, in the order of its packed streams.
        sizes: of what comes out of each output, in bytes.
    """

    coders: tuple[Coder, ...]
    bound: tuple[tuple[int, int], ...]
    packed: tuple[int, ...]
    sizes: tuple[int, ...] = ()

    @property
    def encrypted(self) -> int | None:
        """The coder that decrypts; None where there is none."""
        return next((index for index, coder in enumerate(self.coders) if coder.method == AES), None)


@dataclass(frozen=True)
class Streams:
    """How everything is packed. `rest`: what follows in the header, as it stands; `checksums`: of the folders."""

    packed_at: int
    packed_sizes: tuple[int, ...]
    folders: tuple[Folder, ...]
    checksums: bytes
    rest: bytes


class Reader:
    """Reads the numbers of a header one behind the other."""

    def __init__(self, header: bytes) -> None:
        self._header = header
        self.at = 0

    def byte(self) -> int:
        """One byte. IndexError at the end."""
        self.at += 1
        return self._header[self.at - 1]

    def take(self, size: int) -> bytes:
        """That many bytes. ValueError where there are fewer."""
        if size > len(self._header) - self.at:
            raise ValueError("the header is too short")
        self.at += size
        return self._header[self.at - size : self.at]

    def number(self) -> int:
        """A number whose first byte says by its leading ones how many follow."""
        first = self.byte()
        value = 0
        for index in range(8):
            if not first & (0x80 >> index):
                return value | (first & (0x7F >> index)) << (8 * index)
            value |= self.byte() << (8 * index)
        return value

    def numbers(self, count: int) -> tuple[int, ...]:
        """Several."""
        return tuple(self.number() for _ in range(count))

    def expect(self, kind: int) -> None:
        """ValueError for any other byte."""
        found = self.byte()
        if found != kind:
            raise ValueError(f"{found} in the header where {kind} belongs")

    def rest(self) -> bytes:
        """Everything behind."""
        return self._header[self.at :]


def header_of(content: memoryview) -> bytes:
    """The header that the start of the archive leads to."""
    if len(content) < START_BYTES:
        raise ValueError("the archive is too short")
    offset, size, _ = unpack_from("<QQI", content, 12)
    start = START_BYTES + offset
    if size > MAX_HEADER_BYTES or start + size > len(content):
        raise ValueError("the header is not where the archive says")
    return bytes(content[start : start + size])


def encoded_streams(header: bytes) -> Streams | None:
    """How a header is packed that is itself packed or encrypted; None for one that is neither."""
    return _streams(Reader(header[1:])) if header[:1] == bytes((_ENCODED_HEADER,)) else None


def main_streams(header: bytes) -> Streams:
    """How the members are packed."""
    reader = Reader(header)
    reader.expect(_HEADER)
    kind = reader.byte()
    if kind == _PROPERTIES:
        while reader.byte() != _END:
            reader.take(reader.number())
        kind = reader.byte()
    if kind != _STREAMS:
        raise ValueError("no streams")
    return _streams(reader)


def packed_stream(content: memoryview, streams: Streams, index: int) -> memoryview:
    """The bytes of one packed stream."""
    start = START_BYTES + streams.packed_at + sum(streams.packed_sizes[:index])
    return content[start : start + streams.packed_sizes[index]]


def unpacked(data: bytes, folder: Folder) -> bytes:
    """What a folder of one coder holds, as headers are: copied or under LZMA."""
    (coder,) = folder.coders
    size = folder.sizes[0]
    if size > MAX_HEADER_BYTES:
        raise ValueError("the header is too long")
    if coder.method == COPY:
        return data[:size]
    if coder.method == LZMA1:
        if len(coder.properties) < 5:  # noqa: PLR2004 - one byte of properties, four of the dictionary's size
            raise ValueError("the properties of LZMA are missing")
        first, dictionary = unpack_from("<BI", coder.properties)
        options = {"id": lzma.FILTER_LZMA1, "lc": first % 9, "lp": first // 9 % 5, "pb": first // 45}
        filters = [{**options, "dict_size": min(max(dictionary, 4096), MAX_HEADER_BYTES)}]
    elif coder.method == LZMA2:
        filters = [{"id": lzma.FILTER_LZMA2, "dict_size": MAX_HEADER_BYTES}]
    else:
        raise ValueError("the header is packed in an unusual way")
    try:
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters).decompress(data, size)
    except lzma.LZMAError as error:
        raise ValueError(str(error)) from error


def without_encryption(folder: Folder) -> Folder:
    """The same folder for packed streams that are decrypted already."""
    index = folder.encrypted
    if index is None:
        return folder
    if len(folder.coders) == 1:
        return replace(folder, coders=(Coder(COPY, 1, 1, b""),))
    gone_in = sum(coder.inputs for coder in folder.coders[:index])
    gone_out = sum(coder.outputs for coder in folder.coders[:index])
    (heir,) = (bound_in for bound_in, bound_out in folder.bound if bound_out == gone_out)

    def moved(number: int, gone: int) -> int:
        return number - (number > gone)

    return Folder(
        folder.coders[:index] + folder.coders[index + 1 :],
        tuple((moved(i, gone_in), moved(o, gone_out)) for i, o in folder.bound if o != gone_out),
        tuple(moved(heir if number == gone_in else number, gone_in) for number in folder.packed),
        folder.sizes[:gone_out] + folder.sizes[gone_out + 1 :],
    )


def archive_of(packed: Sequence[bytes | memoryview], folders: Sequence[Folder], streams: Streams) -> bytes:
    """A 7z of these packed streams and folders, with everything else as `streams` has it."""
    header = b"".join(
        (
            bytes((_HEADER, _STREAMS, _PACKED)) + _numbers(0, len(packed)),
            bytes((_SIZES,)) + _numbers(*map(len, packed)) + bytes((_END,)),
            bytes((_UNPACKED, _FOLDERS)) + _numbers(len(folders)) + bytes((0,)),
            *map(_folder_bytes, folders),
            bytes((_UNPACKED_SIZES,)) + _numbers(*(size for folder in folders for size in folder.sizes)),
            streams.checksums + bytes((_END,)),
            streams.rest,
        )
    )
    body = b"".join(packed)
    start = pack("<QQI", len(body), len(header), crc32(header))
    return b"".join((SEVEN_ZIP_MAGIC, b"\0\4", pack("<I", crc32(start)), start, body, header))


def _streams(reader: Reader) -> Streams:
    reader.expect(_PACKED)
    packed_at, count = reader.numbers(2)
    _within(count, MAX_FOLDERS)
    reader.expect(_SIZES)
    sizes = reader.numbers(count)
    kind = reader.byte()
    if kind == _CHECKSUMS:
        _checksums(reader, count)
        kind = reader.byte()
    if kind != _END:
        raise ValueError("packed streams do not end")
    reader.expect(_UNPACKED)
    reader.expect(_FOLDERS)
    count = _within(reader.number(), MAX_FOLDERS)
    reader.expect(0)
    folders = [_folder(reader) for _ in range(count)]
    reader.expect(_UNPACKED_SIZES)
    sized = [replace(folder, sizes=reader.numbers(sum(coder.outputs for coder in folder.coders))) for folder in folders]
    kind = reader.byte()
    checksums = b""
    if kind == _CHECKSUMS:
        checksums = bytes((_CHECKSUMS,)) + _checksums(reader, count)
        kind = reader.byte()
    if kind != _END:
        raise ValueError("folders do not end")
    if sum(len(folder.packed) for folder in folders) != len(sizes):
        raise ValueError("folders and packed streams do not fit")
    return Streams(packed_at, sizes, tuple(sized), checksums, reader.rest())


def _folder(reader: Reader) -> Folder:
    coders = []
    for _ in range(_within(reader.number(), MAX_CODERS)):
        flags = reader.byte()
        method = reader.take(flags & 0x0F)
        inputs, outputs = reader.numbers(2) if flags & 0x10 else (1, 1)
        properties = reader.take(reader.number()) if flags & 0x20 else b""
        coders.append(Coder(method, _within(inputs, MAX_CODERS), _within(outputs, MAX_CODERS), properties))
    inputs = sum(coder.inputs for coder in coders)
    outputs = sum(coder.outputs for coder in coders)
    bound = []
    for _ in range(outputs - 1):
        pair = reader.numbers(2)
        bound.append((pair[0], pair[1]))
    count = inputs - len(bound)
    joined = {bound_in for bound_in, _ in bound}
    packed = reader.numbers(count) if count > 1 else tuple(number for number in range(inputs) if number not in joined)
    return Folder(tuple(coders), tuple(bound), packed)


def _checksums(reader: Reader, count: int) -> bytes:
    """Checksums of some or all of `count` things, as they stand."""
    start = reader.at
    defined = count
    if not reader.byte():
        defined = int.from_bytes(reader.take(-(-count // 8)), "big").bit_count()
    reader.take(4 * defined)
    end = reader.at
    reader.at = start
    return reader.take(end - start)


def _folder_bytes(folder: Folder) -> bytes:
    parts = [_numbers(len(folder.coders))]
    for coder in folder.coders:
        is_simple = coder.inputs == coder.outputs == 1
        flags = len(coder.method) | (0 if is_simple else 0x10) | (0x20 if coder.properties else 0)
        parts.append(bytes((flags,)) + coder.method)
        parts.append(b"" if is_simple else _numbers(coder.inputs, coder.outputs))
        parts.append(_numbers(len(coder.properties)) + coder.properties if coder.properties else b"")
    parts += [_numbers(*pair) for pair in folder.bound]
    parts.append(_numbers(*folder.packed) if len(folder.packed) > 1 else b"")
    return b"".join(parts)


def _numbers(*numbers: int) -> bytes:
    """Numbers in their longest form, which is one too."""
    return b"".join(bytes((number,)) if number < 0x80 else b"\xff" + pack("<Q", number) for number in numbers)  # noqa: PLR2004


def _within(number: int, limit: int) -> int:
    if number > limit:
        raise ValueError(f"{number} in the header, which is too many")
    return number
