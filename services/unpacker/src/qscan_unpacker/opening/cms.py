"""Opens S/MIME and other cryptographic messages (CMS, RFC 5652; RFC 8551): what is signed or compressed.

A reader of our own: asn1crypto (1.5.1, of 2022) walks indefinite lengths recursively and reads nothing of a message
whose end is missing; pyca/cryptography has no way to the content. What matters here are a handful of nested elements.
Signatures are not checked: who signed it says nothing about what it is.
"""

import binascii
import itertools
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening import ber
from qscan_unpacker.opening.allowance import pieces_of, within
from qscan_unpacker.opening.inflating import inflated
from qscan_unpacker.opening.members import Event, Member, OpenRequest, UnreadableError

MAX_NESTED: Final = 8
"""Messages in messages that have no MIME between them."""

_PKCS7: Final = bytes.fromhex("2a864886f70d0107")
_SMIME_TYPES: Final = bytes.fromhex("2a864886f70d01091001")
_ENCRYPTED: Final = {
    _PKCS7 + b"\3": "EnvelopedData",
    _PKCS7 + b"\4": "SignedAndEnvelopedData",
    _PKCS7 + b"\6": "EncryptedData",
    _SMIME_TYPES + b"\x17": "AuthEnvelopedData",
}
_COMPRESSED: Final = _SMIME_TYPES + b"\x09"
_WITH_CONTENT: Final = frozenset({_PKCS7 + b"\2", _PKCS7 + b"\5", _SMIME_TYPES + b"\2", _COMPRESSED})
"""SignedData, DigestedData, AuthenticatedData and CompressedData have their content at a place of the same form."""

_CONTENT_TAG: Final = ber.CONTEXT | ber.CONSTRUCTED | 0
_OCTET_TAGS: Final = frozenset({ber.OCTET_STRING, ber.OCTET_STRING | ber.CONSTRUCTED})
_ARMOUR: Final = re.compile(rb"-----BEGIN [A-Z0-9 #]{1,40}-----\s(.*?)(?:-----END|\Z)", re.DOTALL)
_WRAPPER_SUFFIX: Final = re.compile(r"\.(?:p7[a-z]|pkcs7|cms)$", re.IGNORECASE)
_MIME_START: Final = re.compile(rb"\s{0,8}[A-Za-z][A-Za-z0-9-]{1,60}[ \t]{0,8}:")
_ENTITY_NAME: Final = "smime.p7m.eml"
"""For a MIME entity, so that it is taken for one."""
_HEAD_BYTES: Final = 128


def open_cms(data: memoryview, request: OpenRequest) -> Iterator[Event]:
    """Open a cryptographic message in DER, BER, PEM or base64 (see `Opener`)."""
    return within(request, _events(_binary(data), request))


@dataclass(frozen=True)
class _Content:
    """An object id, and the element that is its content, None where it is somewhere else."""

    type: bytes
    value: ber.Element | None


def _events(data: memoryview, request: OpenRequest) -> Iterator[Event]:
    content = _content(data, ber.element(data, 0, len(data)))
    if content is None or content.value is None:
        raise UnreadableError(UnscannedReason.NOT_UNPACKABLE, "no cryptographic message")
    for _ in range(MAX_NESTED):
        if content.type in _ENCRYPTED:
            raise UnreadableError(UnscannedReason.ENCRYPTED, _ENCRYPTED[content.type])
        if content.type not in _WITH_CONTENT:
            yield from _member(data, content, request)
            return
        inner = _encapsulated(data, content.value)
        if inner is None:
            raise UnreadableError(UnscannedReason.NOT_UNPACKABLE, "cryptographic message without a place for content")
        if inner.value is None:
            return  # Certificates only, or the signature of what is beside it.
        if content.type == _COMPRESSED:
            yield _named(_inflated(ber.octets(data, inner.value)), b"", request)
            return
        content = _Content(inner.type, _unwrapped(data, inner))
        if content.value is None:
            return
    raise UnreadableError(UnscannedReason.OVER_BUDGET, f"over {MAX_NESTED} cryptographic messages in each other")


def _unwrapped(data: memoryview, inner: _Content) -> ber.Element | None:
    """Return the element that a nested message is: in an octet string, or without one as in PKCS #7 1.5."""
    if inner.value is None or inner.value.tag not in _OCTET_TAGS or inner.type not in _WITH_CONTENT | set(_ENCRYPTED):
        return inner.value
    if inner.value.constructed:
        raise UnreadableError(UnscannedReason.NOT_UNPACKABLE, "nested cryptographic message in segments")
    return ber.element(data, inner.value.start, inner.value.end) if inner.value.end > inner.value.start else None


def _member(data: memoryview, content: _Content, request: OpenRequest) -> Iterator[Event]:
    """Give what is inside: an octet string as what it holds, anything else as it is encoded."""
    value = content.value
    if value is None or value.end == value.start:
        return
    if value.tag in _OCTET_TAGS:
        pieces = ber.octets(data, value)
        if head := next(pieces, b""):
            yield _named(itertools.chain((head,), pieces), head, request)
    else:
        yield Member((), pieces_of(data[value.start : value.end]))


def _named(pieces: Iterable[bytes], head: bytes, request: OpenRequest) -> Member:
    """Name a member: as its wrapper is without the wrapper's suffix, and for a MIME entity as a message."""
    names = [inner for name in request.names if "." in (inner := _WRAPPER_SUFFIX.sub("", name)) and inner != name]
    if not names or _MIME_START.match(head):
        names.append(_ENTITY_NAME)
    return Member(tuple(dict.fromkeys(names)), pieces)


def _content(data: memoryview, outer: ber.Element) -> _Content | None:
    """Read `SEQUENCE { type OBJECT IDENTIFIER, [0] content OPTIONAL }`; None where it is not of that form."""
    if outer.tag != ber.SEQUENCE:
        return None
    parts = ber.children(data, outer)
    type_ = next(parts, None)
    if type_ is None or type_.tag != ber.OBJECT_ID:
        return None
    found = bytes(data[type_.start : type_.end])
    explicit = next(parts, None)
    if explicit is None:
        return _Content(found, None)
    if explicit.tag != _CONTENT_TAG:
        return None
    return _Content(found, next(ber.children(data, explicit), None))


def _encapsulated(data: memoryview, message: ber.Element) -> _Content | None:
    """Find the content of a message: the first sequence in it of that form, not that of an algorithm.

    Without content it looks like an algorithm without parameters, so the last of these counts then.
    """
    empty = None
    for part in ber.children(data, message):
        content = _content(data, part)
        if content is not None and content.value is not None:
            return content
        empty = content or empty
    return empty


def _inflated(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress zlib (RFC 3274).

    Raises:
        UnreadableError: `not_unpackable`, behind what could be decompressed.
    """
    inflater = zlib.decompressobj()
    yield from inflated(pieces, inflater, "CompressedData")
    if not inflater.eof:
        raise UnreadableError(UnscannedReason.NOT_UNPACKABLE, "CompressedData ends too early")


def _binary(data: memoryview) -> memoryview:
    """Take the armour of PEM away, or base64 without any."""
    head = bytes(data[:_HEAD_BYTES]).lstrip()
    if head[:1] not in {b"-", b"M"}:
        return data
    raw = bytes(data)
    armoured = _ARMOUR.search(raw)
    try:
        return memoryview(binascii.a2b_base64(armoured[1] if armoured else raw))
    except binascii.Error:
        raise UnreadableError(UnscannedReason.NOT_UNPACKABLE, "cryptographic message in broken base64") from None
