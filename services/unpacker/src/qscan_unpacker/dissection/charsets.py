"""Texts in charsets that hide their letters from a scanner: as UTF-8 besides (RFC 2152, RFC 2781)."""

import codecs
import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from qscan_unpacker.dissection.transfer import Encoded, pieces

_BYTE_ORDER_MARKS = (
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_META_UTF_7 = re.compile(rb"charset\s*=\s*[\"']?\s*utf-?7", re.IGNORECASE)
_REFERENCE_CHARACTERS = 24
"""There is a reference in every so many characters: a text in a script of its own has fewer, and hides nothing."""
_WINDOW_BYTES = 1024
_UTF_16 = frozenset({"ucs-2", "iso-10646-ucs-2", "unicode", "csunicode", "unicodefeff"})
_WIDE = re.compile(r"(utf|ucs)[-_]?(16|32|4)[-_]?([lb]e)?")
_UTF_7 = re.compile(r"(?:x-)?(?:unicode[-_]\d[-_]\d[-_])?utf[-_]?7|csunicode11utf7")
_EBCDIC = re.compile(
    r"(?:(?:x-|cs)?(?:ibm|cp)-?0*)?(?:37|2[789]\d|424|500|8[78]\d|905|924|1026|1047|114\d|20\d{3}|21025)"
)
"""Code pages of EBCDIC, by their numbers at IBM and Microsoft."""
_LEADING_ZEROS = re.compile(rb"(&#[xX]?)0+(?=[0-9A-Fa-f])")
_NO_CHARACTER = re.compile("&#[0-9]{8,}")
"""Python refuses to read a number of 4,300 digits."""


@dataclass(frozen=True, slots=True)
class PlainerReading:
    """How to decode a text so that a scanner can read it.

    Attributes:
        is_last: whether what comes out is in no charset that hides anything. It is not decoded once more then: each
            time, what is no character may become three bytes.
    """

    decode: Callable[[Encoded], Iterator[bytes]]
    is_last: bool


def plainer_reading(
    content: memoryview, charset: str, *, is_text: bool, is_decoded: bool = False
) -> PlainerReading | None:
    """How to decode a text so that a scanner can read it, or None where it can already.

    Args:
        content: all of it.
        charset: the declared one, ``""`` for none.
        is_text: whether it is declared as a text.
        is_decoded: whether it came out of the last reading: then only references can hide anything.
    """
    codec = "" if is_decoded else _codec(bytes(content[:_WINDOW_BYTES]), charset, is_text=is_text)
    if codec:
        return PlainerReading(_decoding(codec), is_last=True)
    if is_text and _has_many_references(content):
        return PlainerReading(_without_references, is_last=is_decoded)
    if is_text and not is_decoded and any(b"\0" in piece for piece in pieces(content)):
        return PlainerReading(_without_nul, is_last=False)
    return None


def _codec(head: bytes, charset: str, *, is_text: bool) -> str:
    for mark, codec in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return codec
    if not is_text:
        return ""
    codec = _declared_codec(charset.strip(" \t'\"").lower(), head)
    return codec or ("utf-7" if _META_UTF_7.search(head) is not None else "")


def _declared_codec(charset: str, head: bytes) -> str:
    # Without a mark: RFC 2781 §4.3 says big-endian, Windows writes the other.
    order = "be" if head[:1] == b"\0" else "le"
    if charset in _UTF_16:
        return f"utf-16-{order}"
    if charset == "unicodefffe":
        return "utf-16-be"
    if (wide := _WIDE.fullmatch(charset)) is not None:
        return f"utf-{'16' if wide[2] == '16' else '32'}-{wide[3] or order}"
    if _UTF_7.fullmatch(charset) is not None:
        return "utf-7"
    # Its letters, digits and most marks are the same in all code pages.
    return "cp037" if "ebcdic" in charset or _EBCDIC.fullmatch(charset) is not None else ""


def _has_many_references(content: memoryview) -> bool:
    """Whether some piece of it, however far behind, is mostly numeric character references."""
    return any(b"&#" in piece and _is_dense(_LEADING_ZEROS.sub(rb"\1", piece)) for piece in pieces(content))


def _is_dense(piece: bytes) -> bool:
    ends = [*range(_WINDOW_BYTES, len(piece), _WINDOW_BYTES), len(piece)]
    windows = (piece[max(end - _WINDOW_BYTES, 0) : end] for end in ends)
    return any(window.count(b"&#") > len(window) // _REFERENCE_CHARACTERS for window in windows)


def _without_references(encoded: Encoded) -> Iterator[bytes]:
    """HTML that is mostly numeric character references, as it is shown. What is no character stays as it is."""
    for piece in pieces(encoded):
        text = _LEADING_ZEROS.sub(rb"\1", piece).decode("utf-8", errors="surrogateescape")
        text = html.unescape(_NO_CHARACTER.sub("\ufffd", text))
        yield text.encode("utf-8", errors="surrogateescape")


def _decoding(codec: str) -> Callable[[Encoded], Iterator[bytes]]:
    def decode(encoded: Encoded) -> Iterator[bytes]:
        decoder = codecs.getincrementaldecoder(codec)(errors="replace")
        for piece in pieces(encoded):
            yield decoder.decode(piece).encode("utf-8", errors="replace")
        yield decoder.decode(b"", final=True).encode("utf-8", errors="replace")

    return decode


def _without_nul(encoded: Encoded) -> Iterator[bytes]:
    """As browsers do, for which NUL in a text is nothing."""
    return (piece.replace(b"\0", b"") for piece in pieces(encoded))
