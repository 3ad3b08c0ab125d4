"""By what archives are known: magic bytes, checked against the header behind them so that chance finds nothing.

Pure and linear; imports no parser, because recognition runs in the service itself. Sources: APPNOTE 6.3.10 (zip), the
7z and RAR format notes, MS-CAB, ECMA-119 (ISO 9660), ECMA-167 (UDF), RFC 1952, RFC 8878, the formats' own documents.
"""
# ruff: noqa: PLR2004 - offsets, sizes and bounds of many formats, each used once beside its format's name

import re
from collections.abc import Collection, Iterator
from enum import StrEnum
from struct import unpack_from
from typing import Final
from zlib import crc32

SEARCH_BYTES: Final = 4 * 1024 * 1024
"""How far into a file embedded archives are searched: what self-extractor stubs and WinRAR's own search allow."""

_CHUNK_BYTES: Final = 256 * 1024
_MAX_PROBES: Final = 256
"""Candidates of one signature whose header is checked; whoever needs more of them is hostile."""


class ArchiveFormat(StrEnum):
    """A format with members that libarchive reads."""

    TAR = "tar"
    SEVEN_ZIP = "7z"
    RAR4 = "rar4"
    RAR5 = "rar5"
    CAB = "cab"
    ISO9660 = "iso9660"
    LHA = "lha"
    AR = "ar"
    CPIO = "cpio"
    XAR = "xar"
    RPM = "rpm"


class Compression(StrEnum):
    """A format that holds one compressed file."""

    GZIP = "gzip"
    BZIP2 = "bzip2"
    XZ = "xz"
    LZMA = "lzma"
    LZIP = "lzip"
    ZSTD = "zstd"
    LZ4 = "lz4"
    COMPRESS = "compress"


SEVEN_ZIP_MAGIC: Final = b"7z\xbc\xaf\x27\x1c"
RAR4_MAGIC: Final = b"Rar!\x1a\x07\x00"
RAR5_MAGIC: Final = b"Rar!\x1a\x07\x01\x00"
CAB_MAGIC: Final = b"MSCF\0\0\0\0"

MAX_EMBEDDED: Final = 4
"""Archives of one format in one program that are opened."""
EMBEDDED_MAGICS: Final = {
    SEVEN_ZIP_MAGIC: ArchiveFormat.SEVEN_ZIP,
    RAR4_MAGIC: ArchiveFormat.RAR4,
    RAR5_MAGIC: ArchiveFormat.RAR5,
    CAB_MAGIC: ArchiveFormat.CAB,
}
"""Archives that their readers find anywhere in a file."""

_INSTALLERS: Final = (b"**ACE**", b"\xef\xbe\xad\xdeNullsoftInst", b"Inno Setup Setup Data (")

_ISO_DESCRIPTORS: Final = 0x8000
_ISO_SECTOR: Final = 2048
_TAR_BLOCK: Final = 512
_LHA: Final = re.compile(rb"-(?:lh[0-9a-ex]|lz[s45]|pm[012])-")
_CPIO_ASCII: Final = re.compile(rb"07070[12][0-9A-Fa-f]{104}|070707[0-7]{70}")
_TAR_CHECKSUM: Final = re.compile(rb" *[0-7]{3,7}[ \0]{1,2}")

_ARCHIVES: Final = {
    b"7z\xbc\xaf": ArchiveFormat.SEVEN_ZIP,
    b"MSCF": ArchiveFormat.CAB,
    b"!<ar": ArchiveFormat.AR,
    b"xar!": ArchiveFormat.XAR,
    b"\xed\xab\xee\xdb": ArchiveFormat.RPM,
}

_COMPRESSIONS: Final = {
    b"\xfd7zX": Compression.XZ,
    b"LZIP": Compression.LZIP,
    b"\x28\xb5\x2f\xfd": Compression.ZSTD,
    b"\x04\x22\x4d\x18": Compression.LZ4,
    b"\x02\x21\x4c\x18": Compression.LZ4,
}

_UNSUPPORTED: Final = {
    b"VMDK",
    b"KDMV",
    b"QFI\xfb",
    b"hsqs",
    b"sqsh",
    b"ISc(",  # InstallShield
    b"SIT!",
    b"Stuf",
    b"SZDD",
    b"KWAJ",
    b"ITSF",  # compiled HTML help
    b"ZOO ",
    b"EGGA",
    b"ALZ\x01",
    b"LRZI",
    b"GRZi",
    b"\x89LZO",
    b"ArC\x01",
    b"zPQ\x01",
    b"7kSt",
    b"UHA\x06",
    b"MSWI",  # WIM
    b"vhdx",
    b"cone",  # VHD, dynamic: a copy of the footer is in front
    b"pbzx",
    b"CrCC",
}
_UNSUPPORTED_SHORT: Final = {b"\x1f\x1e", b"\x1f\x1f", b"\x1f\x9e", b"\x1f\x9f", b"\x1f\xa0"}
_LONGER_UNSUPPORTED: Final = (b"StuffIt", b"conectix", b"MSWIM\0", b"vhdxfile")
"""The first four bytes of these are too common."""


def occurrences(content: memoryview, needle: bytes, start: int = 0, end: int | None = None) -> Iterator[int]:
    """Offsets of `needle` in ascending order, by memmem in pieces: the content is never copied whole."""
    end = len(content) if end is None else min(end, len(content))
    overlap = len(needle) - 1
    for base in range(start, max(end - overlap, start), _CHUNK_BYTES):
        chunk = bytes(content[base : min(base + _CHUNK_BYTES + overlap, end)])
        found = chunk.find(needle)
        while found >= 0:
            yield base + found
            found = chunk.find(needle, found + 1)


def present(content: memoryview, needles: Collection[bytes], start: int, end: int) -> set[bytes]:
    """Which of the needles occur at all. One pass, and backwards in each piece: twice as fast as `bytes.find`."""
    overlap = max(map(len, needles)) - 1
    found: set[bytes] = set()
    for base in range(start, end, _CHUNK_BYTES):
        chunk = bytes(content[base : min(base + _CHUNK_BYTES + overlap, end)])
        found.update(needle for needle in needles if chunk.rfind(needle) >= 0)
    return found


def archives_at_start(content: memoryview, head: bytes) -> Iterator[ArchiveFormat]:
    """The formats whose header stands at offset 0. `head`: the first KiB of `content`."""
    known = _ARCHIVES.get(head[:4])
    if known is not None and _header_fits(content, 0, known):
        yield known
    if head[:4] == b"Rar!":
        if head.startswith(RAR5_MAGIC):
            yield ArchiveFormat.RAR5
        elif head.startswith(RAR4_MAGIC):
            yield ArchiveFormat.RAR4
    if head[2:3] == b"-" and _LHA.match(head, 2) and _lha_header_fits(head, 0):
        yield ArchiveFormat.LHA
    if _is_cpio(head):
        yield ArchiveFormat.CPIO
    if _is_tar(head):
        yield ArchiveFormat.TAR
    if len(content) > _ISO_DESCRIPTORS + _ISO_SECTOR and _descriptor(content, b"CD001"):
        yield ArchiveFormat.ISO9660


def embedded_archives(
    content: memoryview, start: int, end: int, *, executable: bool
) -> Iterator[tuple[ArchiveFormat, int]]:
    """Archives with a header that stands up, behind `start`: self-extractors and pictures with an archive appended.

    `executable`: the content is a program; then LHA is searched too, whose magic is too short for anything else.
    """
    seen = present(content, EMBEDDED_MAGICS, start, end)
    for magic, archive_format in EMBEDDED_MAGICS.items():
        if magic in seen:
            yield from _embedded(content, magic, archive_format, start, end)
    if executable:
        for probe, found in enumerate(occurrences(content, b"-lh", start + 2, end)):
            around = bytes(content[found - 2 : found + 64])
            if (_LHA.match(around, 2) and _lha_header_fits(around, 0)) or probe >= _MAX_PROBES:
                yield ArchiveFormat.LHA, found - 2
                break


def installer(content: memoryview, end: int) -> bool:
    """Whether a program is a self-extractor of a format that nothing here opens: ace, NSIS, Inno Setup."""
    return bool(present(content, _INSTALLERS, 0, end))


def _embedded(
    content: memoryview, magic: bytes, archive_format: ArchiveFormat, start: int, end: int
) -> Iterator[tuple[ArchiveFormat, int]]:
    """Archives of one format, but not those that lie within one before, as far as it says how long it is."""
    behind = given = 0
    for probe, offset in enumerate(occurrences(content, magic, start, end)):
        if offset < behind or not (_header_fits(content, offset, archive_format) or probe >= _MAX_PROBES):
            continue
        yield archive_format, offset
        behind = offset + _stated_bytes(content, offset, archive_format)
        given += 1
        if given == MAX_EMBEDDED or probe >= _MAX_PROBES:
            return


def _stated_bytes(content: memoryview, at: int, archive_format: ArchiveFormat) -> int:
    """How long an archive says that it is; of rar, which does not, only its header."""
    header = bytes(content[at : at + 32]).ljust(32, b"\0")
    if archive_format == ArchiveFormat.CAB:
        return int.from_bytes(header[8:12], "little")
    if archive_format == ArchiveFormat.SEVEN_ZIP:
        return 32 + int(sum(unpack_from("<QQ", header, 12)))
    return len(RAR4_MAGIC)


def compression(head: bytes, *, named_lzma: bool = False) -> Compression | None:
    """The compression whose header stands at offset 0."""
    known = _COMPRESSIONS.get(head[:4])
    if known is not None:
        return known
    if head[:3] == b"\x1f\x8b\x08":
        return Compression.GZIP
    if head[:3] == b"BZh" and head[4:10] in {b"1AY&SY", b"\x17\x72\x45\x38\x50\x90"} and head[3:4].isdigit():
        return Compression.BZIP2
    if head[:2] == b"\x1f\x9d" and len(head) > 3 and head[2] & 0x60 == 0 and 9 <= head[2] & 0x1F <= 16:
        return Compression.COMPRESS
    if head[1:4] == b"\x2a\x4d\x18" and 0x50 <= head[0] <= 0x5F:  # a skippable frame comes first
        return Compression.ZSTD
    if (head[:3] == b"\x5d\0\0" or named_lzma) and _is_lzma_alone(head):
        return Compression.LZMA
    return None


def is_unsupported(content: memoryview, head: bytes) -> bool:
    """Whether it is a container of a kind that nothing here opens."""
    prefix = head[:4]
    if prefix in _UNSUPPORTED:
        return all(head.startswith(whole) for whole in _LONGER_UNSUPPORTED if whole.startswith(prefix))
    if prefix[:2] in _UNSUPPORTED_SHORT or head[7:14] == b"**ACE**" or head[7:12] == b"-sqx-":
        return True
    if prefix[:2] == b"\x60\xea" and len(head) > 10 and 30 <= unpack_from("<H", head, 2)[0] <= 2600:
        return True  # ARJ
    if prefix[:1] == b"\x1a" and _is_arc(head):
        return True
    if head[510:512] == b"\x55\xaa" and head[0] in b"\xeb\xe9" and (b"FAT" in head[54:90] or head[3:7] == b"NTFS"):
        return True  # a disk image
    if len(content) > _TAR_BLOCK and bytes(content[-512:-504]) in {b"conectix", b"koly\0\0\0\x04"}:
        return True  # VHD, Apple disk image: known by their last sector
    return len(content) > _ISO_DESCRIPTORS + _ISO_SECTOR and (
        _descriptor(content, b"NSR02") or _descriptor(content, b"NSR03")
    )


def _header_fits(content: memoryview, at: int, archive_format: ArchiveFormat) -> bool:
    header = bytes(content[at : at + 64])
    match archive_format:
        case ArchiveFormat.SEVEN_ZIP:
            # Damaged start headers at offset 0 count: whoever opens them says that they are damaged.
            return header.startswith(SEVEN_ZIP_MAGIC) and (
                at == 0 or (len(header) >= 32 and crc32(header[12:32]) == unpack_from("<I", header, 8)[0])
            )
        case ArchiveFormat.RAR4:
            return len(header) >= 20 and crc32(header[9:20]) & 0xFFFF == unpack_from("<H", header, 7)[0]
        case ArchiveFormat.RAR5:
            size = header[12] if len(header) > 13 else 0
            return 0 < size < 0x80 and crc32(header[12 : 13 + size]) == unpack_from("<I", header, 8)[0]
        case ArchiveFormat.CAB:
            return len(header) >= 36 and header.startswith(CAB_MAGIC) and header[25] == 1 and header[12:16] == bytes(4)
        case ArchiveFormat.AR:
            return header.startswith(b"!<arch>\n")
        case ArchiveFormat.XAR:
            return len(header) >= 28 and 28 <= unpack_from(">H", header, 4)[0] <= 64
        case _:
            return True


def _is_tar(head: bytes) -> bool:
    """POSIX and GNU by their magic, older ones by the checksum of their first header."""
    if head[257:262] == b"ustar":
        return True
    if len(head) < _TAR_BLOCK or head[0] == 0 or not _TAR_CHECKSUM.fullmatch(head, 148, 156) or b"\0" not in head[:101]:
        return False
    stated = int(head[148:156].strip(b" \0"), 8)
    return stated == sum(head[:148]) + 8 * 0x20 + sum(head[156:_TAR_BLOCK])


def _is_cpio(head: bytes) -> bool:
    prefix = head[:2]
    if prefix == b"07":
        return _CPIO_ASCII.match(head) is not None
    if prefix not in {b"\xc7\x71", b"\x71\xc7"} or len(head) < 28:
        return False
    (name_bytes,) = unpack_from("<H" if prefix == b"\xc7\x71" else ">H", head, 20)
    return 1 < name_bytes <= 1024 and head[26 + name_bytes - 1 : 26 + name_bytes] in {b"\0", b""}


def _lha_header_fits(header: bytes, at: int) -> bool:
    """Level 0 and 1 have a sum of their header, level 2 and 3 at least their number in its place."""
    if len(header) < at + 22:
        return False
    level, size = header[at + 20], header[at]
    if level in {2, 3}:
        return True
    whole = header[at + 2 : at + 2 + size]
    return level in {0, 1} and (len(whole) < size or sum(whole) & 0xFF == header[at + 1])


def _is_arc(head: bytes) -> bool:
    """ARC has one byte of magic only: the name field and the size must look right as well."""
    name, _, rest = head[2:15].partition(b"\0")
    if len(head) < 29 or not 1 <= head[1] <= 11 or not name or (not rest and b"\0" not in head[2:15]):
        return False
    return name.isascii() and all(0x20 < byte < 0x7F for byte in name)


def _is_lzma_alone(head: bytes) -> bool:
    if len(head) < 14 or head[0] >= 225 or head[13] != 0:
        return False
    dictionary, size = unpack_from("<IQ", head, 1)
    return int(dictionary).bit_count() in {1, 2, 32} and bool(size == 0xFFFFFFFFFFFFFFFF or size < 1 << 38)


def _descriptor(content: memoryview, identifier: bytes) -> bool:
    """Whether one of the first volume descriptors has this identifier (ECMA-119 §8, ECMA-167 part 2)."""
    return any(
        bytes(content[offset + 1 : offset + 6]).startswith(identifier)
        for offset in range(_ISO_DESCRIPTORS, min(len(content), _ISO_DESCRIPTORS + 16 * _ISO_SECTOR), _ISO_SECTOR)
    )
