"""Transfer encodings: decoded piece by piece, with what is wrong noted."""

import base64
import quopri

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
    assert b"".join(transfer.decode_base64(encoded)) == data
    assert transfer.base64_defects(encoded) == []


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("size", range(60))
def test_base64_across_pieces(size: int) -> None:
    """No byte is lost or doubled where two pieces meet."""
    data = bytes(range(size))
    assert b"".join(transfer.decode_base64(base64.encodebytes(data))) == data


@pytest.mark.parametrize(
    ("encoded", "decoded", "ids"),
    [
        (b"aGVs*bG8=", b"hello", ["base64.junk"]),
        (b"aGVsbG8", b"hello", ["base64.padding.missing"]),
        (b"aGU=bGxv", b"hello"[:2] + b"llo", ["base64.padding.early"]),
        (b"aGVsbG8=\nIHdvcmxk", b"hello world", ["base64.padding.early"]),
        (b"====", b"", []),
        (b"a", b"", ["base64.padding.missing"]),
        (b"", b"", []),
        (b"\xff\xfe\x00", b"", ["base64.junk"]),
    ],
)
def test_malformed_base64_goes_on(encoded: bytes, decoded: bytes, ids: list[str]) -> None:
    """Nothing behind a defect is cut off (field-lessons §4.1 case 5)."""
    assert b"".join(transfer.decode_base64(encoded)) == decoded
    assert transfer.base64_defects(encoded) == ids


@given(st.binary(max_size=4000))
def test_quoted_printable_round_trip(data: bytes) -> None:
    """What the standard library encodes comes back, without a defect."""
    encoded = quopri.encodestring(data)
    assert b"".join(transfer.decode_quoted_printable(encoded)) == data
    assert transfer.quoted_printable_defects(encoded) == []


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("indent", range(20))
def test_quoted_printable_escapes_are_not_cut_in_two(indent: int) -> None:
    """Also in a line that is longer than a piece."""
    encoded = b"x" * indent + b"=41=42=43" * 5
    assert b"".join(transfer.decode_quoted_printable(encoded)) == b"x" * indent + b"ABC" * 5


@given(st.binary(max_size=300))
def test_any_bytes_decode_to_something(data: bytes) -> None:
    """Both decoders are total."""
    b"".join(transfer.decode_base64(data))
    b"".join(transfer.decode_quoted_printable(data))
    transfer.base64_defects(data)
    transfer.quoted_printable_defects(data)
