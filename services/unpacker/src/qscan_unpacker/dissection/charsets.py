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
_HIDING = {
    name: name for wide in ("utf-16", "utf-32") for name in (wide, f"{wide}le", f"{wide}be", f"{wide}-le", f"{wide}-be")
} | {"utf-7": "utf-7", "utf7": "utf-7", "unicode-1-1-utf-7": "utf-7", "ucs-2": "utf-16", "ucs-4": "utf-32"}


@dataclass(frozen=True, slots=True)
class PlainerReading:
    """How to decode a text so that a scanner can read it.

    Attributes:
        is_last: whether what comes out is in no charset that hides anything. It is not decoded once more then: each
            time, what is no character may become three bytes.
    """

    decode: Callable[[Encoded], Iterator[bytes]]
    is_last: bool


def plainer_reading(head: bytes, charset: str, *, is_text: bool, is_decoded: bool = False) -> PlainerReading | None:
    """How to decode a text so that a scanner can read it, or None where it can already.

    Args:
        head: the first bytes.
        charset: the declared one, ``""`` for none.
        is_text: whether it is declared as a text.
        is_decoded: whether it came out of the last reading: then only references can hide anything.
    """
    codec = "" if is_decoded else _codec(head, charset, is_text=is_text)
    if codec:
        return PlainerReading(_decoding(codec), is_last=True)
    if is_text and head.count(b"&#") > len(head) // _REFERENCE_CHARACTERS:
        return PlainerReading(_without_references, is_last=is_decoded)
    if is_text and not is_decoded and b"\0" in head:
        return PlainerReading(_without_nul, is_last=False)
    return None


def _codec(head: bytes, charset: str, *, is_text: bool) -> str:
    for mark, codec in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return codec
    if not is_text:
        return ""
    codec = _HIDING.get(charset.lower(), "")
    if codec in {"utf-16", "utf-32"}:  # without a mark: RFC 2781 §4.3 says big-endian, Windows writes the other
        codec += "-be" if head[:1] == b"\0" else "-le"
    return codec or ("utf-7" if _META_UTF_7.search(head) is not None else "")


def _without_references(encoded: Encoded) -> Iterator[bytes]:
    """HTML that is mostly numeric character references, as it is shown. What is no character stays as it is."""
    for piece in pieces(encoded):
        text = html.unescape(piece.decode("utf-8", errors="surrogateescape"))
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
