"""BinHex files in a text."""

import base64
import itertools
import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qscan_unpacker.dissection.wrapped import binhex
from qscan_unpacker.dissection.wrapped.wrapped_file import PIECE_BYTES

DATA = b"\x90\x90abc" + b"\0" * 700 + random.Random(3).randbytes(300) + b"\x90"
RESOURCES = bytes(range(256))
SENTENCE = b"(This file must be converted with BinHex 4.0)\n"
DIGITS = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def compressed(raw: bytes) -> bytes:
    """Runs of four and more shortened, the mark itself escaped."""
    out = b""
    for byte, same in itertools.groupby(raw):
        one = b"\x90\0" if byte == 0x90 else bytes([byte])
        count = len(list(same))
        while count:
            run = min(count, 255)
            out += one + b"\x90" + bytes([run]) if run > 3 else one * run
            count -= run
    return out


def file(name: bytes, data: bytes, resources: bytes = b"", *, stated: tuple[int, int] | None = None) -> bytes:
    """The bytes of a file before they are encoded."""
    lengths = stated or (len(data), len(resources))
    head = bytes([len(name)]) + name + struct.pack(">x4s4sHII", b"TEXT", b"ttxt", 0, *lengths)
    return head + b"\0\0" + data + b"\0\0" + resources + b"\0\0"


def digits(packed: bytes, *, eol: bytes = b"\n") -> bytes:
    """A colon, lines of 64 digits, a colon."""
    text = b":" + base64.b64encode(packed).rstrip(b"=").translate(bytes.maketrans(BASE64, DIGITS)) + b":"
    return eol.join(text[at : at + 64] for at in range(0, len(text), 64)) + eol


def contents(text: bytes) -> list[bytes]:
    """The decoded readings, in order."""
    return [b"".join(one.pieces) for one in binhex.find(text)]


@pytest.mark.parametrize("eol", [b"\n", b"\r\n", b"\r"])
def test_forks(eol: bytes) -> None:
    """Both, with the place and the name of the file."""
    encoded = SENTENCE.rstrip() + eol + digits(compressed(file(b"x.exe", DATA, RESOURCES)), eol=eol)
    found = list(binhex.find(b"Hello" + eol + encoded + b"bye"))
    assert [(one.kind, one.names, one.complete) for one in found] == [("binhex", ("x.exe",), True)] * 2
    assert {(one.offset, one.length) for one in found} == {(6 + len(eol), len(encoded) - 1 - len(eol))}
    assert contents(encoded) == [DATA, RESOURCES]


@given(st.binary(min_size=1, max_size=600), st.binary(max_size=50))
def test_round_trip(data: bytes, resources: bytes) -> None:
    """With and without runs; an empty fork is no file."""
    text = SENTENCE + digits(compressed(file(b"x", data, resources)))
    assert contents(text) == [one for one in (data, resources) if one]


def test_runs_across_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mark and its count may be in two pieces, and so may a byte and its mark."""
    for size in range(4, 16):
        monkeypatch.setattr(binhex, "PIECE_BYTES", size)
        assert contents(SENTENCE + digits(compressed(file(b"x", DATA, RESOURCES)))) == [DATA, RESOURCES]


def test_runs_as_other_writers_write_them() -> None:
    """A run of a run, a run of one, and a run of marks."""
    packed = file(b"x", b"", stated=(13, 0))[:-4] + b"a\x90\x03\x90\x03b\x90\x01\x90\0\x90\x05cd\0\0"
    assert contents(SENTENCE + digits(packed)) == [b"aaaaab" + b"\x90" * 5 + b"cd"]


def test_bomb_comes_in_pieces() -> None:
    """Three bytes give 255, but never more at once than the budget can stop."""
    packed = compressed(file(b"x", b"", stated=(2**31, 0))[:-4]) + b"a\x90\xff" * 100_000
    found = next(binhex.find(SENTENCE + digits(packed)))
    sizes = [len(piece) for piece in found.pieces]
    assert sum(sizes) > 25_000_000
    assert max(sizes) < 2 * PIECE_BYTES


def test_bytes_behind_the_forks() -> None:
    """MIME-tools does not look at the stated lengths, so what they leave out is scanned."""
    assert contents(SENTENCE + digits(compressed(file(b"x", DATA, stated=(5, 0))))) == [
        DATA[:5],
        DATA[9:] + b"\0\0\0\0",
    ]


def test_lengths_that_lie() -> None:
    """More than there is: what there is."""
    text = SENTENCE + digits(compressed(file(b"x", DATA, stated=(2**32 - 1, 2**32 - 1))))
    assert contents(text)[0] == DATA + b"\0\0\0\0"


def test_without_closing_colon() -> None:
    """It goes on to the end of the text; what is no digit is passed over."""
    text = SENTENCE + digits(compressed(file(b"x.exe", DATA))).rstrip(b"\n:") + b"\n"
    assert contents(text) == [DATA]
    assert not next(binhex.find(text)).complete


def test_without_the_sentence() -> None:
    """As the body of a part of type application/mac-binhex40, if the header looks like one."""
    assert contents(b"\r\n" + digits(compressed(file(b"x.exe", DATA)))) == [DATA]
    assert contents(b":-) " + digits(compressed(file(b"x.exe", DATA)))) == []
    assert contents(digits(compressed(file(b"", DATA)))) == []


def test_several_files() -> None:
    """One after the other, with a sentence that has no file in between."""
    text = (
        SENTENCE
        + digits(file(b"a", b"first file"))
        + SENTENCE
        + b"no\n"
        + SENTENCE
        + digits(file(b"b", b"second file"))
    )
    assert contents(text) == [b"first file", b"second file"]


@pytest.mark.parametrize(
    "text", [b"", SENTENCE, SENTENCE + b":", SENTENCE + b":\n:", SENTENCE + b":abc:", b":" + b"!" * 70]
)
def test_no_file(text: bytes) -> None:
    """Too little for a header."""
    assert contents(text) == []


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    """Decoding is total."""
    contents(SENTENCE + b":" + data)
    contents(SENTENCE + digits(data))
    contents(b":" + data)
