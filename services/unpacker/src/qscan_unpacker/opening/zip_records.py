"""The records of a zip file as they stand in it (APPNOTE 6.3.10 §4.3): parsed one by one, believed by nobody.

Offsets count from the start of the content. Nothing here raises on hostile bytes: what is no record is None.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Final

from qscan_unpacker.opening.kinds import END_RECORD, END_RECORD_BYTES, LOCAL_HEADER
from qscan_unpacker.opening.member_names import decoded, unique

CENTRAL_HEADER: Final = b"PK\x01\x02"
ZIP64_END_RECORD: Final = b"PK\x06\x06"
ZIP64_LOCATOR: Final = b"PK\x06\x07"
ARCHIVE_EXTRA: Final = b"PK\x06\x08"
DESCRIPTOR: Final = b"PK\x07\x08"
LOCAL_BYTES: Final = 30
CENTRAL_BYTES: Final = 46
ZIP64_LOCATOR_BYTES: Final = 20
ZIP64_END_BYTES: Final = 56

ENCRYPTED: Final = 1
HAS_DESCRIPTOR: Final = 1 << 3
STRONG_ENCRYPTION: Final = 1 << 6
UTF8: Final = 1 << 11
MASKED_HEADER: Final = 1 << 13
"""The central directory is encrypted, and the local header tells nothing (APPNOTE §4.4.4 bit 13)."""

FULL_16: Final = 0xFFFF
FULL_32: Final = 0xFFFFFFFF
"""A field that holds this has its value in the zip64 record."""

EXTRA_ZIP64: Final = 0x0001
EXTRA_UNICODE_PATH: Final = 0x7075
EXTRA_AES: Final = 0x9901
METHOD_AES: Final = 99

_LOCAL: Final = Struct("<4xHHHHHIIIHH")
_CENTRAL: Final = Struct("<4xHHHHHHIIIHHHHHII")
_END: Final = Struct("<4xHHHHIIH")
_ZIP64_END: Final = Struct("<4xQHHIIQQQQ")
_QUAD: Final = Struct("<Q")
_EXTRA: Final = Struct("<HH")
_AES: Final = Struct("<H2sBH")


@dataclass(frozen=True, slots=True)
class Header:
    """What a local or a central header says of a member, its zip64 values put in.

    Attributes:
        at: where the header stands.
        name: as stored, not decoded.
        end: where the header ends.
        central: which of the two it is.
        local_at: of a central header: where the local one is, from the start of its archive.
        attributes: of a central header: the external file attributes, with those of Unix in the upper half.
        content_at: of a local header: where the content begins.
    """

    at: int
    flags: int
    method: int
    time: int
    crc: int
    compressed_size: int
    size: int
    name: bytes
    extra: dict[int, bytes]
    end: int
    central: bool = False
    local_at: int = 0
    disk: int = 0
    attributes: int = 0
    content_at: int = 0

    @property
    def sizes_follow(self) -> bool:
        """A local header without sizes: they stand behind the content (APPNOTE §4.3.9)."""
        return not self.central and bool(self.flags & HAS_DESCRIPTOR) and self.compressed_size == 0

    @property
    def names(self) -> tuple[str, ...]:
        """All readings of the name, the one of the Unicode path field too (APPNOTE §4.6.9), whatever its checksum."""
        texts = decoded(self.name, utf8=bool(self.flags & UTF8))
        unicode_path = self.extra.get(EXTRA_UNICODE_PATH, b"")[5:]
        return unique((*texts, unicode_path.decode("utf-8", "replace")))

    @property
    def aes(self) -> tuple[int, int] | None:
        """Key strength (1 to 3) and real method, where it is encrypted in WinZip's way."""
        field = self.extra.get(EXTRA_AES, b"")
        if self.method != METHOD_AES or len(field) < _AES.size:
            return None
        _, _, strength, method = _AES.unpack_from(field)
        return strength, method


@dataclass(frozen=True, slots=True)
class EndRecord:
    """An end record, with zip64 values where it has them.

    Attributes:
        at, end: where it, with its comment, begins and ends.
        directory_end: where the central directory must end: before the records of the end.
        claims: every (number of entries, size, offset) of a central directory that some reader takes from it.
        volumes: it says that the archive has several volumes, or is a later one.
    """

    at: int
    end: int
    directory_end: int
    claims: tuple[tuple[int, int, int], ...]
    volumes: bool


def stands_at(content: memoryview, at: int, signature: bytes) -> bool:
    """Whether `signature` stands at `at`, which may lie outside."""
    return at >= 0 and bytes(content[at : at + len(signature)]) == signature


def local_header(content: memoryview, at: int) -> Header | None:
    """The local header at `at`; None without its signature or its end."""
    if not stands_at(content, at, LOCAL_HEADER):
        return None
    return local_fields(content, at)


def local_fields(content: memoryview, at: int) -> Header | None:
    """The local header at `at`, whatever its first four bytes are: some readers do not look at them."""
    if at < 0 or at + LOCAL_BYTES > len(content):
        return None
    fields = _LOCAL.unpack_from(content, at)
    _, flags, method, time, _, crc, compressed_size, size, name_bytes, extra_bytes = fields
    name_at = at + LOCAL_BYTES
    content_at = name_at + name_bytes + extra_bytes
    if content_at > len(content):
        return None
    name = bytes(content[name_at : name_at + name_bytes])
    extra = dict(_extra_fields(bytes(content[name_at + name_bytes : content_at])))
    size, compressed_size, _ = _zip64_values(extra.get(EXTRA_ZIP64, b""), size, compressed_size, 0)
    return Header(at, flags, method, time, crc, compressed_size, size, name, extra, content_at, content_at=content_at)


def central_header(content: memoryview, at: int) -> Header | None:
    """The central header at `at`; None without its signature or its end."""
    if not stands_at(content, at, CENTRAL_HEADER) or at + CENTRAL_BYTES > len(content):
        return None
    fields = _CENTRAL.unpack_from(content, at)
    _, _, flags, method, time, _, crc, compressed_size, size, name_bytes, extra_bytes, comment_bytes = fields[:12]
    disk, _, attributes, local_at = fields[12:]
    name_at = at + CENTRAL_BYTES
    end = name_at + name_bytes + extra_bytes + comment_bytes
    if end > len(content):
        return None
    name = bytes(content[name_at : name_at + name_bytes])
    extra = dict(_extra_fields(bytes(content[name_at + name_bytes : end - comment_bytes])))
    size, compressed_size, local_at = _zip64_values(extra.get(EXTRA_ZIP64, b""), size, compressed_size, local_at)
    common = (at, flags, method, time, crc, compressed_size, size, name, extra, end)
    return Header(*common, central=True, local_at=local_at, disk=disk, attributes=attributes)


def end_record(content: memoryview, at: int) -> EndRecord | None:
    """The end record at `at`, with what a zip64 record before it says (APPNOTE §4.3.14 to §4.3.16)."""
    if not stands_at(content, at, END_RECORD) or at + END_RECORD_BYTES > len(content):
        return None
    disk, directory_disk, _, number, size, offset, comment_bytes = _END.unpack_from(content, at)
    claims = [(number, size, offset)]
    directory_end = at
    locator_at = at - ZIP64_LOCATOR_BYTES
    if locator_at >= 0 and stands_at(content, locator_at, ZIP64_LOCATOR):
        directory_end = locator_at
        (stated_at,) = _QUAD.unpack_from(content, locator_at + 8)
        # Readers differ in where they look for the record, and in when they believe it.
        for record_at in dict.fromkeys((stated_at, locator_at - ZIP64_END_BYTES)):
            if not 0 <= record_at <= locator_at - ZIP64_END_BYTES:
                continue
            if not stands_at(content, record_at, ZIP64_END_RECORD):
                continue
            directory_end = min(directory_end, record_at)
            fields = _ZIP64_END.unpack_from(content, record_at)
            claims.append((fields[6], fields[7], fields[8]))
            disk, directory_disk = fields[3] & FULL_16, fields[4] & FULL_16
    full = any(value in {FULL_16, FULL_32} for value in claims[0])
    if full and len(claims) > 1:
        del claims[0]
    end = min(at + END_RECORD_BYTES + comment_bytes, len(content))
    volumes = disk not in {0, FULL_16} or directory_disk not in {0, FULL_16}
    return EndRecord(at, end, directory_end, tuple(dict.fromkeys(claims)), volumes)


def _extra_fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    """Fields of an extra area, the first of a kind last, so that it wins in a dict."""
    fields = []
    at = 0
    while at + _EXTRA.size <= len(extra):
        field, size = _EXTRA.unpack_from(extra, at)
        at += _EXTRA.size
        fields.append((field, extra[at : at + size]))
        at += size
    yield from reversed(fields)


def _zip64_values(field: bytes, size: int, compressed_size: int, local_at: int) -> tuple[int, int, int]:
    """The three values, those that do not fit into their fields taken from the zip64 extra field (§4.5.3)."""
    values = []
    at = 0
    for value in (size, compressed_size, local_at):
        if value == FULL_32 and at + 8 <= len(field):
            values.append(_QUAD.unpack_from(field, at)[0])
            at += 8
        else:
            values.append(value)
    return values[0], values[1], values[2]
