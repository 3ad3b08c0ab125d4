"""Payloads that plausible mail clients show: each is in a component, or a defect says that content can hide."""

import base64
import time
from collections.abc import Callable, Generator
from io import BytesIO
from zipfile import ZipFile

import pytest

from qscan_contracts.reports import Unscanned
from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.dissection.budget import Budget, Limits
from qscan_unpacker.dissection.collecting import Dissection
from qscan_unpacker.dissection.dissector import Dissector
from qscan_unpacker.dissection.holding import HeldContent, Holding, content_of
from qscan_unpacker.opening.kinds import ContainerKind
from qscan_unpacker.opening.members import OpenRequest
from qscan_unpacker.sandbox.wire import Begun, Done, Ended, Piece, Reply

PAYLOAD = b"PAYLOAD: hidden from whoever does not decode it. " * 3
ESCAPED = b"".join(b"=%02X%s" % (byte, b"=\n" * (at % 20 == 19)) for at, byte in enumerate(PAYLOAD))
TOP = b"From: a@example.org\nSubject: x\nMIME-Version: 1.0\n"
TEXT = b"Content-Type: text/plain\n\nhello\n"
HTML = b"Content-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n" + ESCAPED + b"\n"
HTML_IN_BASE64 = b"Content-Type: text/html%s\nContent-Transfer-Encoding: base64\n\n%s"
MESSAGE = TOP + HTML
FILLER = (b"hello world " * 70 + b"\n") * 12

Look = Callable[[bytes], tuple[Dissection, list[bytes]]]


@pytest.fixture
def look(tmp_path) -> Look:
    """Dissects a message: what was found, and the contents of the components behind the raw message."""

    def looked(raw: bytes) -> tuple[Dissection, list[bytes]]:
        content, sha256 = content_of(raw)
        with Holding(tmp_path) as holding:
            found = Dissector(raw, sha256, holding, Budget(Limits(), time.thread_time), content).dissect()
            return found, [one.content.read(0, one.content.size) for one in found.found[1:]]

    return looked


def in_parts(*parts: bytes) -> bytes:
    """A multipart with the boundary «cut»; each part begins with its delimiter."""
    return TOP + b"Content-Type: multipart/mixed; boundary=cut\n\n" + b"\n".join(parts) + b"\n--cut--\n"


def ids(found: Dissection) -> list[str]:
    """Of the defects."""
    return [str(defect.id) for defect in found.defects]


@pytest.mark.parametrize("end", [b"\v", b"\f", b"\x1c", b"\xa0", b" evil", b"X"])
def test_a_delimiter_may_go_on(look, end):
    """RFC 2046 §5.1.1 has a line that begins with the delimiter be one, and mutt strips more than space and tab."""
    found, contents = look(in_parts(b"--cut\n" + TEXT, b"--cut" + end + b"\n" + HTML))
    assert any(PAYLOAD in content for content in contents)
    assert "mime.boundary.prefix" in ids(found)


def test_a_longer_boundary_may_be_declared_anywhere(look):
    """A subject that tells of the longer boundary makes it no harmless one."""
    raw = in_parts(b"--cut\n" + TEXT, b"--cutX\n" + HTML).replace(b"Subject: x", b"Subject: boundary=cutX")
    found, contents = look(raw)
    assert any(PAYLOAD in content for content in contents)
    assert "mime.boundary.prefix" in ids(found)


def test_the_boundary_of_an_inner_multipart_may_come_back_behind_it(look):
    """Behind its end only readers that go by the beginning of the line take it for a delimiter: they are followed."""
    inner = b"--cut\nContent-Type: multipart/mixed; boundary=cutX\n\n--cutX\n" + TEXT + b"--cutX--\n"
    _, contents = look(in_parts(inner, b"--cut\n" + TEXT, b"--cutX\n" + HTML))
    assert any(PAYLOAD in content for content in contents)


def test_an_inner_boundary_may_be_longer(look):
    """Many mail clients build the inner boundary from the outer one: nothing is wrong, and nothing is found twice."""
    inner = b"--cut\nContent-Type: multipart/mixed; boundary=cutX\n\n--cutX\n" + TEXT + b"--cutX--\n"
    found, contents = look(in_parts(inner, b"--cut\n" + HTML))
    assert {one.id for one in found.defects if one.hides_content} == set()
    assert contents.count(b"hello") == 1


def test_a_long_field_may_stand_between_an_empty_line_and_the_type(look):
    """Some readers skip empty lines in front of a header, however long its first field is."""
    long = b"X-Long: " + b"a" * 66_000 + b"\n"
    for raw in (b"\n" + long + MESSAGE, in_parts(b"--cut\n\n" + long + HTML)):
        found, _ = look(raw)
        assert "header.after_blank_line" in ids(found)


@pytest.mark.parametrize(
    "parameter", [b"charset=utf-7", b"charset*=us-ascii''utf-7", b"charset*0=utf-; charset*1=7", b'charset=" utf-7"']
)
def test_a_charset_may_be_given_in_many_ways(look, parameter):
    """RFC 2231 allows pieces and escapes for every parameter."""
    hidden = b"+" + base64.b64encode(PAYLOAD.decode().encode("utf-16-be")).rstrip(b"=") + b"-"
    _, contents = look(TOP + b"Content-Type: text/html; " + parameter + b"\n\n" + hidden)
    assert PAYLOAD in contents


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("ibm037", "cp037"),
        ("cp500", "cp500"),
        ("IBM01140", "cp1140"),
        ("x-EBCDIC-Germany", "cp273"),
        ("unicodeFFFE", "utf-16-be"),
        ("csUnicode", "utf-16-le"),
        ("x-unicode-2-0-utf-7", "utf-7"),
    ],
)
def test_a_charset_may_have_other_letters(look, charset, codec):
    """Outlook reads the code pages of EBCDIC, and the names that Microsoft gave to those of Unicode."""
    text = PAYLOAD.decode().encode(codec)
    _, contents = look(TOP + HTML_IN_BASE64 % (f"; charset={charset}".encode(), base64.encodebytes(text)))
    assert PAYLOAD in contents


def test_references_may_come_late(look):
    """The beginning of a text says nothing of what comes behind it."""
    references = b"".join(b"&#%d;" % byte for byte in PAYLOAD * 2)
    _, contents = look(TOP + b"Content-Type: text/html\n\n<p>" + FILLER + references)
    assert any(PAYLOAD in content for content in contents)


def test_nul_may_come_late(look):
    """The same, of NUL between the letters."""
    hidden = b"\0".join(bytes([byte]) for byte in PAYLOAD)
    _, contents = look(TOP + HTML_IN_BASE64 % (b"", base64.encodebytes(FILLER + hidden)))
    assert any(PAYLOAD in content for content in contents)


@pytest.mark.parametrize("name", ["x.html", "X.HTM. ", "picture.svg"])
def test_a_page_may_be_attached_as_a_file(look, name):
    """Whoever opens it has it in the browser, whatever the mail says of its type."""
    references = b"".join(b"&#%d;" % byte for byte in PAYLOAD)
    head = TOP + b'Content-Type: application/octet-stream; name="' + name.encode() + b'"\n\n'
    _, contents = look(head + references)
    assert any(PAYLOAD in content for content in contents)


@pytest.mark.parametrize("zeros", [b"", b"0" * 5_000])
def test_a_reference_may_be_a_number_that_python_refuses(look, zeros):
    """It reads no decimal number of more than 4,300 digits; leading zeros are of no account to browsers."""
    references = b"".join(b"&#" + zeros + b"%d;" % byte for byte in PAYLOAD[:30])
    _, contents = look(TOP + b"Content-Type: text/html\n\n" + references * 9 + b"&#" + b"1" * 5_000 + b";" + references)
    assert any(PAYLOAD[:30] in content for content in contents)


@pytest.mark.parametrize(
    "kind", ["message/x-unknown", "message/x-unknown; name=x.eml", "message/partial", "message/delivery-status"]
)
def test_a_message_of_an_unknown_kind_is_one(look, kind):
    """RFC 2046 §5.2.4: it is treated as a file, which whoever saves it opens as a message."""
    _, contents = look(in_parts(b"--cut\nContent-Type: " + kind.encode() + b"\n\n" + MESSAGE))
    assert any(PAYLOAD in content for content in contents)


def test_an_attached_message_may_have_bare_cr(look):
    """What the message itself is searched for is searched for in every message that it holds encoded."""
    inner = TOP + b"Content-Type: multipart/mixed; boundary=in\n\n--in\n" + TEXT
    inner += b"\r--in\r" + HTML.replace(b"\n", b"\r") + b"\r--in--\n"
    head = b"--cut\nContent-Type: application/octet-stream; name=x.eml\nContent-Transfer-Encoding: base64\n\n"
    _, contents = look(in_parts(head + base64.encodebytes(inner)))
    assert any(PAYLOAD in content for content in contents)


def test_a_bare_cr_in_a_text_is_no_second_boundary(look):
    """The reading with line ends for bare CR sees the same header again, not another with the same boundary."""
    found, _ = look(in_parts(b"--cut\nContent-Type: text/plain\n\nhello\ragain"))
    assert "mime.boundary.duplicate" not in ids(found)


def test_a_piece_of_a_name_may_have_many_digits(look):
    """Python's email package reads a number of any length."""
    found, _ = look(TOP + b"Content-Disposition: attachment; filename*00000=evil.exe\n\nx")
    assert "evil.exe" in {name.text for name in found.found[1].component.names}


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Disposition: attachment; filename*=ibm037''%85%A5%89%93K%85%A7%85",
        b'Content-Disposition: attachment; filename="=?ibm037?Q?=85=A5=89=93K=85=A7=85?="',
        b'Content-Disposition: attachment; filename="=?unicode-1-1-utf-7?Q?evil+AC4-exe?="',
        b"Content-Disposition: attachment; size=1, filename=evil.exe",
        b"Content-Disposition: attachment x name=a.txt name=evil.exe name=b.txt",
        b'Content-Type: application/octet-stream; x=";name=evil.exe"',
        b"Content-Location: http://example.org/evil%2Eexe",
        b"Content-Location: cid:evil.exe#x",
    ],
)
def test_a_name_may_be_given_in_many_ways(look, header):
    """What mutt and Evolution decode, and what lenient readers find between other things."""
    found, _ = look(TOP + header + b"\n\nx")
    assert "evil.exe" in {name.text for name in found.found[1].component.names}


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Disposition: attachment " + b"".join(b"name=%d.txt " % i for i in range(90)) + b"name=evil.exe",
        b"Content-Disposition: attachment" + b"".join(b"; filename=%d.txt" % i for i in range(90)) + b"; name=evil.exe",
    ],
)
def test_names_behind_the_limit_are_a_defect(look, header):
    """Of too many names those that come last are not known, and one of them may be the one that is shown."""
    found, _ = look(TOP + header + b"\n\nx")
    assert "name.differ" in ids(found)


def test_a_name_behind_many_equal_ones_is_known(look):
    """Only different names count."""
    found, _ = look(TOP + b"Content-Disposition: attachment; " + b"filename=a.txt; " * 90 + b"name=evil.exe\n\nx")
    assert "evil.exe" in {name.text for name in found.found[1].component.names}


def test_boundaries_behind_the_limit_are_a_defect(look):
    """A reader may take any of them."""
    others = b"; ".join(b"x%dboundary=c%d" % (i, i) for i in range(20))
    found, _ = look(TOP + b"Content-Type: multipart/mixed; boundary=other; " + others + b"\n\n--c19\n" + HTML)
    assert any(defect.hides_content for defect in found.defects)


class OpensZip:
    """Finds one member in a zip, and nothing in anything else."""

    cpu_s_used = 0.0

    def open(self, _content: HeldContent, request: OpenRequest, _cpu_s: float) -> Generator[Reply, None, None]:
        """The replies of a sandbox."""
        if request.kind == ContainerKind.ZIP:
            yield Begun(("decoy.txt",))
            yield Piece(memoryview(b"decoy"))
            yield Ended()
            yield Done()
        else:
            yield Done(UnscannedReason.NOT_UNPACKABLE, "no such container")


def test_what_nothing_opens_is_told_beside_a_zip(tmp_path):
    """An archive that is also a zip with a harmless member in it: whoever has its program opens the other one."""
    zipped = BytesIO()
    zipped.write(bytes(7) + b"**ACE**" + bytes(50))
    with ZipFile(zipped, "a") as archive:
        archive.writestr("decoy.txt", b"decoy")
    raw = TOP + HTML_IN_BASE64.replace(b"text/html", b"application/octet-stream") % (
        b"",
        base64.encodebytes(zipped.getvalue()),
    )
    content, sha256 = content_of(raw)
    with Holding(tmp_path) as holding:
        dissector = Dissector(raw, sha256, holding, Budget(Limits(), time.thread_time), content)
        dissector.dissect()
        dissector.open_containers(OpensZip())
    assert [name.text for one in dissector.dissection.found for name in one.component.names] == ["decoy.txt"]
    (report,) = dissector.dissection.reports
    assert isinstance(report.outcome, Unscanned)
    assert report.outcome.reason is UnscannedReason.NOT_UNPACKABLE
