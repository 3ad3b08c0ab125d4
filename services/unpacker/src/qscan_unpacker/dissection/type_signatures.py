"""How the formats are recognised that `true_types` knows by itself.

Where a table is searched in order, the first row that fits counts.
"""

import re
from typing import Final

_OOXML: Final = "application/vnd.openxmlformats-officedocument."

Rows = tuple[tuple[int, bytes, str], ...]

SIGNATURES: Final[Rows] = (
    # (offset, signature, type), even where all the rest is printable
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\xd7\xcd\xc6\x9a", "image/wmf"),
    (0, b"\xc5\xd0\xd3\xc6", "application/postscript"),
    (0, b'x\x9f>"', "application/vnd.ms-tnef"),
    (0, b"(\xb5/\xfd", "application/zstd"),
    (0, b"!<arch>\ndebian-binary", "application/vnd.debian.binary-package"),
    (0, b"!<arch>\n", "application/x-archive"),
    (0, b"\xfe\xed\xfa\xce", "application/x-mach-binary"),
    (0, b"\xfe\xed\xfa\xcf", "application/x-mach-binary"),
    (0, b"\xce\xfa\xed\xfe", "application/x-mach-binary"),
    (0, b"\xcf\xfa\xed\xfe", "application/x-mach-binary"),
)
BINARY_SIGNATURES: Final[Rows] = (
    # Only where the content is no text. Programs and what starts some
    (0, b"\x7fELF", "application/x-executable"),
    (0, b"\0asm", "application/wasm"),
    (0, b"dex\n0", "application/vnd.android.dex"),
    (0, b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0F", "application/x-ms-shortcut"),
    (0, b"ITSF", "application/vnd.ms-htmlhelp"),
    (0, b"ITOLITLS", "application/x-ms-reader"),
    (0, b"?_\x03\0", "application/winhlp"),
    (0, b"\xe4R\\{\x8c\xd8\xa7M\xae\xb1Sx\xd0)\x96\xd3", "application/onenote"),
    (0, b'\xa1/\xffC\xd9\xefvL\x9e\xe2\x10\xeaW"v_', "application/onenote"),
    (0, b"\0\x01\0\0Standard Jet DB\0", "application/x-msaccess"),
    (0, b"\0\x01\0\0Standard ACE DB\0", "application/x-msaccess"),
    (0, b"\0\x05\x16\x07\0", "application/applefile"),
    (0, b"\0\x05\x16\0\0", "application/applefile"),
    # Archives and images of disks
    (0, b"MSCF\0\0\0\0", "application/vnd.ms-cab-compressed"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (0, b"`\xea", "application/x-arj"),
    (7, b"**ACE**", "application/x-ace-compressed"),
    (20, b"\xdc\xa7\xc4\xfd", "application/x-zoo"),
    (0, b"070701", "application/x-cpio"),
    (0, b"070702", "application/x-cpio"),
    (0, b"070707", "application/x-cpio"),
    (0, b"\xc7q", "application/x-cpio"),
    (0, b"xar!\0", "application/x-xar"),
    (0, b"]\0\0", "application/x-lzma"),
    (0, b"MSWIM\0\0\0", "application/x-ms-wim"),
    (0, b"conectix", "application/x-vhd"),
    (0, b"vhdxfile", "application/x-vhdx"),
    (0, b"KDMV", "application/x-vmdk"),
    (0x8001, b"CD001", "application/x-iso9660-image"),
    (0x8001, b"BEA01", "application/x-iso9660-image"),
    (40, b" EMF", "image/emf"),
)
PATTERNS: Final = (
    # A sequence whose first member is the name of a content type of CMS (RFC 5652, 3274, 5083)
    (
        re.compile(
            rb"0(?:[\0-\x80]|\x81.|\x82..|\x83.{3}|\x84.{4})\x06(?:"
            rb"\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07[\x01-\x06]|\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01[\x09\x17])",
            re.DOTALL,
        ),
        "application/pkcs7-mime",
    ),
    # PFX: version 3 and a sequence (RFC 7292 §4)
    (re.compile(rb"0(?:\x80|\x82..|\x83.{3})\x02\x01\x030", re.DOTALL), "application/x-pkcs12"),
    (re.compile(rb"..-l[hz][0-9a-z]-", re.DOTALL), "application/x-lzh-compressed"),
    (re.compile(rb"[FCZ]WS[\x01-\x3f]"), "application/vnd.adobe.flash.movie"),
)

ISO_BRANDS: Final = (
    # ISO/IEC 14496-12: what the major brand begins with. All others are video/mp4.
    (b"avi", "image/avif"),
    (b"hei", "image/heic"),
    (b"hev", "image/heic"),
    (b"mif1", "image/heif"),
    (b"msf1", "image/heif"),
    (b"crx ", "image/x-canon-cr3"),
    (b"qt  ", "video/quicktime"),
    (b"M4A", "audio/mp4"),
    (b"M4B", "audio/mp4"),
    (b"M4V", "video/x-m4v"),
    (b"3gp", "video/3gpp"),
    (b"3g2", "video/3gpp2"),
)

OLE_CLASSES: Final = {
    # The class of the root entry, as a GUID is stored (MS-CFB §2.6.1)
    bytes.fromhex("0609020000000000c000000000000046"): "application/msword",
    bytes.fromhex("0008020000000000c000000000000046"): "application/msword",
    bytes.fromhex("1008020000000000c000000000000046"): "application/vnd.ms-excel",
    bytes.fromhex("2008020000000000c000000000000046"): "application/vnd.ms-excel",
    bytes.fromhex("108d81649b4fcf1186ea00aa00b929e8"): "application/vnd.ms-powerpoint",
    bytes.fromhex("84100c0000000000c000000000000046"): "application/x-msi",
    bytes.fromhex("86100c0000000000c000000000000046"): "application/x-msi",
    bytes.fromhex("82100c0000000000c000000000000046"): "application/x-msi",
    bytes.fromhex("0b0d020000000000c000000000000046"): "application/vnd.ms-outlook",
}
OLE_STREAMS: Final = (
    ("WordDocument", "application/msword"),
    ("Workbook", "application/vnd.ms-excel"),
    ("PowerPoint Document", "application/vnd.ms-powerpoint"),
    ("__properties_version1.0", "application/vnd.ms-outlook"),
    ("EncryptedPackage", "application/x-ole-storage"),
    ("VisioDocument", "application/vnd.visio"),
)

ZIP_STARTS: Final = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08", b"PK00PK\x03\x04")
"""A member, no member at all, and the two marks of volumes (APPNOTE §4.3)."""
ZIP_MEMBERS: Final = (
    # What the names of the first members tell (ECMA-376 part 2, JAR, APK); the first row that fits counts.
    (re.compile(rb"word/"), f"{_OOXML}wordprocessingml.document"),
    (re.compile(rb"xl/workbook\.bin\Z"), "application/vnd.ms-excel.sheet.binary.macroenabled.12"),
    (re.compile(rb"xl/"), f"{_OOXML}spreadsheetml.sheet"),
    (re.compile(rb"ppt/"), f"{_OOXML}presentationml.presentation"),
    (re.compile(rb"visio/"), "application/vnd.ms-visio.drawing"),
    (re.compile(rb"AndroidManifest\.xml\Z|classes\.dex\Z"), "application/vnd.android.package-archive"),
    (re.compile(rb"AppxManifest\.xml\Z"), "application/appx"),
    (re.compile(rb"META-INF/MANIFEST\.MF\Z|.*\.class\Z"), "application/java-archive"),
)
TEXT_STARTS: Final = (
    (b"{\\rt", "application/rtf"),
    (b"%!ps", "application/postscript"),
    (b"-----begin pgp message", "application/pgp-encrypted"),
    (b"-----begin pgp signature", "application/pgp-signature"),
    (b"-----begin pgp ", "application/pgp-keys"),
    (b"-----begin pkcs", "application/pkcs7-mime"),
    (b"-----begin cms", "application/pkcs7-mime"),
    (b"-----begin certificate-", "application/pem-certificate-chain"),
    (b"begin:vcard", "text/vcard"),
    (b"begin:vcalendar", "text/calendar"),
    (b"[internetshortcut]", "application/x-mswinurl"),
    (b"windows registry editor version", "text/x-ms-regedit"),
    (b"regedit4", "text/x-ms-regedit"),
    (b"@echo off", "text/x-msdos-batch"),
    (b"web\r\n1\r\n", "text/x-ms-iqy"),
    (b"id;p", "text/spreadsheet"),
    (b"<?php", "text/x-php"),
)
INTERPRETERS: Final = (
    (re.compile(rb"\b(?:ba|da|z|k|a|c|tc)?sh\b"), "text/x-shellscript"),
    (re.compile(rb"\bpython"), "text/x-python"),
    (re.compile(rb"\bperl"), "text/x-perl"),
    (re.compile(rb"\bruby"), "text/x-ruby"),
    (re.compile(rb"\bphp"), "text/x-php"),
    (re.compile(rb"\b(?:node|deno|bun)"), "text/javascript"),
)
