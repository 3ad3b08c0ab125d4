"""uuencoded files in a text, and the ways in which readers of mail read what is out of order."""

import base64
import binascii
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qscan_unpacker.dissection.wrapped import uuencode, wrapped_file
from qscan_unpacker.dissection.wrapped.wrapped_file import TooManyFilesError

DATA = random.Random(1).randbytes(200)


def encoded(data: bytes, *, backtick: bool = True, stripped: bool = False) -> list[bytes]:
    """The lines between ``begin`` and ``end``."""
    rows = [binascii.b2a_uu(data[at : at + 45], backtick=backtick).rstrip(b"\n") for at in range(0, len(data), 45)]
    rows.append(b"`" if backtick else b" ")
    return [row.rstrip(b" ") if stripped else row for row in rows]


def text_of(
    lines: list[bytes], *, begin: bytes = b"begin 644 x.exe", end: bytes = b"end\n", eol: bytes = b"\n"
) -> bytes:
    """A file with its first and last line."""
    return eol.join([begin, *lines, end.replace(b"\n", eol)])


def contents(text: bytes) -> list[bytes]:
    """The decoded readings, in order."""
    return [b"".join(one.pieces) for one in uuencode.find(text)]


@pytest.mark.parametrize("eol", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("backtick", [True, False])
@pytest.mark.parametrize("size", [1, 2, 3, 44, 45, 46, 200])
def test_file_in_a_text(size: int, backtick: bool, eol: bytes) -> None:
    """With its place, its name and its content, for every line end and both ways to write zero."""
    file = text_of(encoded(DATA[:size], backtick=backtick), eol=eol)
    [found] = uuencode.find(b"Hello," + eol + file + b"bye" + eol)
    assert (found.kind, found.names, found.complete) == ("uuencode", ("x.exe",), True)
    assert (found.offset, found.length) == (6 + len(eol), len(file.rstrip()))
    assert b"".join(found.pieces) == DATA[:size]


@given(st.binary(min_size=1, max_size=2_000))
def test_round_trip(data: bytes) -> None:
    """What is encoded by the book comes back, once."""
    assert contents(text_of(encoded(data))) == [data]


def test_file_larger_than_a_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are not lost where two pieces meet, whatever ends them."""
    monkeypatch.setattr(uuencode, "PIECE_BYTES", 150)
    for eol in (b"\n", b"\r\n", b"\r"):
        assert contents(text_of(encoded(DATA * 5), eol=eol)) == [DATA * 5]


def test_stripped_blanks_are_zeros() -> None:
    """A gateway that takes off white space at line ends takes off zeros (Thunderbird and Python put them back)."""
    data = b"abc" + bytes(60) + b"\x01" + bytes(7)
    assert data in contents(text_of(encoded(data, backtick=False, stripped=True)))


@pytest.mark.parametrize(
    ("begin", "names"),
    [
        (b"begin 644 x.exe", ("x.exe",)),
        (b"begin 0644 x.exe", ("x.exe",)),
        (b"begin 100644 x.exe", ("x.exe",)),
        (b"begin  644\t x.exe \t", ("x.exe",)),
        (b"begin\t644 x.exe", ("x.exe",)),
        (b"begin 644 my file.exe", ("my file.exe",)),
        (b'begin 644 "my file.exe"', ('"my file.exe"', "my file.exe")),
        (b"begin 644 gr\xc3\xbc\xc3\x9fe.exe", ("grüße.exe",)),
        (b"begin 644", ()),
        (b"begin", ()),
        (b"begin 644x.exe", ("x.exe",)),
        (b"begin  x.exe", ("x.exe",)),
        (b"begin 999 x.exe", ("999 x.exe",)),
        (b"begin-encoded 644 eC5leGU=", ("x.exe", "eC5leGU=")),
    ],
)
def test_opening_lines(begin: bytes, names: tuple[str, ...]) -> None:
    """Any mode, or none; everything behind it is the name."""
    [found] = uuencode.find(text_of(encoded(DATA), begin=begin))
    assert found.names == names
    assert b"".join(found.pieces) == DATA


def test_long_name_is_cut() -> None:
    """And the line that follows is decoded all the same."""
    [found] = uuencode.find(text_of(encoded(DATA), begin=b"begin 644 " + b"x" * 1_500))
    assert [len(name) for name in found.names] == [1_024]
    assert b"".join(found.pieces) == DATA


@pytest.mark.parametrize(
    "text",
    [
        b"begin with a sentence\nand go on with another\nend\n",
        b"beginning 644 x\n" + b"\n".join(encoded(DATA)),
        b"> begin 644 x\n" + b"\n".join(encoded(DATA)),
        b" begin 644 x\n" + b"\n".join(encoded(DATA)),
        b"begin 644 x\n`\nend\n",
        b"begin 644 x\nend\n",
        b"begin 644 x",
        b"begin",
        b"In the begin 644 x\n",
        b"",
    ],
)
def test_no_file(text: bytes) -> None:
    """Sentences, quotations (no reader takes them for a file) and empty files."""
    assert contents(text) == []


def test_without_end() -> None:
    """A file that is not closed goes on to the end of the text."""
    [found] = uuencode.find(text_of(encoded(DATA), end=b""))
    assert (b"".join(found.pieces), found.complete) == (DATA, False)


def test_several_files() -> None:
    """One after the other."""
    text = (
        text_of(encoded(DATA), begin=b"begin 644 a") + b"between\n" + text_of(encoded(DATA[:50]), begin=b"begin 644 b")
    )
    found = [(one.names, b"".join(one.pieces), one.complete) for one in uuencode.find(text)]
    assert found == [(("a",), DATA, True), (("b",), DATA[:50], True)]


def test_junk_in_the_middle() -> None:
    """Some readers decode it, some pass over it (MIME-tools), some stop there: all of that is scanned."""
    lines = encoded(DATA)
    lines.insert(2, b"-- this is no line of the file --")
    masked, fitting, until_misfit = contents(text_of(lines))
    assert masked.startswith(DATA[:90])
    assert masked.endswith(DATA[90:])
    assert fitting == DATA
    assert until_misfit == DATA[:90]


@pytest.mark.parametrize("count", [b"!", b"N"])
def test_wrong_count(count: bytes) -> None:
    """The count decides what a line holds, or the line does not belong to the file."""
    lines = encoded(DATA)
    lines[1] = count + lines[1][1:]
    masked, fitting, until_misfit = contents(text_of(lines))
    size = count[0] - 32
    assert masked == DATA[:45] + DATA[45 : min(90, 45 + size)] + bytes(max(0, size - 45)) + DATA[90:]
    assert fitting == DATA[:45] + DATA[90:]
    assert until_misfit == DATA[:45]


def test_lower_case_means_the_same_six_bits() -> None:
    """Thunderbird and GNU look at six bits of a character, so that a file can be written without its alphabet."""
    lines = [bytes(byte + 64 if 0x20 <= byte < 0x40 else byte for byte in line) for line in encoded(DATA)[:-1]]
    assert any(byte > 0x60 for line in lines for byte in line[1:])
    assert DATA in contents(text_of([*lines, b"`"]))


def test_last_line_that_is_none() -> None:
    """Who stops at an empty line sees less than who goes on to ``end``."""
    lines = encoded(DATA)
    lines.insert(2, b"`")
    assert contents(text_of(lines)) == [DATA, DATA, DATA[:90]]


def test_file_that_begins_in_a_file() -> None:
    """Thunderbird ends the first and opens the second, MIME-tools goes on with the first."""
    lines = encoded(DATA)
    lines.insert(2, b"begin 644 inner.exe")
    found = [(one.names, b"".join(one.pieces), one.complete) for one in uuencode.find(text_of(lines))]
    assert found == [
        (("x.exe",), DATA[:90], False),
        (("inner.exe",), DATA[90:], True),
        (("x.exe",), DATA, False),
    ]


def test_base64_form() -> None:
    """``begin-base64`` of POSIX."""
    text = b"begin-base64 644 x.bin\n" + base64.encodebytes(DATA) + b"====\nbye\n"
    [found] = uuencode.find(text)
    assert (found.names, b"".join(found.pieces), found.complete) == (("x.bin",), DATA, True)


def test_body_without_an_opening_line() -> None:
    """A part with ``Content-Transfer-Encoding: x-uuencode`` may have the lines alone."""
    assert b"".join(uuencode.decode_body(b"\n".join(encoded(DATA)))) == DATA


def test_too_many_beginnings_are_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text with nothing but opening lines is given up by name."""
    monkeypatch.setattr(uuencode, "MAX_OPENINGS_IN_TEXT", 100)
    assert wrapped_file.MAX_OPENINGS_IN_TEXT > 100
    assert contents(b"begin 644 x\n" * 100) == []
    with pytest.raises(TooManyFilesError):
        contents(b"begin 644 x\n" * 101)


@given(st.lists(st.sampled_from([b"begin 644 x", b"begin", *encoded(DATA), b"end", b"junk", b"", b"`", b"#86%A"])))
def test_any_order_of_lines_ends(lines: list[bytes]) -> None:
    """Whatever stands where, nothing fails, and files lie within the text."""
    text = b"\n".join(lines)
    for one in uuencode.find(text):
        assert one.offset >= 0
        assert one.offset + one.length <= len(text)
        b"".join(one.pieces)


@given(st.binary(max_size=300))
def test_any_bytes_behind_a_beginning(data: bytes) -> None:
    """Decoding is total."""
    contents(b"begin 644 x\n" + data)
    b"".join(uuencode.decode_body(data))
