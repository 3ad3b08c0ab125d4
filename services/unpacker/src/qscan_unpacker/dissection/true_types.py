"""The type of a component by its content, beside the type that is declared for it and those that its names suggest.

`filetype` (PyPI, MIT, pure Python) knows the image, audio, video, font and archive formats; the tables here stand in
front of it for what it does not know or gets wrong and matters to a mail site: programs, scripts, office and mail
formats, markup, text. Nothing here hangs on a name or a declared type, and the same bytes always give the same type.

The libraries, measured over 117 samples of the kinds that this module names (right answers; µs for a call with 90 KB of
text, 4 KB of PNG and 60 KB of noise): filetype 1.2.0 60, 33/3/33; puremagic 1.30, its last for Python 3.11, 64,
178/162/177, no media type for half of its formats, and ties broken by hash order; python-magic with libmagic 5.44 98,
1,435/10/206, native, so that every component would have to go through the sandbox for it; these tables with filetype
117, 8/9/40. filetype has had no release since 2022: signatures of formats do not change, and what is new goes here.
"""

import re
from typing import Final

import filetype

from qscan_unpacker.dissection.type_signatures import (
    BINARY_SIGNATURES,
    INTERPRETERS,
    ISO_BRANDS,
    OLE_CLASSES,
    OLE_STREAMS,
    PATTERNS,
    SIGNATURES,
    TEXT_STARTS,
    ZIP_MEMBERS,
    ZIP_STARTS,
    Rows,
)

HEAD_BYTES: Final = 36 * 1024
"""As much as is looked at. An ISO 9660 image says what it is at 32 KiB."""
_LIBRARY_BYTES: Final = 8 * 1024
_TEXT_SAMPLE_BYTES: Final = 4 * 1024
_MARKUP_BYTES: Final = 1024
"""Where HTML and PDF must begin: what browsers and Adobe's reader ask for."""

EXECUTABLE: Final = "application/vnd.microsoft.portable-executable"
"""Programs for Windows (PE)."""
DOS_EXECUTABLE: Final = "application/x-dosexec"
"""Everything else that begins with ``MZ`` and is no text: for DOS, Windows 3, OS/2, or damaged."""
_PE_POINTER: Final = slice(0x3C, 0x40)
_TEXT: Final = "text/plain"
_ZIP: Final = "application/zip"
_OLE: Final = "application/x-ole-storage"
_ZIP_HEADER_BYTES: Final = 30
_MAX_ZIP_MEMBERS: Final = 32
_STATED_TYPE: Final = re.compile(
    rb"application/(?:epub\+zip|vnd\.oasis\.opendocument\.[a-z-]{1,64}|vnd\.sun\.xml\.[a-z.]{1,64})"
)
"""What a zip may say of itself: no more, since it is its author's word."""

_BOMS: Final = (b"\xff\xfe", b"\xfe\xff")
_BLANK: Final = b"\xef\xbb\xbf \t\r\n\f\0"
_BEFORE_PDF: Final = b"\r\n\xbf"
_PRINTABLE: Final = bytes(set(range(32, 256)) - {127}) + b"\t\n\x0b\f\r\x08\x1b"
"""What texts are made of, in whatever character set; the last is for ISO 2022."""
_HTML: Final = re.compile(rb"<(?:!doctype html|(?:html|head|body|script|iframe)\b)", re.IGNORECASE)
_HTML_START: Final = re.compile(
    rb"<(?:!--|(?:a|area|b|base|basefont|bgsound|big|blockquote|body|br|center|div|dl|em|embed|font|form|frameset|"
    rb"h[1-6]|head|hr|i|iframe|img|input|li|link|map|meta|object|ol|p|pre|script|small|span|strong|style|table|tbody|td|"
    rb"textarea|title|tr|tt|u|ul)[\s/>])",
    re.IGNORECASE,
)
_HTA: Final = re.compile(rb"<hta:application\b", re.IGNORECASE)
_SVG: Final = re.compile(rb"<(?:\w+:)?svg[\s/>]", re.IGNORECASE)
_HEADER_FIELD: Final = re.compile(
    rb"^(received|return-path|from|to|subject|date|message-id|mime-version|content-type):", re.IGNORECASE | re.MULTILINE
)
_FIELD_START: Final = re.compile(rb"(?:From [^\n]+\n)?[!-9;-~]+:[ \t]")
_FIELDS_OF_A_MESSAGE: Final = 4


def true_type(head: bytes | memoryview, size: int) -> str:
    """The media type of a component by its content, lower case; ``""`` when unknown.

    Args:
        head: its first bytes, `HEAD_BYTES` of them or all.
        size: how many bytes there are in all.
    """
    start = bytes(head[:HEAD_BYTES])
    if not start:
        return ""
    if start.startswith(ZIP_STARTS):
        return _zip(start)
    is_text = not start[:_TEXT_SAMPLE_BYTES].translate(None, _PRINTABLE)
    known = _by_signature(start, SIGNATURES) or _pdf(start, is_text=is_text)
    if known:
        return known
    if start.startswith(_BOMS):
        return _text(start[2:].replace(b"\0", b""))
    if is_text:
        return _text(start)
    if start.startswith((b"MZ", b"ZM")):
        return _program(start, size)
    return _by_signature(start, BINARY_SIGNATURES) or _structured(start) or _by_library(start) or _hidden_markup(start)


def _by_signature(start: bytes, rows: Rows) -> str:
    for offset, signature, type_ in rows:
        if start.startswith(signature, offset):
            return type_
    return ""


def _pdf(start: bytes, *, is_text: bool) -> str:
    """Adobe's reader takes the mark anywhere at the beginning; but a text may speak of it."""
    at = start.find(b"%PDF-", 0, _MARKUP_BYTES)
    return "application/pdf" if at == 0 or (at > 0 and (not is_text or start[at - 1] in _BEFORE_PDF)) else ""


def _program(start: bytes, size: int) -> str:
    """PE, where the DOS header leads to its signature or behind what we have (Microsoft PE format)."""
    at = int.from_bytes(start[_PE_POINTER], "little") if len(start) >= _PE_POINTER.stop else 0
    if start.startswith(b"PE\0\0", at) or len(start) <= at < size:
        return EXECUTABLE
    return DOS_EXECUTABLE


def _structured(start: bytes) -> str:
    """What takes more than a comparison."""
    if start.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return _ole(start)
    if start.startswith((b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf")):
        # A class file has its version here, 45 and more; a fat binary counts its architectures.
        return (
            "application/x-mach-binary" if start[4:7] == b"\0\0\0" and start[7:8] < b"\x20" else "application/java-vm"
        )
    if start[4:8] == b"ftyp":
        return _iso_media(start)
    for pattern, type_ in PATTERNS:
        if pattern.match(start) is not None:
            return type_
    # Word reads it with NULs in it, and with white space in front.
    return "application/rtf" if start[:64].lstrip(_BLANK).startswith(b"{\\rt") else ""


def _iso_media(start: bytes) -> str:
    brand = start[8:12]
    if brand in {b"mif1", b"msf1"}:  # It can be either; the compatible brands tell.
        brand = next((other for other in (b"avif", b"heic") if other in start[16:64]), brand)
    return next((type_ for prefix, type_ in ISO_BRANDS if brand.startswith(prefix)), "video/mp4")


def _ole(start: bytes) -> str:
    """By the class of the root entry, else by a stream's name, where the directory is within what we have."""
    sector_bytes = 4096 if start[30:32] == b"\x0c\0" else 512
    directory = (int.from_bytes(start[48:52], "little") + 1) * sector_bytes
    by_class = OLE_CLASSES.get(start[directory + 80 : directory + 96])
    if by_class:
        return by_class
    for name, type_ in OLE_STREAMS:
        if name.encode("utf-16-le") in start:
            return type_
    return _OLE


def _zip(start: bytes) -> str:
    """By what the first members are called; a first member ``mimetype`` says it itself (OpenDocument, EPUB)."""
    names: list[bytes] = []
    at = start.find(b"PK\x03\x04")
    while at >= 0 and len(names) < _MAX_ZIP_MEMBERS:
        body = at + _ZIP_HEADER_BYTES + int.from_bytes(start[at + 26 : at + 28], "little")
        names.append(start[at + _ZIP_HEADER_BYTES : body])
        if names == [b"mimetype"]:
            stated = _STATED_TYPE.match(start, body + int.from_bytes(start[at + 28 : at + 30], "little"))
            return stated[0].decode("ascii") if stated is not None else _ZIP
        at = start.find(b"PK\x03\x04", body)
    return next((type_ for pattern, type_ in ZIP_MEMBERS if any(map(pattern.match, names))), _ZIP)


def _text(text: bytes) -> str:
    start = text[:_TEXT_SAMPLE_BYTES].lstrip(_BLANK)
    lower = start[:64].lower()
    for prefix, type_ in TEXT_STARTS:
        if lower.startswith(prefix):
            return type_
    if lower.startswith(b"#!"):
        interpreter = start.split(b"\n", 1)[0]
        return next((type_ for pattern, type_ in INTERPRETERS if pattern.search(interpreter)), "text/x-script")
    if b"<" in start:
        markup = _markup(start)
        if markup:
            return markup
    if _FIELD_START.match(start) is not None:
        fields = {match[1].lower() for match in _HEADER_FIELD.finditer(start)}
        if len(fields) >= _FIELDS_OF_A_MESSAGE:
            return "message/rfc822"
    return _TEXT


def _markup(text: bytes) -> str:
    if _HTA.search(text) is not None:
        return "application/hta"
    start = text[:_MARKUP_BYTES]
    html = _HTML.search(start)
    is_xml = start[:5].lower() == b"<?xml"
    svg = _SVG.search(start) if start.startswith(b"<") else None
    if svg is not None and (html is None or svg.start() < html.start()):
        return "image/svg+xml"
    if html is not None or _HTML_START.match(start) is not None:
        return "application/xhtml+xml" if is_xml else "text/html"
    return "text/xml" if is_xml else ""


def _hidden_markup(start: bytes) -> str:
    """HTML with NULs in it, or in UTF-16 without a mark of its order: some browsers read it all the same."""
    return _markup(start[:_TEXT_SAMPLE_BYTES].replace(b"\0", b"").lstrip(_BLANK)) if b"<" in start else ""


def _by_library(start: bytes) -> str:
    found: str | None = filetype.guess_mime(start[:_LIBRARY_BYTES])
    return "" if found in {None, "application/octet-stream"} else str(found)
