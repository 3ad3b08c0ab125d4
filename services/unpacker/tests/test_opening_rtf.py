"""RTF: objects, packaged files, pictures and raw bytes, however the digits are broken up."""

import random
import struct

import pytest
from hypothesis import given, settings

from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening import rtf
from qscan_unpacker.opening.rtf import open_rtf
from services.unpacker.tests.opened_containers import Opened, mutations

PAYLOAD = b"MZ" + random.Random(2).randbytes(600)
COMPOUND = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600)


def counted(name: bytes) -> bytes:
    """A name behind its length."""
    return struct.pack("<I", len(name) + 1) + name + b"\0"


def ole1(class_name: bytes, native: bytes, *, topic: bytes = b"", size: int | None = None) -> bytes:
    """An embedded object of OLE 1."""
    head = struct.pack("<II", 0x501, 2) + counted(class_name) + counted(topic) + struct.pack("<I", 0)
    return head + struct.pack("<I", len(native) if size is None else size) + native


def package(name: bytes, content: bytes) -> bytes:
    """A packaged file without its names in UTF-16."""
    body = struct.pack("<H", 2) + name + b"\0C:\\from\\" + name + b"\0" + struct.pack("<HH", 0, 3)
    return body + counted(b"C:\\tmp\\" + name) + struct.pack("<I", len(content)) + content


def document(digits: str | bytes, destination: bytes = rb"\*\objdata") -> bytes:
    """A document with one object."""
    raw = digits.encode() if isinstance(digits, str) else digits
    return rb"{\rtf1\ansi Hello {\object\objemb{\*\objclass Package}{" + destination + b" " + raw + rb"}} world\par}"


OBJECT = ole1(b"Package", package(b"invoice.exe", PAYLOAD))


def test_packaged_file() -> None:
    """The object as it is, and the file in it with the names that the package has for it."""
    opened = Opened(open_rtf, document(OBJECT.hex()))
    assert opened.contents == [OBJECT, PAYLOAD]
    assert opened.names_of(PAYLOAD) == ("invoice.exe", "C:\\from\\invoice.exe", "C:\\tmp\\invoice.exe")
    assert opened.is_whole


def test_compound_file_in_an_object() -> None:
    """What is in the object without being a package is given from its first byte on."""
    assert Opened(open_rtf, document(ole1(b"Word.Document.8", COMPOUND).hex())).contents[1] == COMPOUND


@pytest.mark.parametrize("header", [b"", b"\1\2\3\4\5\6\7\x08", ole1(b"x", b"", size=0), ole1(b"x", b"junk", size=4)])
def test_compound_file_behind_a_header_that_says_nothing(header: bytes) -> None:
    """It is found by its signature."""
    assert COMPOUND in Opened(open_rtf, document((header + COMPOUND).hex())).contents


def test_link() -> None:
    """The place that a link leads to is a name."""
    url = b"http://192.0.2.1/a.hta"
    link = struct.pack("<II", 0x501, 1) + counted(b"htmlfile") + counted(url) + struct.pack("<II", 0, 0)
    assert Opened(open_rtf, document(link.hex())).members == [((url.decode(),), link, False)]


HEX = OBJECT.hex()


@pytest.mark.parametrize(
    "digits",
    [
        "\r\n".join(HEX[i : i + 7] for i in range(0, len(HEX), 7)),
        HEX.upper(),
        HEX[:11] + "\\par \\rtlch123 \\clFitText " + HEX[11:],
        HEX[:11] + "{\\*\\unknown}{}" + HEX[11:],
        HEX[:11] + "{" + HEX[11:100] + "}" + HEX[100:],
        HEX[:10] + "{\\*\\junk 414243}" + HEX[10:],
        HEX[:10] + "{\\pict 414243}" + HEX[10:],
        HEX[:10] + "\\'41\\'42" + HEX[10:],
        HEX[:10] + "\\'" + HEX[10:],
        HEX[:10] + "ghijxyz-+*/.,;" + HEX[10:],
        HEX[:10] + "\\~\\*\\_\\\n\\" + "a" * 60 + " " + HEX[10:],
        "{\\*\\objdata " + HEX + "}",
        HEX + "0",
        HEX + "}{\\*\\objdata 00",
    ],
)
def test_digits_broken_up(digits: str) -> None:
    """Line ends, control words, groups, escapes and junk between the digits: the file is found behind each."""
    assert PAYLOAD in Opened(open_rtf, document(digits)).contents


def test_escapes_may_be_digits() -> None:
    """Some readers take the digits of an escape, others skip them: both readings are given."""
    digits = HEX[:20] + "\\'" + HEX[20:22] + HEX[22:]
    opened = Opened(open_rtf, document(digits))
    assert PAYLOAD in opened.contents
    assert bytes.fromhex(HEX[:20] + HEX[22:]) in opened.contents


@pytest.mark.parametrize("before", [b"", b"abc"])
def test_raw_bytes_among_digits(before: bytes) -> None:
    r"""The bytes behind \bin belong to the object, whatever they look like; a single digit before them is lost."""
    raw = b"}}{\\" + PAYLOAD
    content = package(b"a.exe", raw)
    head = ole1(b"Package", b"", size=len(content)) + content[: content.index(raw)]
    digits = head.hex().encode() + (b"a" if before else b"") + b"\\bin%d " % len(raw) + raw
    assert raw in Opened(open_rtf, document(digits)).contents


def test_more_raw_bytes_than_there_are() -> None:
    """A number of raw bytes beyond the end, or below zero, skips nothing."""
    for number in (b"4294967295", b"-5", b"0", b"", b"9" * 250):
        data = rb"{\rtf1 \bin" + number + b" " + document(HEX)[6:]
        assert PAYLOAD in Opened(open_rtf, data).contents


def test_raw_bytes_outside_of_objects() -> None:
    """They are a member, and what looks like an object in them is none."""
    raw = document("4142")
    assert Opened(open_rtf, rb"{\rtf1 \bin%d " % len(raw) + raw + b"}").contents == [raw]


def test_pictures_and_data_stores() -> None:
    """Pictures without the digits of their properties, and the stores of custom XML."""
    picture = rb"{\pict{\*\blipuid 0a0b}\pngblip\picw10" + b"\n" + PAYLOAD.hex().encode() + b"}"
    opened = Opened(open_rtf, rb"{\rtf1" + picture + rb"{\*\datastore " + COMPOUND.hex().encode() + b"}}")
    assert opened.contents == [PAYLOAD, COMPOUND]


def test_objects_in_objects_and_without_an_end() -> None:
    """A destination in a destination does not hide either; the document's end ends them all."""
    inner = ole1(b"Package", package(b"inner.exe", b"inner"))
    assert {PAYLOAD, b"inner"} <= set(
        Opened(open_rtf, document(HEX[:20] + "{\\*\\objdata " + inner.hex() + "}" + HEX[20:])).contents
    )
    assert PAYLOAD in Opened(open_rtf, rb"{\rtf1{\objdata{{{\objdata " + HEX.encode()).contents


def test_text_is_no_destination() -> None:
    """Ordinary documents have no members; longer control words are other control words."""
    opened = Opened(open_rtf, rb"{\rtf1\ansi{\fonttbl{\f0 Arial;}}\objdatax 4142\pictx 43 Text \binx}")
    assert opened.members == []
    assert opened.is_whole


@pytest.mark.parametrize(
    "piece", [b"{", b"}", b"{}", b"\\a", b"\\'41", b"{\\objdata ", b"{\\pict 41}", b"\\bin1 x", b"\\"]
)
def test_tokens_are_bounded(piece: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A document of nothing but tokens ends, where there are too many of them as over budget."""
    monkeypatch.setattr(rtf, "MAX_TOKENS", 10_000)
    ended = Opened(open_rtf, rb"{\rtf1{\objdata " + piece * 15_000, max_members=10**6).ended
    assert ended is None or ended.reason is UnscannedReason.OVER_BUDGET
    assert (ended is not None) == (piece not in {b"}", b"\\"})


def test_limits() -> None:
    """Members and bytes end at the limits of the request."""
    data = rb"{\rtf1" + document(HEX)[6:-1] * 3 + b"}"
    assert Opened(open_rtf, data).contents == [OBJECT, PAYLOAD] * 3
    few = Opened(open_rtf, data, max_members=2)
    assert few.ended is not None
    assert few.ended.detail == "budget.components"
    short = Opened(open_rtf, data, max_member_bytes=10)
    assert short.contents == [OBJECT[:10], PAYLOAD[:10]] * 3
    assert {error.detail for error in short.broken} == {"budget.component_bytes"}


SEEDS = [
    document(HEX),
    document(HEX[:50] + "{\\*\\junk 4142\\'43\\bin4 abcd}" + HEX[50:]),
    document(ole1(b"x", COMPOUND).hex()) + rb"{\pict{\*\blipuid 0a0b} 4142}\bin3 abc",
]


@settings(deadline=None)
@given(mutations(SEEDS))
def test_mutated_documents(data: bytes) -> None:
    """Whatever is changed, it ends, within the limits, and with nothing but what openers may raise."""
    opened = Opened(open_rtf, data, max_members=50, max_bytes=5000)
    assert sum(map(len, opened.contents)) <= 5000
