"""The headers of rar 4 and rar 5, read beside libarchive for what it does not tell.

libarchive unpacks, but it takes what rar 5 has encrypted for content, passes over the streams of NTFS that rar keeps
(CVE-2025-8088 hides programs there), and stops at the first member that it cannot do. Decrypting is out of reach: only
the author's own unrar does it, whose licence is not free. From the technical notes that come with that program.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import error as struct_error
from struct import pack, unpack_from
from typing import Final
from zlib import crc32

from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening.member_names import decoded, unique
from qscan_unpacker.opening.members import UnreadableError
from qscan_unpacker.opening.signatures import RAR4_MAGIC, RAR5_MAGIC

MAX_BLOCKS: Final = 100_000
"""Blocks that are followed; members are bounded by their own limit."""
HARMLESS_STREAM: Final = ":Zone.Identifier"
"""The stream in which Windows notes where a file came from."""

_RAR4_MAIN, _RAR4_FILE, _RAR4_SERVICE, _RAR4_END = 0x73, 0x74, 0x7A, 0x7B
_RAR4_VOLUME, _RAR4_ENCRYPTED_HEADERS = 0x0001, 0x0080
_RAR4_SPLIT, _RAR4_ENCRYPTED, _RAR4_LARGE, _RAR4_HAS_DATA = 0x0003, 0x0004, 0x0100, 0x8000
_RAR4_FOLDER: Final = 0x00E0
_RAR5_MAIN, _RAR5_FILE, _RAR5_SERVICE, _RAR5_ENCRYPTION, _RAR5_END = 1, 2, 3, 4, 5
_RAR5_EXTRA, _RAR5_DATA, _RAR5_SPLIT = 0x0001, 0x0002, 0x0018
_RAR5_VOLUME: Final = 0x0001
_RAR5_FOLDER, _RAR5_TIME, _RAR5_CHECKSUM = 0x0001, 0x0002, 0x0004
_RAR5_EXTRA_ENCRYPTION, _RAR5_EXTRA_SERVICE = 1, 7
_STREAM: Final = b"STM"
_VARIABLE_BYTES: Final = 10


@dataclass(frozen=True)
class RarMember:
    """A file or a stream, as its header says.

    Attributes:
        crc: of the content, CRC-32; None where another checksum is used, or none.
        start, end: of header and packed content.
        header_end: where the packed content begins.
        stream: it is a stream of the file before it, and this is the stream's name.
    """

    names: tuple[str, ...]
    size: int
    encrypted: bool
    split: bool
    crc: int | None
    start: int
    header_end: int
    end: int
    stream: str = ""


def rar_obstacle(content: memoryview) -> UnreadableError | None:
    """Why the rest of a rar cannot be read; None where its first header says nothing of the kind."""
    head = bytes(content[:64])
    if head.startswith(RAR4_MAGIC) and len(head) >= len(RAR4_MAGIC) + 7:
        _, kind, flags = unpack_from("<HBH", head, len(RAR4_MAGIC))
        encrypted = kind == _RAR4_MAIN and bool(flags & _RAR4_ENCRYPTED_HEADERS)
        volume = kind == _RAR4_MAIN and bool(flags & _RAR4_VOLUME)
    elif head.startswith(RAR5_MAGIC):
        kind, flags = _rar5_first_header(content)
        encrypted = kind == _RAR5_ENCRYPTION
        volume = kind == _RAR5_MAIN and bool(flags & _RAR5_VOLUME)
    else:
        return None
    if encrypted:
        return UnreadableError(UnscannedReason.ENCRYPTED, "its headers are encrypted")
    return UnreadableError(UnscannedReason.NOT_UNPACKABLE, "one of several volumes") if volume else None


def rar_members(content: memoryview) -> Iterator[RarMember]:
    """Every file and stream, without folders, as far as the headers go. Never raises for what the bytes are."""
    walk = _rar5 if bytes(content[: len(RAR5_MAGIC)]) == RAR5_MAGIC else _rar4
    try:
        yield from walk(content)
    except (struct_error, IndexError, OverflowError):
        return  # The last header is cut off, or says that the next one is beyond all memory.


def as_file(content: memoryview, member: RarMember) -> bytes:
    """An archive in which a stream is a file: that libarchive unpacks."""
    header = bytearray(content[member.start : member.header_end])
    packed = content[member.header_end : member.end]
    if bytes(content[: len(RAR5_MAGIC)]) == RAR5_MAGIC:
        header[4 + _variable(content, member.start + 4)[1] - (member.start + 4)] = _RAR5_FILE
        header[:4] = pack("<I", crc32(header[4:]))
        main = bytes((3, _RAR5_MAIN, 0, 0))
        return b"".join((RAR5_MAGIC, pack("<I", crc32(main)), main, header, packed))
    header[2] = _RAR4_FILE
    header[:2] = pack("<H", crc32(header[2:]) & 0xFFFF)
    main = pack("<BHH6x", _RAR4_MAIN, 0, 13)
    return b"".join((RAR4_MAGIC, pack("<H", crc32(main) & 0xFFFF), main, header, packed))


def _rar4(content: memoryview) -> Iterator[RarMember]:
    at = len(RAR4_MAGIC)
    owner: tuple[str, ...] = ()
    for _ in range(MAX_BLOCKS):
        kind, flags, header_bytes = unpack_from("<BHH", content, at + 2)
        if kind == _RAR4_END or header_bytes < 7:  # noqa: PLR2004 - no header is shorter
            return
        header_end = at + header_bytes
        end = header_end
        if kind in {_RAR4_FILE, _RAR4_SERVICE}:
            packed, size, crc, name_bytes = unpack_from("<IIxI6xH", content, at + 7)
            name_at = at + 32
            if flags & _RAR4_LARGE:
                high_packed, high_size = unpack_from("<II", content, name_at)
                packed, size, name_at = packed | high_packed << 32, size | high_size << 32, name_at + 8
            end = header_end + packed
            name = bytes(content[name_at : name_at + name_bytes])
            marks = (bool(flags & _RAR4_ENCRYPTED), bool(flags & _RAR4_SPLIT))
            common = (size, *marks, crc, at, header_end, end)
            if kind == _RAR4_FILE:
                owner = decoded(name.partition(b"\0")[0])
                if flags & _RAR4_FOLDER != _RAR4_FOLDER:
                    yield RarMember(owner, *common)
            elif name == _STREAM:
                stream = bytes(content[name_at + name_bytes : header_end]).decode("utf-16-le", "replace").strip("\0")
                yield RarMember(_stream_names(owner, stream), *common, stream=stream or ":")
        elif flags & _RAR4_HAS_DATA:
            end += unpack_from("<I", content, at + 7)[0]
        at = end


def _rar5(content: memoryview) -> Iterator[RarMember]:
    at = len(RAR5_MAGIC)
    owner: tuple[str, ...] = ()
    for _ in range(MAX_BLOCKS):
        header_bytes, body = _variable(content, at + 4)
        header_end = body + header_bytes
        kind, position = _variable(content, body)
        flags, position = _variable(content, position)
        extra_bytes, position = _variable(content, position) if flags & _RAR5_EXTRA else (0, position)
        packed, position = _variable(content, position) if flags & _RAR5_DATA else (0, position)
        if kind in {_RAR5_END, _RAR5_ENCRYPTION} or header_end > len(content):
            return
        if kind in {_RAR5_FILE, _RAR5_SERVICE}:
            name, size, crc, folder = _rar5_fields(content, position)
            extra = dict(_rar5_extra(content, header_end - extra_bytes, header_end))
            marks = (_RAR5_EXTRA_ENCRYPTION in extra, bool(flags & _RAR5_SPLIT))
            common = (size, *marks, crc, at, header_end, header_end + packed)
            if kind == _RAR5_FILE:
                owner = decoded(name, utf8=True)
                if not folder:
                    yield RarMember(owner, *common)
            elif name == _STREAM:
                stream = extra.get(_RAR5_EXTRA_SERVICE, b"").decode("utf-8", "replace")
                yield RarMember(_stream_names(owner, stream), *common, stream=stream or ":")
        at = header_end + packed


def _rar5_fields(content: memoryview, at: int) -> tuple[bytes, int, int | None, bool]:
    """Name, size, checksum, and whether it is a folder."""
    flags, at = _variable(content, at)
    size, at = _variable(content, at)
    _, at = _variable(content, at)
    at += 4 * bool(flags & _RAR5_TIME)
    crc = unpack_from("<I", content, at)[0] if flags & _RAR5_CHECKSUM else None
    at += 4 * bool(flags & _RAR5_CHECKSUM)
    _, at = _variable(content, at)
    _, at = _variable(content, at)
    name_bytes, at = _variable(content, at)
    return bytes(content[at : at + name_bytes]), size, crc, bool(flags & _RAR5_FOLDER)


def _rar5_extra(content: memoryview, at: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Records of the extra area: kind and content."""
    while at < end:
        record_bytes, start = _variable(content, at)
        kind, value_at = _variable(content, start)
        at = start + record_bytes
        yield kind, bytes(content[value_at : min(at, end)])


def _rar5_first_header(content: memoryview) -> tuple[int, int]:
    """Type and, of a main header, archive flags."""
    try:
        _, at = _variable(content, len(RAR5_MAGIC) + 4)
        kind, at = _variable(content, at)
        flags, at = _variable(content, at)
        for optional in (_RAR5_EXTRA, _RAR5_DATA):
            if flags & optional:
                _, at = _variable(content, at)
        return kind, _variable(content, at)[0]
    except IndexError:
        return 0, 0


def _stream_names(owner: tuple[str, ...], stream: str) -> tuple[str, ...]:
    return unique((*(name + stream for name in owner), stream.lstrip(":")))


def _variable(content: memoryview, at: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first, and where it ends. IndexError behind the content's end."""
    value = 0
    for index in range(_VARIABLE_BYTES):
        byte = content[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if not byte & 0x80:
            return value, at + index + 1
    raise IndexError(at)
