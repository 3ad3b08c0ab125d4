"""CMS: what is signed or compressed is a member, what is encrypted is unscanned, however it is encoded."""

import base64
import datetime as dt
import random
import zlib
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from hypothesis import given, settings
from hypothesis import strategies as st

from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening import ber
from qscan_unpacker.opening.cms import open_cms
from services.unpacker.tests.opened_containers import Opened, mutations

ENTITY = b"Content-Type: text/plain\r\n\r\nHello " + bytes(range(256)) * 40
BINARY = random.Random(4).randbytes(3000)
PKCS7 = bytes.fromhex("2a864886f70d0107")
SMIME = bytes.fromhex("2a864886f70d01091001")
DATA, SIGNED, ENVELOPED, SIGNED_ENVELOPED, DIGESTED, ENCRYPTED = (PKCS7 + bytes([n]) for n in range(1, 7))
AUTHENTICATED, COMPRESSED, AUTH_ENVELOPED = (SMIME + bytes([n]) for n in (2, 9, 23))


def der(tag: int, *contents: bytes) -> bytes:
    """An element of definite length."""
    content = b"".join(contents)
    if len(content) < 128:
        return bytes([tag, len(content)]) + content
    size = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + content


def ber_(tag: int, *contents: bytes) -> bytes:
    """An element of indefinite length."""
    return bytes([tag, 0x80]) + b"".join(contents) + b"\0\0"


Maker = Callable[..., bytes]


def segmented(content: bytes, size: int = 1000) -> bytes:
    """An octet string of indefinite length, in segments."""
    return ber_(0x24, *(der(4, content[i : i + size]) for i in range(0, len(content), size)))


def info(type_: bytes, *content: bytes, make: Maker = der) -> bytes:
    """A type and a content."""
    return make(0x30, der(6, type_), *(make(0xA0, each) for each in content))


ALGORITHM = der(0x30, der(6, b"\x60\x86\x48\x01\x65\3\4\2\1"), b"\5\0")


def signed(*inner: bytes, type_: bytes = DATA, make: Maker = der) -> bytes:
    """A signed message without its signature."""
    body = make(0x30, b"\2\1\1", der(0x31, ALGORITHM), info(type_, *inner, make=make), der(0xA0, b""), der(0x31))
    return info(SIGNED, body, make=make)


def compressed(content: bytes) -> bytes:
    """A compressed message."""
    algorithm = der(0x30, der(6, SMIME[:-1] + b"\3\x08"))
    return info(COMPRESSED, der(0x30, b"\2\1\0", algorithm, info(DATA, der(4, content))))


@pytest.fixture(scope="module")
def signer() -> pkcs7.PKCS7SignatureBuilder:
    """Signs as a mail client does."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    when = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(when)
        .not_valid_after(when.replace(year=2034))
        .sign(key, hashes.SHA256())
    )
    return pkcs7.PKCS7SignatureBuilder().set_data(ENTITY).add_signer(certificate, key, hashes.SHA256())


@pytest.mark.parametrize("encoding", [Encoding.DER, Encoding.PEM])
def test_signed_by_another_program(signer: pkcs7.PKCS7SignatureBuilder, encoding: Encoding) -> None:
    """A message that a real library signs opens, and is named so that it is taken for the MIME entity it is."""
    data = signer.sign(encoding, [pkcs7.PKCS7Options.Binary])
    opened = Opened(open_cms, data, names=("smime.p7m",))
    assert opened.members == [(("smime.p7m.eml",), ENTITY, False)]
    assert opened.is_whole


def test_detached_by_another_program(signer: pkcs7.PKCS7SignatureBuilder) -> None:
    """The signature of what is beside it has nothing inside."""
    data = signer.sign(Encoding.DER, [pkcs7.PKCS7Options.DetachedSignature])
    opened = Opened(open_cms, data, names=("smime.p7s",))
    assert opened.members == []
    assert opened.is_whole


@pytest.mark.parametrize(
    "data",
    [
        signed(der(4, ENTITY)),
        signed(segmented(ENTITY), make=ber_),
        signed(segmented(ENTITY, 1), make=ber_),
        signed(ber_(0x24, segmented(ENTITY[:100]), der(0x24, der(4, ENTITY[100:]))), make=ber_),
        info(DATA, der(4, ENTITY)),
        base64.b64encode(signed(der(4, ENTITY))),
        b"-----BEGIN CMS-----\r\n" + base64.encodebytes(signed(der(4, ENTITY))) + b"-----END CMS-----\r\n",
        b"\r\n-----BEGIN PKCS7-----\n" + base64.encodebytes(signed(der(4, ENTITY))),
        info(DIGESTED, der(0x30, b"\2\1\0", ALGORITHM, info(DATA, der(4, ENTITY)), der(4, b"digest"))),
        info(AUTHENTICATED, der(0x30, b"\2\1\0", der(0x31), ALGORITHM, der(0xA1), info(DATA, der(4, ENTITY)))),
        compressed(zlib.compress(ENTITY)),
    ],
)
def test_content(data: bytes) -> None:
    """Definite and indefinite lengths, segments, armour, and every type that has its content in clear."""
    assert Opened(open_cms, data).contents == [ENTITY]


def body_of(message: bytes) -> bytes:
    """The content of a message, without its type."""
    outer = ber.element(memoryview(message), 0, len(message))
    *_, explicit = ber.children(memoryview(message), outer)
    return message[explicit.start : explicit.end]


def test_nested_messages() -> None:
    """A message that is the content of another, in an octet string or without, is opened at once; within bounds."""
    for wrap in (lambda body: body, lambda body: der(4, body)):
        message = signed(der(4, ENTITY))
        for _ in range(5):
            message = signed(wrap(body_of(message)), type_=SIGNED)
        assert Opened(open_cms, message).contents == [ENTITY]
        for _ in range(5):
            message = signed(wrap(body_of(message)), type_=SIGNED)
        ended = Opened(open_cms, message).ended
        assert ended is not None
        assert ended.reason is UnscannedReason.OVER_BUDGET
    enveloped = signed(der(4, der(0x30, b"\2\1\0")), type_=ENVELOPED)
    assert getattr(Opened(open_cms, enveloped).ended, "reason", None) is UnscannedReason.ENCRYPTED


@pytest.mark.parametrize("type_", [ENVELOPED, SIGNED_ENVELOPED, ENCRYPTED, AUTH_ENVELOPED])
def test_encrypted(type_: bytes) -> None:
    """What is encrypted is unscanned for that reason."""
    ended = Opened(open_cms, info(type_, der(0x30, b"\2\1\0"))).ended
    assert ended is not None
    assert ended.reason is UnscannedReason.ENCRYPTED


@pytest.mark.parametrize(
    ("names", "content", "expected"),
    [
        (("invoice.xml.p7m",), b"<?xml?>", ("invoice.xml",)),
        (("smime.p7m", "invoice.pdf.P7M"), b"%PDF-", ("invoice.pdf",)),
        (("invoice.eml.p7m",), ENTITY, ("invoice.eml", "smime.p7m.eml")),
        (("smime.p7m",), b"\0\1", ("smime.p7m.eml",)),
        ((), ENTITY, ("smime.p7m.eml",)),
        (("smime.p7m.eml.p7m",), ENTITY, ("smime.p7m.eml",)),
    ],
)
def test_names(names: tuple[str, ...], content: bytes, expected: tuple[str, ...]) -> None:
    """A signed file has its wrapper's name without the suffix; a MIME entity has one that says what it is."""
    assert Opened(open_cms, signed(der(4, content)), names=names).members == [(expected, content, False)]


@pytest.mark.parametrize(
    "data",
    [
        signed(),
        signed(b""),
        signed(der(4)),
        signed(ber_(0x24), make=ber_),
        signed(make=ber_),
        signed(der(4), type_=SIGNED),
        info(DATA, der(4)),
    ],
)
def test_nothing_inside(data: bytes) -> None:
    """Certificates only, an absent, a null and an empty content: no members, and nothing unscanned."""
    opened = Opened(open_cms, data)
    assert opened.members == []
    assert opened.is_whole


def test_content_that_is_no_octet_string() -> None:
    """As in the signatures of programs: the element's content is given as it is encoded."""
    assert Opened(open_cms, signed(der(0x30, BINARY), type_=b"\x2b\6\1\4\1\x82\x37\2\1\4")).contents == [BINARY]


@pytest.mark.parametrize(
    "data",
    [b"", b"0", b"0\x80", b"Hello", b"MIME-Version: 1.0", b"M", der(4, ENTITY), info(DATA), info(SIGNED, der(2, b"\1")),
     der(0x30, b"\2\1\1"), b"\x30\x89" + b"\xff" * 20, b"\x1f" + b"\xff" * 50, info(SIGNED, der(0x30, b"\2\1\1"))],
)  # fmt: skip
def test_no_message(data: bytes) -> None:
    """What is not of this form is not unpackable."""
    ended = Opened(open_cms, data).ended
    assert ended is not None
    assert ended.reason is UnscannedReason.NOT_UNPACKABLE


@pytest.mark.parametrize("message", [signed(der(4, ENTITY)), signed(segmented(ENTITY), make=ber_)])
def test_cut_short(message: bytes) -> None:
    """Content that is there is given, and the member is unscanned behind it."""
    opened = Opened(open_cms, message[:5000])
    assert len(opened.contents[0]) > 4000
    assert ENTITY.startswith(opened.contents[0])
    assert [error.reason for error in opened.broken] == [UnscannedReason.NOT_UNPACKABLE]


@pytest.mark.parametrize("content", [zlib.compress(ENTITY)[:-20], zlib.compress(BINARY)[:2000] + b"\xff" * 50])
def test_broken_compression(content: bytes) -> None:
    """What could be decompressed is given, and the member is unscanned behind it."""
    opened = Opened(open_cms, compressed(content))
    assert opened.contents[0]
    assert (ENTITY + BINARY).find(opened.contents[0][:1000]) in {0, len(ENTITY)}
    assert [error.reason for error in opened.broken] == [UnscannedReason.NOT_UNPACKABLE]


def test_compressed_bomb() -> None:
    """Decompression ends at the limit, without more in memory than a piece."""
    opened = Opened(open_cms, compressed(zlib.compress(bytes(20_000_000))), max_member_bytes=1_000_000)
    assert len(opened.contents[0]) == 1_000_000
    assert [error.detail for error in opened.broken] == ["budget.component_bytes"]


def test_walks_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many segments, elements too deep and too many elements beside the content are over budget."""
    monkeypatch.setattr(ber, "MAX_ELEMENTS", 1000)
    monkeypatch.setattr(ber, "MAX_CHILDREN", 1000)
    segments = Opened(open_cms, signed(segmented(ENTITY, 1), make=ber_))
    assert [error.reason for error in segments.broken] == [UnscannedReason.OVER_BUDGET]
    assert segments.contents == [ENTITY[:1000]]
    fillings = [b"\5\0" * 2000, b"\x30\x80" * 2000, ber_(0x31, b"\5\0" * 2000), ber_(0x31, b"\5\0" * 600) * 2]
    for data in (signed(b"\x24\x80" * 500, make=ber_), *(info(SIGNED, der(0x30, each)) for each in fillings)):
        ended = Opened(open_cms, data).ended
        assert ended is not None
        assert ended.reason is UnscannedReason.OVER_BUDGET
        assert "over" in ended.detail


@given(st.binary(max_size=3000), st.integers(1, 700))
def test_segments_are_joined(content: bytes, size: int) -> None:
    """Whatever is cut in whatever pieces comes back."""
    assert b"".join(Opened(open_cms, signed(segmented(content, size), make=ber_)).contents) == content


SEEDS = [
    signed(der(4, ENTITY[:300])),
    signed(segmented(ENTITY[:300], 40), make=ber_),
    compressed(zlib.compress(ENTITY[:300])),
    signed(der(4, body_of(signed(der(4, ENTITY[:50])))), type_=SIGNED),
    base64.encodebytes(signed(der(4, ENTITY[:50]))),
]


@settings(deadline=None)
@given(mutations(SEEDS))
def test_mutated_messages(data: bytes) -> None:
    """Whatever is changed, it ends, within the limits, and with nothing but what openers may raise."""
    opened = Opened(open_cms, data, max_members=50, max_bytes=250)
    assert sum(map(len, opened.contents)) <= 250
