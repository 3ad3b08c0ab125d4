"""TNEF: attachments with all their names, nested messages and bodies, from real files and from crafted ones."""

import hashlib
import random
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings

from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening import mapi, tnef
from qscan_unpacker.opening.tnef import open_tnef
from services.unpacker.tests.opened_containers import Opened, mutations

CORPUS = Path(__file__).resolve().parents[4] / "shared" / "corpus" / "tnef"
PAYLOAD = random.Random(3).randbytes(5000)
IMESSAGE = bytes.fromhex("0703020000000000c000000000000046")

AGREED: dict[str, dict[str, str]] = {
    "one-file.tnef": {"AUTHORS": "36c47da7d11846caf0474a4b3df83bb4eba9ea01d2bca500c288fa108e123d28"},
    "two-files.tnef": {
        "AUTHORS": "36c47da7d11846caf0474a4b3df83bb4eba9ea01d2bca500c288fa108e123d28",
        "README": "d0f163180d6ad5d8d3b4e7c6bc0cc948d05888bff0f69dba375b946ea4c6b0fa",
    },
    "long-filename.tnef": {
        "allproductsmar2000.dat": "de2ad5d4e20a2456ad12808dee82af2d0d1236ddf5bd55832581a7886cdcd807",
        "body.rtf": "2f522487cfb7ad54cea360683d80bca7f6da39e8c1bfa9b723168aa7bca74695",
    },
    "body.tnef": {"body.html": "0f4e697985fbcf97c8bd5797c90bd930cb8b7b163cec3f8ad5895e6f04efea3e"},
    "rtf.tnef": {"body.rtf": "285e04e771fe1f1d699d8c7c6ce5d5fcf4dfebf239d9ed002239662e4862bde7"},
    "triples.tnef": {"body.rtf": "8bbeaeb23fc3a13faaccd850e600d78aa01fce545f0ce9759c66a5a47867e29b"},
    "garbage-at-end.tnef": {},
}
"""Name and SHA-256, as tnef 1.4.18 gives them; for attachments ytnef 2.0 and tnefparse 1.4.0 give the same."""


@pytest.mark.parametrize(("file", "expected"), AGREED.items())
def test_corpus(file: str, expected: dict[str, str]) -> None:
    """Every attachment that three other decoders find is a member with that name."""
    opened = Opened(open_tnef, (CORPUS / file).read_bytes())
    for name, sha256 in expected.items():
        digests = [hashlib.sha256(content).hexdigest() for names, content, _ in opened.members if name in names]
        assert sha256 in digests
    assert (opened.ended, opened.broken, opened.unopened) == (None, [], [])
    assert opened.notes == (["archive.surrounded"] if file == "garbage-at-end.tnef" else [])


def test_corpus_without_a_signature() -> None:
    """One file of the corpus is damaged so that no decoder takes it for TNEF: not unpackable."""
    ended = Opened(open_tnef, (CORPUS / "badchecksum.tnef").read_bytes()).ended
    assert ended is not None
    assert ended.reason is UnscannedReason.NOT_UNPACKABLE


def attribute(level: int, id_: int, value: bytes, *, checksum: int | None = None) -> bytes:
    """An attribute with its checksum."""
    total = sum(value) & 0xFFFF if checksum is None else checksum
    return struct.pack("<BII", level, id_, len(value)) + value + struct.pack("<H", total)


def stream(*attributes: bytes) -> bytes:
    """A TNEF stream."""
    return bytes.fromhex("789f3e22") + b"\1\0" + b"".join(attributes)


def padded(value: bytes) -> bytes:
    """A value behind its length, filled up to four bytes."""
    return struct.pack("<I", len(value)) + value + bytes(-len(value) % 4)


def counted(id_: int, type_: int, *values: bytes) -> bytes:
    """A property of a type whose values have lengths."""
    return struct.pack("<HHI", type_, id_, len(values)) + b"".join(map(padded, values))


def listed(*properties: bytes) -> bytes:
    """A list of properties."""
    return struct.pack("<I", len(properties)) + b"".join(properties)


RENDERING = attribute(2, 0x69002, bytes(14))
FIXED = [
    struct.pack("<HHI", 0x0003, 0x3705, 1),
    struct.pack("<HHQ", 0x0040, 0x3007, 7),
    struct.pack("<HH16s", 0x0048, 0x3FFF, b"guid"),
    struct.pack("<HHI3I", 0x1003, 0x3FFE, 3, 1, 2, 3),
    struct.pack("<HH16sII", 0x0003, 0x8001, b"set", 0, 5) + bytes(4),
    struct.pack("<HH16sI", 0x001E, 0x8002, b"set", 1) + padded("näme".encode("utf-16-le")) + b"\1\0\0\0" + padded(b"v"),
]
ATTACHMENT = [
    RENDERING,
    attribute(2, 0x18010, b"QUARTE~1.EXE\0"),
    attribute(2, 0x6800F, PAYLOAD),
    attribute(
        2,
        0x69005,
        listed(
            *FIXED,
            counted(0x3707, 0x1F, "Übersicht 終.exe\0".encode("utf-16-le")),
            counted(0x3704, 0x1E, b"UEBERS~1.EXE\0"),
            counted(0x3001, 0x1E, "Übersicht".encode("cp1252")),
        ),
    ),
]


def test_names_of_an_attachment() -> None:
    """Its title, and the long, the short and the shown name among its properties, in order and each once."""
    assert Opened(open_tnef, stream(*ATTACHMENT)).members == [
        (("QUARTE~1.EXE", "Übersicht 終.exe", "UEBERS~1.EXE", "Übersicht"), PAYLOAD, False)
    ]


@pytest.mark.parametrize(("code_page", "name"), [(1251, "отчёт.exe"), (932, "請求書.exe"), (936, "发票.exe")])
def test_code_page(code_page: int, name: str) -> None:
    """Names are in the code page of the sender; those in UTF-8 all the same are read as that too."""
    page = attribute(1, 0x69007, struct.pack("<II", code_page, 0))
    for codec in (f"cp{code_page}", "utf-8"):
        title = attribute(2, 0x18010, name.encode(codec) + b"\0")
        opened = Opened(open_tnef, stream(page, RENDERING, title, attribute(2, 0x6800F, PAYLOAD)))
        assert name in opened.names_of(PAYLOAD)


def test_nested_message() -> None:
    """A message in a message is a member that is TNEF again; an embedded object comes without the id before it."""
    inner = stream(*ATTACHMENT)
    data = stream(RENDERING, attribute(2, 0x69005, listed(counted(0x3701, 0x0D, IMESSAGE + inner))))
    opened = Opened(open_tnef, data)
    assert opened.contents == [inner]
    assert Opened(open_tnef, opened.contents[0]).contents == [PAYLOAD]


def test_attachments_are_kept_apart() -> None:
    """Each rendering begins an attachment; what comes without one before it is one as well, and so is each content."""
    data = stream(
        attribute(2, 0x6800F, b"first"),
        RENDERING,
        attribute(2, 0x6800F, b"second"),
        attribute(2, 0x6800F, b"third"),
        attribute(2, 0x18010, b"both.bin\0"),
        RENDERING,
        attribute(2, 0x18011, b"picture"),
    )
    assert Opened(open_tnef, data).members == [
        ((), b"first", False),
        (("both.bin",), b"second", False),
        (("both.bin",), b"third", False),
        ((), b"picture", False),
    ]


def test_bodies() -> None:
    """Text, HTML and compressed RTF, of whatever type they are."""
    rtf = struct.pack("<IIII", 0, 0, 0x75465A4C, 0) + b"\0{\\rtf1 a"
    bodies = listed(counted(0x1000, 0x1E, b"text"), counted(0x1013, 0x102, b"<p>"), counted(0x1009, 0x102, rtf))
    data = stream(attribute(1, 0x2800C, b"old text"), attribute(1, 0x69003, bodies))
    assert [(names[0], content) for names, content, _ in Opened(open_tnef, data).members] == [
        ("body.txt", b"old text"),
        ("body.txt", b"text"),
        ("body.html", b"<p>"),
        ("body.rtf", b"{\\rtf1 a"),
    ]


def test_bad_compression_breaks_the_body_only() -> None:
    """A body that cannot be decompressed is unscanned; the attachments behind it are read."""
    bodies = listed(counted(0x1009, 0x102, b"\0" * 20))
    opened = Opened(open_tnef, stream(attribute(1, 0x69003, bodies), *ATTACHMENT))
    assert [error.reason for error in opened.broken] == [UnscannedReason.NOT_UNPACKABLE]
    assert PAYLOAD in opened.contents


def test_checksums_are_not_looked_at() -> None:
    """A wrong checksum keeps nobody from the attachment."""
    data = stream(RENDERING, attribute(2, 0x6800F, PAYLOAD, checksum=1))
    assert Opened(open_tnef, data).contents == [PAYLOAD]


def test_attribute_longer_than_the_file() -> None:
    """What is there of it is given, and noted."""
    opened = Opened(open_tnef, stream(RENDERING, attribute(2, 0x6800F, PAYLOAD))[:-1000])
    assert PAYLOAD.startswith(opened.contents[0])
    assert len(opened.contents[0]) == len(PAYLOAD) - 998
    assert opened.notes == ["archive.size_wrong"]


@pytest.mark.parametrize(
    "properties",
    [b"", b"\5\0\0\0", listed(struct.pack("<HH", 0x00FE, 1)), listed(counted(0x3701, 0x102, b"abcd"))[:-1]],
)
def test_properties_that_cannot_be_read(properties: bytes) -> None:
    """They may hold an attachment, so they are unscanned, with the names known; the rest is read."""
    data = stream(RENDERING, attribute(2, 0x18010, b"a.bin\0"), attribute(2, 0x69005, properties), *ATTACHMENT)
    opened = Opened(open_tnef, data)
    assert [(each.names, each.reason) for each in opened.unopened] == [(("a.bin",), UnscannedReason.NOT_UNPACKABLE)]
    assert PAYLOAD in opened.contents


def test_counts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """More attributes or properties than any message has are over budget, behind those that were read."""
    monkeypatch.setattr(tnef, "MAX_ATTRIBUTES", 10)
    monkeypatch.setattr(mapi, "MAX_PROPERTIES", 10)
    few = [struct.pack("<HHI", 3, 0x3705, 1)] * 20
    opened = Opened(open_tnef, stream(RENDERING, attribute(2, 0x69005, listed(*few)), *[RENDERING] * 20))
    assert [each.detail for each in opened.unopened] == ["over 10 MAPI properties"]
    assert opened.ended is not None
    assert opened.ended.reason is UnscannedReason.OVER_BUDGET


def test_limits() -> None:
    """Members and bytes end at the limits of the request."""
    data = stream(*ATTACHMENT * 3)
    assert Opened(open_tnef, data).contents == [PAYLOAD] * 3
    few = Opened(open_tnef, data, max_members=2)
    assert few.ended is not None
    assert few.ended.detail == "budget.components"
    less = Opened(open_tnef, data, max_bytes=7000, max_member_bytes=6000)
    assert sum(map(len, less.contents)) == 7000
    assert [error.detail for error in less.broken] == ["budget.bytes"]


SEEDS = [
    stream(*ATTACHMENT),
    stream(attribute(1, 0x69003, listed(counted(0x1009, 0x102, b"12345678LZFu1234" + b"\3abc" * 9)))),
    stream(RENDERING, attribute(2, 0x69005, listed(counted(0x3701, 0x0D, IMESSAGE + stream(*ATTACHMENT))))),
]


@settings(deadline=None)
@given(mutations(SEEDS))
def test_mutated_streams(data: bytes) -> None:
    """Whatever is changed, it ends, within the limits, and with nothing but what openers may raise."""
    opened = Opened(open_tnef, data, max_members=50, max_bytes=5000)
    assert sum(map(len, opened.contents)) <= 5000
