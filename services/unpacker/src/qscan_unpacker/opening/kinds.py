"""Which containers there are, and how they are recognised by their content. Imports no parser: it runs in the service.

Recognition is generous: a file may be several things at once (PDF and zip, GIF and jar, program and 7z), and every kind
that some reader would see in it is given. What turns out to be nothing costs an attempt in the sandbox; what is not
recognised is never looked into.
"""

from collections.abc import Sequence
from enum import StrEnum
from struct import unpack_from
from typing import Final

from qscan_unpacker.opening.signatures import (
    EMBEDDED_MAGICS,
    SEARCH_BYTES,
    archives_at_start,
    compression,
    embedded_archives,
    installer,
    is_unsupported,
    occurrences,
    present,
)


class ContainerKind(StrEnum):
    """A format that an opener reads, or that is recognised and that none can open."""

    ZIP = "zip"
    ARCHIVE = "archive"
    """What libarchive reads: tar, 7z, rar, cab, iso, lha, ar, cpio, xar …."""
    COMPRESSED = "compressed"
    """One compressed file: gzip, bzip2, xz, zstd, lzma, lz4, compress."""
    OLE = "ole"
    """Compound files: office documents of old, msi, msg."""
    RTF = "rtf"
    PDF = "pdf"
    TNEF = "tnef"
    CMS = "cms"
    """S/MIME: signed, enveloped, compressed (RFC 8551)."""
    ONENOTE = "onenote"
    """A section of OneNote, with the files that lie in it."""
    UNSUPPORTED = "unsupported"
    """A container that nothing here opens: ace, arj, arc, vhd, wim, dmg …."""


LOCAL_HEADER: Final = b"PK\x03\x04"
END_RECORD: Final = b"PK\x05\x06"
END_RECORD_BYTES: Final = 22

_HEAD_BYTES: Final = 1024
_END_SEARCH_BYTES: Final = END_RECORD_BYTES + 0xFFFF
"""How far before the end readers search the end record of a zip: it, and the longest comment."""
_ZIP64: Final = 0xFFFFFFFF
"""The value of a field that is too small: the zip64 record has it."""
_MAX_LOCAL_PROBES: Final = 256
_MAX_ZIP_VERSION: Final = 99
_MAX_NAME_BYTES: Final = 4096
_NAME_BYTES_CHECKED: Final = 64

_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ONENOTE: Final = frozenset(
    map(bytes.fromhex, ("e4525c7b8cd8a74daeb15378d02996d3", "a12fff43d9ef764c9ee210ea5722765f"))
)
"""The first GUID of a section and of a table of contents (MS-ONESTORE §2.3.1)."""
_TNEF: Final = b"\x78\x9f\x3e\x22"
_CMS_OID_START: Final = (
    b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07",
    b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01",
)
_CMS_TYPES: Final = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_CMS_SUFFIXES: Final = (".p7m", ".p7s", ".p7b", ".p7c", ".p7z")
_CMS_PEM: Final = (b"-----BEGIN PKCS7-----", b"-----BEGIN CMS-----", b"-----BEGIN PKCS #7 SIGNED DATA-----")
_EXECUTABLE: Final = (b"MZ", b"\x7fELF")

_ARCHIVE_TYPES: Final = frozenset(
    f"application/{name}"
    for name in (
        "zip",
        "x-zip",
        "x-zip-compressed",
        "java-archive",
        "x-java-archive",
        "vnd.android.package-archive",
        "x-7z-compressed",
        "vnd.rar",
        "x-rar",
        "x-rar-compressed",
        "vnd.ms-cab-compressed",
        "x-compressed",
    )
)
_ARCHIVE_SUFFIXES: Final = (
    *(".zip", ".zipx", ".jar", ".war", ".ear", ".apk", ".xpi", ".7z", ".rar", ".cab", ".docx", ".xlsx", ".pptx"),
    *(".docm", ".xlsm", ".pptm", ".odt", ".ods", ".odp", ".001"),
)


def recognise(content: memoryview, *, declared: str, names: Sequence[str]) -> tuple[ContainerKind, ...]:
    """Every kind of container that `content` is to some reader; empty for ordinary files. Pure, linear in the size.

    Args:
        content: all bytes of the component.
        declared: the declared type, ``type/subtype``, lower case; ``""`` when nothing is declared.
        names: the candidate file names; only their suffixes count.
    """
    if not len(content):
        return ()
    head = bytes(content[:_HEAD_BYTES])
    lowered = [name.lower() for name in names]
    kinds = _by_start(content, head, declared, lowered)
    if is_unsupported(content, head):
        kinds.append(ContainerKind.UNSUPPORTED)
    # A container holds others as they are: office files of old have zips in them. They are found when it is opened.
    exclusive = any(kind is not ContainerKind.CMS for kind in kinds) or _begins_as_cms(head)
    if b"%PDF-" in head:
        kinds.append(ContainerKind.PDF)
    claimed = declared in _ARCHIVE_TYPES or any(name.endswith(_ARCHIVE_SUFFIXES) for name in lowered)
    if ContainerKind.ZIP not in kinds and _ends_as_zip(content, at_the_very_end=exclusive and not claimed):
        kinds.append(ContainerKind.ZIP)
    if not exclusive:
        kinds.extend(kind for kind in _embedded(content, head, whole=claimed) if kind not in kinds)
    return tuple(kinds)


def archive_claimed_to_be_lzma(names: Sequence[str]) -> bool:
    """Whether a name says lzma: that format has no magic worth the name."""
    return any(name.lower().endswith((".lzma", ".tlz")) for name in names)


def plausible_local_header(content: memoryview, at: int) -> bool:
    """Whether a local header of a zip may stand at `at`, where its four bytes of magic were found (APPNOTE §4.3.7).

    Flags and method may be anything, since readers that are not strict do not mind; constants of programs that know
    the magic fail at the name.
    """
    if at + 30 > len(content):
        return False
    version, name_bytes, extra_bytes = unpack_from("<H20xHH", content, at + 4)
    if version & 0xFF > _MAX_ZIP_VERSION or not name_bytes or name_bytes > _MAX_NAME_BYTES:
        return False
    if at + 30 + name_bytes + extra_bytes > len(content):
        return False
    return min(content[at + 30 : at + 30 + min(name_bytes, _NAME_BYTES_CHECKED)]) >= 0x20  # noqa: PLR2004 - controls


def _by_start(content: memoryview, head: bytes, declared: str, names: Sequence[str]) -> list[ContainerKind]:
    kinds = []
    if head[:4] == LOCAL_HEADER or head[4:8] == LOCAL_HEADER or head[:4] == END_RECORD:
        kinds.append(ContainerKind.ZIP)
    if head[:8] == _OLE:
        kinds.append(ContainerKind.OLE)
    if head[:16] in _ONENOTE:
        kinds.append(ContainerKind.ONENOTE)
    if head[:4] == _TNEF:
        kinds.append(ContainerKind.TNEF)
    if head[:256].lstrip(b"\xef\xbb\xbf \t\r\n\0")[:4] == b"{\\rt":
        kinds.append(ContainerKind.RTF)
    if _is_cms(head, declared, names):
        kinds.append(ContainerKind.CMS)
    if next(archives_at_start(content, head), None) is not None:
        kinds.append(ContainerKind.ARCHIVE)
    if compression(head, named_lzma=archive_claimed_to_be_lzma(names)) is not None:
        kinds.append(ContainerKind.COMPRESSED)
    return kinds


def _is_cms(head: bytes, declared: str, names: Sequence[str]) -> bool:
    return declared in _CMS_TYPES or any(name.endswith(_CMS_SUFFIXES) for name in names) or _begins_as_cms(head)


def _begins_as_cms(head: bytes) -> bool:
    if head[:1] == b"\x30":
        length = head[1:2]
        skip = 2 + (length[0] & 0x7F if length and length[0] & 0x80 else 0)
        return head.startswith(_CMS_OID_START, skip)
    return head[:5] == b"-----" and head.startswith(_CMS_PEM)


def _ends_as_zip(content: memoryview, *, at_the_very_end: bool) -> bool:
    """Whether an end record that can be one is where readers look for it, however the file begins."""
    start = max(len(content) - _END_SEARCH_BYTES, 0)
    tail = bytes(content[start:])
    found = tail.rfind(END_RECORD, 0, max(len(tail) - END_RECORD_BYTES + len(END_RECORD), 0))
    for _ in range(_MAX_LOCAL_PROBES):
        if found < 0:
            return False
        size, offset, comment_bytes = unpack_from("<IIH", tail, found + 12)
        fits = size <= start + found or _ZIP64 in {size, offset}
        if fits and (not at_the_very_end or found + END_RECORD_BYTES + comment_bytes == len(tail)):
            return True
        found = tail.rfind(END_RECORD, 0, found)
    return True


def _embedded(content: memoryview, head: bytes, *, whole: bool) -> list[ContainerKind]:
    end = len(content) if whole else min(len(content), SEARCH_BYTES)
    if b"\0" not in head and not whole and next(occurrences(content, b"\0", 0, end), None) is None:
        return []  # a text: every archive has a NUL
    executable = head.startswith(_EXECUTABLE)
    kinds = []
    seen = present(content, (LOCAL_HEADER, *EMBEDDED_MAGICS), 0, end)
    if not seen and not executable:
        return []
    for probe, offset in enumerate(occurrences(content, LOCAL_HEADER, 0, end) if LOCAL_HEADER in seen else ()):
        if plausible_local_header(content, offset) or probe >= _MAX_LOCAL_PROBES:
            kinds.append(ContainerKind.ZIP)
            break
    if next(embedded_archives(content, 1, end, executable=executable), None) is not None:
        kinds.append(ContainerKind.ARCHIVE)
    if executable and installer(content, end):
        kinds.append(ContainerKind.UNSUPPORTED)
    return kinds
