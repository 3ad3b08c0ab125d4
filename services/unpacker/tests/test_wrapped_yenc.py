"""yEnc files in a text."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qscan_unpacker.dissection.wrapped import yenc

DATA = bytes(range(256)) * 3 + random.Random(2).randbytes(400)
BEGIN = b"=ybegin line=128 size=1168 name=my file.exe"


def encoded(data: bytes, *, line: int = 128, escaped: bytes = b"\0\n\r=", eol: bytes = b"\r\n") -> bytes:
    """The encoded lines, each with its end."""
    out, column = bytearray(), 0
    for byte in data:
        value = (byte + 42) & 255
        unit = b"=%c" % ((value + 64) & 255) if value in escaped else b"%c" % value
        out += unit
        column += len(unit)
        if column >= line:
            out += eol
            column = 0
    return bytes(out) + (eol if column else b"")


def contents(text: bytes) -> list[bytes]:
    """The decoded readings, in order."""
    return [b"".join(one.pieces) for one in yenc.find(text)]


@pytest.mark.parametrize("eol", [b"\n", b"\r\n"])
def test_file_in_a_text(eol: bytes) -> None:
    """With its place, its name and its content."""
    file = BEGIN + eol + encoded(DATA, eol=eol) + b"=yend size=1168 crc32=00000000" + eol
    [found] = yenc.find(b"Hello," + eol + file)
    assert (found.kind, found.names, found.complete) == ("yenc", ("my file.exe",), True)
    assert found.offset == 6 + len(eol)
    assert found.length == len(file) - len(b"1168 crc32=00000000") - len(eol)
    assert b"".join(found.pieces) == DATA


@given(st.binary(min_size=1, max_size=1_000))
def test_round_trip(data: bytes) -> None:
    """What is encoded by the book comes back, once."""
    assert contents(BEGIN + b"\n" + encoded(data, escaped=b"\0\n\r=.") + b"=yend size=1\n") == [data]


def test_escapes_across_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """An escape whose two halves are in two pieces is one."""
    for size in range(1, 8):
        monkeypatch.setattr(yenc, "PIECE_BYTES", size)
        text = BEGIN + b"\r\n" + encoded(DATA, escaped=b"\0\n\r=abcdefgh") + b"=yend size=1168\r\n"
        assert contents(text) == [DATA]


def test_parts_are_files() -> None:
    """Each part of a multi-part file, with its name; whether readers put them together is not known."""
    parts = [
        b"=ybegin part=%d total=2 line=128 size=400 name=x.zip\n=ypart begin=1 end=200\n" % number
        + encoded(data)
        + b"=yend size=200 part=%d\n" % number
        for number, data in ((1, DATA[:200]), (2, DATA[200:400]))
    ]
    found = [(one.names, b"".join(one.pieces), one.complete) for one in yenc.find(b"".join(parts))]
    assert found == [(("x.zip",), DATA[:200], False), (("x.zip",), DATA[200:400], False)]


@pytest.mark.parametrize("end", [b"", b"=ybegin line=128 size=1 name=y\n"])
def test_without_end(end: bytes) -> None:
    """A file that is not closed goes on to the next, or to the end of the text."""
    found = list(yenc.find(BEGIN + b"\n" + encoded(DATA) + end))
    assert [(b"".join(one.pieces), one.complete) for one in found] == [(DATA, False)]


def test_end_that_is_none_for_some() -> None:
    """Thunderbird goes on behind a closing line without a size."""
    text = BEGIN + b"\n" + encoded(DATA) + b"=yend\n" + encoded(DATA) + b"=yend size=9\n"
    short, long = contents(text)
    assert short == DATA
    assert long.startswith(DATA)
    assert long.endswith(DATA)


def test_dots_that_were_doubled() -> None:
    """As the file came by NNTP; where not every such line has two dots, they are the file's own."""
    data = b"\x04" * 256  # a dot, encoded
    text = encoded(data).replace(b"\n.", b"\n..")
    assert b"\n.." in text
    assert data in contents(BEGIN + b"\r\n." + text + b"=yend size=256\r\n")
    assert len(contents(BEGIN + b"\r\n" + encoded(b"\x04a" * 256, line=4) + b"=yend size=512\r\n")) == 1


@pytest.mark.parametrize(
    "text", [b"", b"=ybegin ", BEGIN, BEGIN + b"\n=yend\n", b"x " + BEGIN + b"\nabc", b"=ybegin\nabc"]
)
def test_no_file(text: bytes) -> None:
    """Not at the beginning of a line, or empty."""
    assert contents(text) == []


@given(st.lists(st.sampled_from([BEGIN, b"=yend", b"=yend size=3", b"=ypart begin=1", b"abc=", b"==", b"..", b""])))
def test_any_order_of_lines_ends(lines: list[bytes]) -> None:
    """Whatever stands where, nothing fails, and files lie within the text."""
    text = b"\n".join(lines)
    for one in yenc.find(text):
        assert one.offset + one.length <= len(text)
        b"".join(one.pieces)
