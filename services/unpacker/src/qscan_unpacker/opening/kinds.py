"""Which containers there are, and how they are recognised by their content. Imports no parser: it runs in the service."""

from enum import StrEnum


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
    UNSUPPORTED = "unsupported"
    """A container that nothing here opens: ace, arj, arc, vhd, wim, dmg …."""
