"""PDF: embedded files by whatever leads to them, filters, encryption, and files that are too broken for the library."""

import base64
import io
import random
import typing
import zlib
from typing import Literal

import pikepdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pikepdf import Array, Dictionary, Name, String

from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening import pdf
from qscan_unpacker.opening.members import UnreadableError
from qscan_unpacker.opening.pdf import open_pdf
from qscan_unpacker.opening.pdf_filters import decoded
from services.unpacker.tests.opened_containers import Opened, mutations

PAYLOAD = b"MZ" + random.Random(5).randbytes(3000)
OTHER = b"other " * 300
ORPHAN = b"orphan " * 50


def embedded(document: pikepdf.Pdf, content: bytes, **keys: object) -> pikepdf.Stream:
    """An embedded file."""
    stream = document.make_stream(content)
    stream.Type = Name.EmbeddedFile
    for key, value in keys.items():
        stream[f"/{key}"] = value
    return stream


def document_with(kind: str, **save: object) -> bytes:
    """A document with a file in one place."""
    document = pikepdf.new()
    document.add_blank_page()
    match kind:
        case "name tree":
            kids = Dictionary(Names=Array([String("key.bin"), specification(document, PAYLOAD)]))
            document.Root.Names = Dictionary(EmbeddedFiles=Dictionary(Kids=Array([document.make_indirect(kids)])))
        case "annotation":
            place = Array([0, 0, 9, 9])
            direct = specification(document, PAYLOAD, direct=True)
            note = Dictionary(Type=Name.Annot, Subtype=Name.FileAttachment, Rect=place, FS=direct)
            document.pages[0].Annots = Array([note])
        case "orphan":
            document.Root.PieceInfo = Dictionary(X=embedded(document, PAYLOAD))
        case "no type":
            document.Root.Any = Dictionary(Deep=Array([specification(document, PAYLOAD, typed=False)]))
        case _:
            raise ValueError(kind)
    saved = io.BytesIO()
    document.save(saved, **save)  # type: ignore[arg-type]
    return saved.getvalue()


def specification(document: pikepdf.Pdf, content: bytes, *, direct: bool = False, typed: bool = True) -> pikepdf.Object:
    """A file specification with names in several systems."""
    stream = embedded(document, content)
    if not typed:
        del stream.Type
    found = Dictionary(
        Type=Name.Filespec, F=String("invoice.ex_"), UF=String("Übersicht 終.exe"), EF=Dictionary(F=stream, UF=stream)
    )
    return found if direct else document.make_indirect(found)


Revision = Literal[2, 3, 4, 6]
NAMES = ("Übersicht 終.exe", "invoice.ex_")


@pytest.mark.parametrize(
    ("kind", "names"),
    [("name tree", (*NAMES, "key.bin")), ("annotation", NAMES), ("orphan", ()), ("no type", NAMES)],
)
@pytest.mark.parametrize("compressed_objects", [False, True])
def test_embedded_files(kind: str, names: tuple[str, ...], compressed_objects: bool) -> None:
    """In the name tree, on a page, and anywhere else where nothing leads to them; with every name there is."""
    mode = pikepdf.ObjectStreamMode.generate if compressed_objects else pikepdf.ObjectStreamMode.disable
    opened = Opened(open_pdf, document_with(kind, object_stream_mode=mode))
    assert opened.members == [(names, PAYLOAD, False)]
    assert opened.is_whole


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"(plain.exe)", "plain.exe"),
        (b"(\\376\\377\\000a\\000.\\177B)", "a.\u7f42"),
        (b"<FFFE6100>", "a"),
        (b"<EFBBBF61C3A4>", "aä"),
        (b"<61E4>", "aä"),
        (b"<61C3A4>", "aä"),
    ],
)
def test_names_in_every_encoding(raw: bytes, name: str) -> None:
    """UTF-16 with either mark, UTF-8 with and without, and single bytes."""
    assert Opened(open_pdf, written(PAYLOAD, b"", name=raw)).names_of(PAYLOAD) == (name,)


def written(
    content: bytes, keys: bytes, *, name: bytes = b"(a.bin)", mark: bytes = b"/Type /EmbeddedFile", trailer: bytes = b""
) -> bytes:
    """A document written by hand, with an embedded file as it stands in the file."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R /X 4 0 R >>",
        b"<< /Type /Pages /Kids [5 0 R] /Count 1 >>",
        b"<< " + mark + b" /Length %d " % len(content) + keys + b" >>\nstream\n" + content + b"\nendstream",
        b"<< /Type /Filespec /F " + name + b" /EF << /F 3 0 R >> >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>",
    ]
    out = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, each in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n" % number + each + b"\nendobj\n"
    place = len(out)
    out += b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return bytes(out) + b"trailer << /Size 6 /Root 1 0 R %b >>\nstartxref\n%d\n%%%%EOF\n" % (trailer, place)


def run_lengths(content: bytes) -> bytes:
    """Runs of three, then the rest as it is."""
    out = b"".join(bytes([254, octet]) for octet in content[:20])
    rest = b"".join(
        bytes([len(part) - 1]) + part for part in (content[i : i + 128] for i in range(20, len(content), 128))
    )
    return out + rest + b"\x80"


def lzw(content: bytes) -> bytes:
    """LZW as PDF has it: cleared at the start and when the table is full, wider codes one early."""
    codes: list[tuple[int, int]] = [(256, 9)]
    table = {bytes([octet]): octet for octet in range(256)}
    following, width, current = 258, 9, b""
    for octet in content:
        if (longer := current + bytes([octet])) in table:
            current = longer
            continue
        codes.append((table[current], width))
        table[longer] = following
        following += 1
        width += following + 1 > 1 << width
        if following >= 4095:
            codes.append((256, width))
            table = {bytes([each]): each for each in range(256)}
            following, width = 258, 9
        current = bytes([octet])
    codes += [(table[current], width), (257, width + (following + 2 > 1 << width and width < 12))] if current else []
    bits = "".join(format(code, f"0{size}b") for code, size in codes)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


@pytest.mark.parametrize(
    ("filters", "content"),
    [
        (b"", OTHER),
        (b"/Filter /FlateDecode", zlib.compress(OTHER)),
        (b"/Filter [/ASCIIHexDecode /FlateDecode]", zlib.compress(OTHER).hex(" ").encode() + b">"),
        (b"/Filter /ASCII85Decode", base64.a85encode(OTHER, wrapcol=60) + b"~>"),
        (b"/Filter [/ASCII85Decode/LZWDecode]", base64.a85encode(lzw(OTHER)) + b"~>"),
        (b"/Filter /LZWDecode", lzw(OTHER)),
        (b"/Filter [/Crypt /FlateDecode]", zlib.compress(OTHER)),
        (b"/Filter /FlateDecode /DecodeParms << /Predictor 12 /Columns 6 >>",
         zlib.compress(b"".join(b"\0" + OTHER[i : i + 6] for i in range(0, len(OTHER), 6)))),
        (b"/Filter /FlateDecode", zlib.compress(OTHER)[2:]),
        (b"/Filter /FlateDecode", zlib.compress(OTHER) + b"trailing"),
        (b"/Filter /FlateDecode", zlib.compress(OTHER)[:-4]),
    ],
)  # fmt: skip
def test_filters(filters: bytes, content: bytes) -> None:
    """Every filter that a file can have, in chains; deflate without head or checksum, as lenient readers take it."""
    opened = Opened(open_pdf, written(content, filters))
    assert opened.contents == [OTHER]
    assert opened.is_whole


@pytest.mark.parametrize("content", [OTHER, PAYLOAD, b"", b"a", random.Random(6).randbytes(40_000), bytes(100_000)])
def test_lzw_and_run_lengths(content: bytes) -> None:
    """Every width of codes, a full table, and runs."""
    assert b"".join(decoded(lzw(content), ["/LZWDecode"])) == content
    runs = b"".join(bytes([octet]) * 3 for octet in content[:20]) + content[20:]
    assert b"".join(decoded(run_lengths(content), ["/RunLengthDecode"])) == runs


@given(st.binary(max_size=2000), st.sampled_from(["/LZWDecode", "/RunLengthDecode", "/A85", "/AHx", "/Fl"]))
def test_junk_through_filters(content: bytes, name: str) -> None:
    """A broken stream ends, with what could be decoded and nothing but what openers may raise."""
    try:
        assert sum(map(len, decoded(content, [name, name]))) >= 0
    except UnreadableError as error:
        assert error.reason is UnscannedReason.NOT_UNPACKABLE  # noqa: PT017


@pytest.mark.parametrize(
    ("filters", "content", "kept"),
    [
        (b"/Filter /FlateDecode", zlib.compress(PAYLOAD)[:1000] + b"\xff" * 50 + zlib.compress(PAYLOAD)[1050:], 900),
        (b"/Filter /LZWDecode", lzw(OTHER)[:100] + b"\xff" * 20, 90),
        (b"/Filter /JPXDecode", OTHER, 0),
        (b"/Filter /FlateDecode /DecodeParms << /Predictor 12 /Columns 6 >>", b"x\x9c\xff\xff", 0),
    ],
)
def test_streams_that_cannot_be_decoded(filters: bytes, content: bytes, kept: int) -> None:
    """What could be decoded is given, and the member is unscanned behind it."""
    opened = Opened(open_pdf, written(content, filters))
    assert len(opened.contents[0]) >= kept
    assert [error.reason for error in opened.broken] == [UnscannedReason.NOT_UNPACKABLE]


@pytest.mark.parametrize(
    ("filters", "content"),
    [
        (b"/Filter /FlateDecode", zlib.compress(bytes(10_000_000))),
        (b"/Filter [/FlateDecode /FlateDecode]", zlib.compress(zlib.compress(bytes(10**7)))),
        (b"/Filter /RunLengthDecode", b"\x81\0" * 100_000),
        (b"/Filter /LZWDecode", lzw(bytes(2_000_000))),
    ],
)
def test_bombs(filters: bytes, content: bytes) -> None:
    """Decoding ends at the limit of a member, without all of it in memory."""
    opened = Opened(open_pdf, written(content, filters), max_member_bytes=1_000_000)
    assert opened.contents == [bytes(1_000_000)]
    assert [error.detail for error in opened.broken] == ["budget.component_bytes"]


@pytest.mark.parametrize("revision", typing.get_args(Revision))
@pytest.mark.parametrize(("user", "given", "needed"), [("", (), False), ("secret", ("wrong", "secret"), True)])
def test_encrypted_documents(revision: Revision, user: str, given: tuple[str, ...], needed: bool) -> None:
    """With the empty password or one given, the files are members, and the document without its encryption."""
    cipher = pikepdf.Encryption(owner="owner", user=user, R=revision, aes=revision > 3, metadata=revision > 3)
    opened = Opened(open_pdf, document_with("name tree", encryption=cipher), passwords=given, names=("sheet.pdf",))
    (names, clear, _), (file_names, content, _) = opened.members
    assert (names, file_names, content) == (("sheet.pdf",), (*NAMES, "key.bin"), PAYLOAD)
    assert [encrypted for *_, encrypted in opened.members] == [needed, needed]
    again = Opened(open_pdf, clear)
    assert again.contents == [PAYLOAD]
    assert again.is_whole


@pytest.mark.parametrize("given", [(), ("wrong", "worse")])
def test_no_password_fits(given: tuple[str, ...]) -> None:
    """Then the document is unscanned."""
    data = document_with("name tree", encryption=pikepdf.Encryption(owner="owner", user="secret", R=6))
    ended = Opened(open_pdf, data, passwords=given).ended
    assert ended is not None
    assert ended.reason is UnscannedReason.ENCRYPTED


def test_encrypted_in_a_way_that_is_not_known() -> None:
    """By certificate, for example: unscanned because it is encrypted, not because it is broken."""
    data = written(OTHER, b"", trailer=b"/Encrypt << /Filter /Adobe.PubSec /V 4 >> /ID [(a) (b)]")
    ended = Opened(open_pdf, data).ended
    assert ended is not None
    assert ended.reason is UnscannedReason.ENCRYPTED


def test_earlier_revisions() -> None:
    """A file that an update of the document replaced is still in it."""
    data = written(PAYLOAD, b"")
    place = len(data)
    data += b"3 0 obj\n<< /Type /EmbeddedFile /Length 5 >>\nstream\nhello\nendstream\nendobj\n"
    previous = data.rindex(b"xref\n0 6")
    data += b"xref\n3 1\n%010d 00000 n \ntrailer << /Size 6 /Root 1 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n" % (
        place, previous, data.rindex(b"endobj\n") + 7,
    )  # fmt: skip
    assert Opened(open_pdf, data).members == [(("a.bin",), b"hello", False), ((), PAYLOAD, False)]


def test_junk_before_the_document() -> None:
    """Offsets count from the header, wherever it is: nothing is given twice."""
    assert Opened(open_pdf, b"junk " * 50 + written(PAYLOAD, b"")).contents == [PAYLOAD]


def test_without_a_table() -> None:
    """Where the table of objects is missing the library finds the objects itself."""
    data = written(PAYLOAD, b"")
    assert PAYLOAD in Opened(open_pdf, data[: data.rindex(b"xref\n0 6")] + b"trailer << /Root 1 0 R >>").contents


def test_too_broken_for_the_library() -> None:
    """What is literally there is given all the same; the document is unscanned."""
    data = b"%PDF-1.4\n7 0 obj << /Type/EmbeddedFile /Filter [ /FlateDecode ] >> stream\r\n" + zlib.compress(OTHER)
    for end in (b"\r\nendstream", b""):
        opened = Opened(open_pdf, data + end)
        assert opened.contents == [OTHER]
        assert opened.ended is not None
        assert opened.ended.reason is UnscannedReason.NOT_UNPACKABLE


def test_marks_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of nothing but marks of embedded files ends."""
    monkeypatch.setattr(pdf, "MAX_LITERALS", 100)
    ended = Opened(open_pdf, b"%PDF-1.4\n" + b"1 0 obj /EmbeddedFile " * 1000).ended
    assert ended is not None
    assert "marks" in ended.detail


def test_filters_are_bounded() -> None:
    """Each costs a pass, and a stream with many is meant to cost."""
    opened = Opened(open_pdf, written(OTHER, b"/Filter [" + b"/ASCIIHexDecode " * 9 + b"]"))
    assert [error.reason for error in opened.broken] == [UnscannedReason.OVER_BUDGET]


@pytest.mark.parametrize("limit", ["MAX_OBJECTS", "MAX_LOOKS"])
def test_objects_are_bounded(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A document with more objects than any has is over budget; what is literally there is given all the same."""
    monkeypatch.setattr(pdf, limit, 3)
    opened = Opened(open_pdf, written(PAYLOAD, b"", name=b"(a) /X [[][][][][][]]"))
    assert opened.contents == [PAYLOAD]
    assert opened.ended is not None
    assert opened.ended.reason is UnscannedReason.OVER_BUDGET
    assert "over 3" in opened.ended.detail


def test_shared_bytes_are_charged() -> None:
    """Streams that lie in each other and share an end are read four times the file's size, no more."""
    data = bytearray(written(b"", b"").split(b"3 0 obj")[0])
    offsets = [data.index(b"%d 0 obj" % number) for number in (1, 2)]
    end = len(data) + 20 * 90 + 100_000
    for number in range(3, 23):
        offsets.append(len(data))
        head = b"%d 0 obj << /Type /EmbeddedFile /Filter /FlateDecode /Length %06d >>" % (number, end - len(data) - 90)
        data += head.ljust(83) + b"stream\n"
    data = data.ljust(end, b"\xff") + b"\nendstream endobj\n"
    data = data.replace(b"/Kids [5 0 R]", b"/Kids [23 0 R]", 1)
    shift = len(b"23") - len(b"5")
    offsets = [offset + shift * (number > 1) for number, offset in enumerate(offsets)]
    offsets.append(len(data))
    data += b"23 0 obj << /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >> endobj\n"
    place = len(data)
    data += b"xref\n0 24\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    data += b"trailer << /Size 24 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % place
    reasons = [error.reason for error in Opened(open_pdf, bytes(data)).broken]
    assert reasons == [UnscannedReason.NOT_UNPACKABLE] * 4 + [UnscannedReason.OVER_BUDGET] * 16


def test_ordinary_documents() -> None:
    """Documents without files have no members."""
    document = pikepdf.new()
    document.add_blank_page()
    file = io.BytesIO()
    document.save(file)
    opened = Opened(open_pdf, file.getvalue())
    assert opened.members == []
    assert opened.is_whole


@pytest.mark.parametrize("data", [b"", b"%PDF-", b"%PDF-1.7\n" + bytes(2000), b"junk"])
def test_no_document(data: bytes) -> None:
    """What only begins like one is not unpackable."""
    ended = Opened(open_pdf, data).ended
    assert ended is not None
    assert ended.reason is UnscannedReason.NOT_UNPACKABLE


def test_limits() -> None:
    """Members and bytes end at the limits of the request."""
    document = pikepdf.new()
    document.Root.X = Array([embedded(document, bytes([number]) * 1000) for number in range(5)])
    file = io.BytesIO()
    document.save(file)
    few = Opened(open_pdf, file.getvalue(), max_members=3)
    assert (len(few.members), few.ended and few.ended.detail) == (3, "budget.components")
    less = Opened(open_pdf, file.getvalue(), max_bytes=2500)
    assert (sum(map(len, less.contents)), less.ended and less.ended.detail) == (2500, "budget.bytes")


SEEDS = [
    document_with("name tree"),
    document_with("annotation", object_stream_mode=pikepdf.ObjectStreamMode.generate),
    document_with("orphan", encryption=pikepdf.Encryption(owner="o", user="", R=4)),
    written(zlib.compress(OTHER), b"/Filter /FlateDecode"),
]


@settings(deadline=None)
@given(mutations(SEEDS))
def test_mutated_documents(data: bytes) -> None:
    """Whatever is changed, it ends, within the limits, and with nothing but what openers may raise."""
    opened = Opened(open_pdf, data, max_members=50, max_bytes=5000)
    assert sum(map(len, opened.contents)) <= 5000
