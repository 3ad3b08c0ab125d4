"""data: URLs (RFC 2397) in a text, found as browsers find them in the attributes of HTML, in style sheets and in SVG.

As the URL and HTML standards have it: the scheme in any case, with tabs and line ends inside, and any of its characters
spelt as a character reference; white space inside base64; percent-encoding inside either form. What browsers do not do
is not done here: the alphabet of base64 for URLs, base64 behind its padding. Not followed: escapes of style sheets and
scripts, URLs that a script puts together, character references with more than seven leading zeros.
"""

import html
import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from qscan_unpacker.dissection import transfer
from qscan_unpacker.dissection.wrapped.wrapped_file import (
    MAX_OPENINGS_IN_TEXT,
    PIECE_BYTES,
    TooManyFilesError,
    WrappedFile,
    candidate_names,
)

_SCHEME = b"data:"
_LOWER = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"abcdefghijklmnopqrstuvwxyz")
_STRIPPED = b"\t\r\n"
"""What a browser takes out of a URL before it reads it (URL standard, basic URL parser)."""


def _spelt(character: str) -> str:
    """A pattern for a character of the scheme, as itself or as a character reference."""
    codes = {ord(character.lower()), ord(character.upper())}
    decimal, hexadecimal = ("|".join(format(code, base) for code in sorted(codes)) for base in ("d", "x"))
    plain = "|".join(sorted({character.lower(), character.upper()}))
    named = "|&colon;" if character == ":" else ""
    return rf"(?:{plain}|&#0{{0,7}}(?:{decimal})(?!\d);?|&#[xX]0{{0,7}}(?i:{hexadecimal})(?![\da-fA-F]);?{named})"


_SPELT_BREAK = r"(?:[\t\r\n]|&(?:Tab|NewLine);|&#0{0,7}(?:9|10|13)(?!\d);?|&#[xX]0{0,7}(?i:9|a|d)(?![\da-fA-F]);?)*"
_SPELT_SCHEME = re.compile(_SPELT_BREAK.join(map(_spelt, _SCHEME.decode())).encode())
_PLAIN_SCHEME = re.compile(rb"[dD][\t\r\n]*[aA][\t\r\n]*[tT][\t\r\n]*[aA][\t\r\n]*:")
_REFERENCES = re.compile(
    rb"&(?:#0{0,7}(?:9|10|13|58|65|68|84|97|100|116)(?!\d)|#[xX]0{0,7}[3-79aAdD]|colon;|Tab;|NewLine;)"
)
"""Something that the scheme may be spelt with."""

_MAX_HEADER_BYTES = 4_096
_HEADER = re.compile(rb"(?P<space>\s*+)[^\s;,/:]*+(?P<slash>/?)[^\s;,/:]*+\s*+(?P<parameters>;.*)?", re.DOTALL)
_NAME = re.compile(rb";\s*(?:file)?name\s*=\s*(\"[^\"]*\"|'[^']*'|[^;]*)", re.IGNORECASE)
_DOWNLOAD = re.compile(rb"""[\s"']download\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]+))""", re.IGNORECASE)
_MAX_TAG_BYTES = 2_048
"""How far the rest of a tag is looked at, on each side, for the file name in `download=`."""

_QUOTED_BASE64 = re.compile(rb"[A-Za-z0-9+/\s%&#;\\]*[=\s]*")
_BARE_BASE64 = re.compile(rb"[A-Za-z0-9+/%&#;\\]*=*")
_QUOTES = (b'"', b"'")
_OPENING = (*_QUOTES, b"(", b"=", b";")
"""What stands in front of a URL that is meant as one; the semicolon ends a quotation mark spelt ``&quot;``."""
_END_OF_UNQUOTED_VALUE = re.compile(rb"[\s>]")
_END_OF_BARE = re.compile(rb"[\s\"'<>()]")
_SPELT_QUOTE = re.compile(rb"&(?:quot|apos|#0{0,7}3[49]|#[xX]0{0,7}2[27]);")

_REFERENCE = re.compile(rb"&(?:#\d{1,10}|#[xX][0-9A-Fa-f]{1,10}|[A-Za-z][A-Za-z0-9]{1,31});?")
_LONGEST_ESCAPE = 40


def find(text: bytes) -> Iterator[WrappedFile]:
    """The URLs of a text, in order. Raises TooManyFilesError."""
    scheme = _scheme_in(text)
    after, comma, openings = 0, -1, 0
    while scheme is not None and (match := scheme.search(text, after)) is not None:
        start, after = match.span()
        openings += 1
        if openings > MAX_OPENINGS_IN_TEXT:
            raise TooManyFilesError
        if comma < after:
            comma = text.find(b",", after)
        if comma < 0:
            return
        if comma - after > _MAX_HEADER_BYTES:
            continue
        header = text[after:comma]
        is_base64 = _is_base64(header)
        before = text[start - 1 : start] if start else b""
        if not (is_base64 or before in _OPENING) or not _is_header(header, strict=not is_base64):
            continue
        after = (_end_of_base64 if is_base64 else _end)(text, before, comma + 1)
        names = _names(header, text, start, after) if before else _names(header, b"", 0, 0)
        pieces = _decoded(text, comma + 1, after, is_base64=is_base64)
        yield WrappedFile("data_url", start, after - start, names, pieces, complete=True)


def _scheme_in(text: bytes) -> re.Pattern[bytes] | None:
    """How to search for the scheme; None where it is not there. Only in markup is it anything but plain."""
    markup = b"<" in text
    if markup and b"&" in text and _REFERENCES.search(text) is not None:
        return _SPELT_SCHEME
    there = _SCHEME in text or (markup and _SCHEME in text.translate(_LOWER, _STRIPPED))
    return _PLAIN_SCHEME if there else None


def _is_base64(header: bytes) -> bool:
    _, semicolon, last = header.rpartition(b";")
    return bool(semicolon) and last.strip().lower() == b"base64"


def _is_header(header: bytes, *, strict: bool) -> bool:
    """Whether it is a media type, parameters, both or neither; sentences, too, have a comma behind «data:»."""
    match = _HEADER.fullmatch(header)
    if match is None or not strict:
        return match is not None
    return not match["space"] and bool(match["slash"] or match["parameters"] or not header)


def _end_of_base64(text: bytes, before: bytes, body: int) -> int:
    """Where base64 from `body` ends: with white space in it where quotation marks keep it together."""
    pattern = _QUOTED_BASE64 if before in _QUOTES or before == b";" else _BARE_BASE64
    match = pattern.match(text, body)
    return _in_front_of_spelt_quote(text, body, body if match is None else match.end())


def _end(text: bytes, before: bytes, body: int) -> int:
    """Where any other content from `body` ends."""
    closing = text.find(before, body) if before in _QUOTES else -1
    if closing < 0:
        match = (_END_OF_UNQUOTED_VALUE if before == b"=" else _END_OF_BARE).search(text, body)
        closing = len(text) if match is None else match.start()
    return _in_front_of_spelt_quote(text, body, closing) if before == b";" else closing


def _in_front_of_spelt_quote(text: bytes, start: int, stop: int) -> int:
    quote = _SPELT_QUOTE.search(text, start, stop)
    return stop if quote is None else quote.start()


def _names(header: bytes, text: bytes, start: int, stop: int) -> tuple[str, ...]:
    """From parameters, which no standard knows but some writers set, and from ``download=`` of the same tag."""
    names = [unquote_to_bytes(_plain(match[1])) for match in _NAME.finditer(header)]
    tag_start = text.rfind(b"<", max(0, start - _MAX_TAG_BYTES), start)
    tag_end = text.find(b">", stop, stop + _MAX_TAG_BYTES)
    if tag_start >= 0 and tag_end >= 0:
        for one in (text[tag_start:start], text[stop:tag_end]):
            names += [_plain(match[1] or match[2] or match[3] or b"") for match in _DOWNLOAD.finditer(one)]
    return candidate_names(*names)


def _decoded(text: bytes, start: int, stop: int, *, is_base64: bool) -> Iterator[bytes]:
    """The content between two offsets."""
    if not is_base64:
        return _unescaped(text, start, stop)
    if text.find(b"%", start, stop) < 0 and text.find(b"&", start, stop) < 0:
        return transfer.decode_base64(memoryview(text)[start:stop])
    return transfer.decode_base64(b"".join(_unescaped(text, start, stop)))


def _unescaped(text: bytes, start: int, stop: int) -> Iterator[bytes]:
    """Character references and then percent-encoding decoded, in pieces that end in front of one."""
    at = start
    while at < stop:
        cut = min(at + PIECE_BYTES, stop)
        if cut < stop:
            last = max(text.rfind(mark, cut - _LONGEST_ESCAPE, cut) for mark in (b"&", b"%"))
            cut = last if last > at else cut
        # Browsers take line ends and tabs out of a URL; those that are spelt as an escape are content.
        yield unquote_to_bytes(_plain(text[at:cut]).translate(None, _STRIPPED))
        at = cut


def _plain(piece: bytes) -> bytes:
    return _REFERENCE.sub(lambda match: _character(match[0]), piece) if b"&" in piece else piece


@lru_cache(maxsize=1_024)
def _character(reference: bytes) -> bytes:
    return html.unescape(reference.decode("ascii")).encode(errors="replace")
