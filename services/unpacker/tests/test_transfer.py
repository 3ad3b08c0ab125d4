"""Transfer encodings: decoded piece by piece, with what is wrong noted."""

import base64
import quopri
from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qscan_unpacker.dissection import transfer


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces so small that every boundary case falls between two of them."""
    monkeypatch.setattr(transfer, "PIECE_BYTES", 16)


@given(st.binary(max_size=4000))
def test_base64_round_trip(data: bytes) -> None:
    """What the standard library encodes comes back, without a defect."""
    encoded = base64.encodebytes(data)
    assert b"".join(transfer.regular_base64(encoded)) == data
    assert b"".join(transfer.decode_base64(encoded)) == data
    assert transfer.base64_readings(encoded).defects == ()


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("size", range(60))
def test_base64_across_pieces(size: int) -> None:
    """No byte is lost or doubled where two pieces meet."""
    data = bytes(range(size))
    encoded = base64.encodebytes(data)
    assert b"".join(transfer.regular_base64(encoded)) == data
    assert b"".join(transfer.decode_base64(encoded)) == data


@pytest.mark.parametrize(
    ("encoded", "decoded", "ids"),
    [
        (b"aGVs*bG8=", b"hello", ["base64.junk"]),
        (b"aGVsbG8", b"hello", ["base64.padding.missing"]),
        (b"aGU=bGxv", b"hello"[:2] + b"llo", ["base64.padding.early"]),
        (b"aGVsbG8=\nIHdvcmxk", b"hello world", ["base64.padding.early"]),
        (b"====", b"", []),
        (b"aGVs bG8=\t", b"hello", []),
        (b"a", b"", ["base64.padding.missing"]),
        (b"", b"", []),
        (b"\xff\xfe\x00", b"", ["base64.junk"]),
    ],
)
def test_malformed_base64_goes_on(encoded: bytes, decoded: bytes, ids: list[str]) -> None:
    """Nothing behind a defect is cut off (field-lessons §4.1 case 5)."""
    with pytest.raises(transfer.IrregularError) if encoded else nullcontext():
        b"".join(transfer.regular_base64(encoded))
    readings = transfer.base64_readings(encoded)
    assert b"".join(readings.decoders[0](encoded)) == decoded
    assert list(readings.defects) == ids


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize(
    ("encoded", "expected"),
    [
        (b"aGVsbG8=\nIHdvcmxk", {b"hello", b"hello world"}),
        (b"aGU=bGxv", {b"he", b"hello"}),
        (b"aGVsb=G8=", {b"hello"}),
        (b"aGVsbG8=%%%\nd29ybGQ=", {b"hello", b"helloworld"}),
        (b"-_-_", {bytes([251, 255, 191])}),
        (b"aGVsb\nG8\n*", {b"hel" + b"\x1b", b"hello"}),
    ],
)
def test_every_reading_of_malformed_base64(encoded: bytes, expected: set[bytes]) -> None:
    """Up to the padding, over it, up to the junk, over it, in the alphabet for URLs, line by line."""
    found = {b"".join(decode(encoded)) for decode in transfer.base64_readings(encoded).decoders}
    assert expected <= found


@given(st.binary(max_size=4000))
def test_quoted_printable_round_trip(data: bytes) -> None:
    """What the standard library encodes comes back, without a defect."""
    assert b"".join(transfer.regular_quoted_printable(quopri.encodestring(data))) == data


@pytest.mark.parametrize(
    ("encoded", "expected"),
    [
        (b"a= \nb", {b"ab"}),
        (b"a=\nb", {b"ab"}),
        (b"a=3D=WWb", {b"a==WWb", b"a=WWb"}),
        (b"a=\rb=G", {b"ab=G", b"a=\rb=G"}),
        (b"a \nb=G", {b"a \nb=G", b"a\nb=G"}),
    ],
)
def test_every_reading_of_quoted_printable(encoded: bytes, expected: set[bytes]) -> None:
    """Soft line breaks with white space; an equals sign that begins no escape, kept and dropped."""
    try:
        found = {b"".join(transfer.regular_quoted_printable(encoded))}
    except transfer.IrregularError:
        found = {b"".join(decode(encoded)) for decode in transfer.quoted_printable_readings().decoders}
    assert expected <= found


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("indent", range(20))
def test_quoted_printable_escapes_are_not_cut_in_two(indent: int) -> None:
    """Also in a line that is longer than a piece."""
    encoded = b"x" * indent + b"=41=42=43" * 5
    assert b"".join(transfer.decode_quoted_printable(encoded)) == b"x" * indent + b"ABC" * 5


@given(st.binary(max_size=300))
def test_any_bytes_decode_to_something(data: bytes) -> None:
    """Every decoder of irregular text is total."""
    for readings in (transfer.base64_readings(data), transfer.quoted_printable_readings()):
        for decode in readings.decoders:
            b"".join(decode(data))
