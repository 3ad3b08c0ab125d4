"""The dissector: which components a message has, and which defects are noted."""

import base64
import hashlib
import itertools
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qscan_contracts.defects import CATALOGUE
from qscan_contracts.reports import Unscanned
from qscan_contracts.vocabulary import Origin, UnscannedReason
from qscan_unpacker.dissection.budget import Budget, Limits
from qscan_unpacker.dissection.collecting import Dissection
from qscan_unpacker.dissection.dissector import Dissector
from qscan_unpacker.dissection.holding import FileContent, Holding, content_of

CORPUS = Path(__file__).parents[4] / "shared" / "corpus"


def dissect(raw: bytes, limits: Limits | None = None, clock: Callable[[], float] = lambda: 0.0) -> Dissection:
    """The dissection of `raw`, whose large contents are gone by then."""
    content, sha256 = content_of(raw)
    with Holding(Path(tempfile.gettempdir())) as holding:
        return Dissector(raw, sha256, holding, Budget(limits or Limits(), clock), content).dissect()


def contents(dissection: Dissection) -> dict[str, bytes]:
    """The bytes of each component, by path."""
    return {one.component.path: one.content.read(0, one.content.size) for one in dissection.found}


def defects(dissection: Dissection) -> list[str]:
    """The ids of the defects, in order."""
    return [one.id for one in dissection.defects]


MULTIPART = b"""\
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="b"

preamble
--b
Content-Type: text/plain

hello
--b
Content-Type: application/octet-stream; name="a.bin"
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="b.exe"

aGVsbG8=
--b--
epilogue
"""


def test_plain_message_is_raw_and_body() -> None:
    """A message without MIME has two components."""
    raw = b"Subject: x\n\nhello\n"
    dissection = dissect(raw)
    assert contents(dissection) == {"": raw, "1": b"hello\n"}
    assert [one.component.origin for one in dissection.found] == [Origin.RAW, Origin.PART]
    assert defects(dissection) == []


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_multipart(end: bytes) -> None:
    """Parts, preamble and epilogue, with names from everywhere, for both line endings."""
    raw = MULTIPART.replace(b"\n", end)
    dissection = dissect(raw)
    assert contents(dissection) == {
        "": raw,
        "0": b"preamble",
        "1": b"hello",
        "2": b"hello",
        "3": b"epilogue" + end,
    }
    names = {str(one.component.path): [name.text for name in one.component.names] for one in dissection.found}
    assert names["2"] == ["a.bin", "b.exe"]
    assert [one.component.origin for one in dissection.found][1:] == [
        Origin.PREAMBLE,
        Origin.PART,
        Origin.PART,
        Origin.EPILOGUE,
    ]
    assert defects(dissection) == []


def test_offsets_are_into_the_raw_message() -> None:
    """`offset` and `encoded_size` say where the encoded bytes stand."""
    for one in dissect(MULTIPART).found[1:]:
        assert one.component.offset is not None
        assert one.component.encoded_size is not None
        piece = MULTIPART[one.component.offset :][: one.component.encoded_size]
        expected = {"2": b"aGVsbG8="}.get(one.component.path, one.content.read(0, 100))
        assert piece == expected


@pytest.mark.parametrize("raw", [b"", b"\n", b"x", b"Subject: x", b"Subject: x\n", b"\n\n\n", b"\0" * 10])
def test_degenerate_messages_have_components(raw: bytes) -> None:
    """No header, no body, nothing at all: never nothing."""
    found = contents(dissect(raw))
    assert found[""] == raw
    assert "1" in found


def test_message_without_a_header_is_a_body() -> None:
    """What begins with a line that is no field is text from its first byte."""
    assert contents(dissect(b"hello\nworld\n\nx\n"))["1"] == b"hello\nworld\n\nx\n"


def test_nested_message_is_dissected() -> None:
    """A message/rfc822 is a component, and its parts are below it."""
    raw = b"Content-Type: message/rfc822\n\n" + MULTIPART
    found = contents(dissect(raw))
    assert found["1"] == MULTIPART
    assert found["1.2"] == b"hello"


@pytest.mark.parametrize(
    ("header", "body", "id_"),
    [
        (b"Content-Type: multipart/mixed", b"x", "mime.boundary.missing"),
        (b'Content-Type: multipart/mixed; boundary=""', b"x", "mime.boundary.empty"),
        (b"Content-Type: multipart/mixed; boundary=b", b"x", "mime.boundary.never_opened"),
        (b"Content-Type: multipart/mixed; boundary=b", b"--b\n\nx", "mime.boundary.never_closed"),
        (b"Content-Type: multipart/mixed; boundary=b; boundary=c", b"--b\n\nx", "mime.parameter.duplicate"),
        (b"Content-Type: text/plain\nContent-Type: text/html", b"x", "mime.field.duplicate"),
        (b"Content-Transfer-Encoding: x-base64", b"x", "encoding.unknown"),
        (b"Content-Type: text", b"x", "mime.content_type.invalid"),
        (b"Content-T(x)ype: text/plain", b"x", "header.name.comment"),
        (b"Content-Type : text/plain", b"x", "header.name.space"),
        (b"no field at all", b"x", "header.missing_blank_line"),
        (b"no field\nContent-Type: text/plain", b"x", "header.line_without_colon"),
        (b"Subject: x\nno field", b"x", "header.line_without_colon"),
        (b"Content-Type: message/partial", b"x", "mime.message.partial"),
        (b"Content-Type: message/external-body", b"x", "mime.message.external_body"),
        (b'Content-Type: multipart/mixed; boundary="' + b"b" * 71 + b'"', b"x", "mime.boundary.too_long"),
        (b'Content-Type: multipart/mixed; boundary="' + b"b" * 251 + b'"', b"x", "mime.boundary.over_250"),
        (b"Content-Transfer-Encoding: =?us-ascii?q?base64?=", b"x", "mime.field.encoded_word"),
        (b"Content-Transfer-Encoding: (x base64", b"eA==", "mime.field.comment"),
        (b"Content-Type: text/plain;\r\n name=a\0b", b"x", "header.nul"),
        (b"Content-Type: text/plain; a\rb=c", b"x", "header.cr"),
        (b"Content-Disposition: attachment; filename=" + b"n" * 257, b"x", "name.too_long"),
    ],
)
def test_defects_are_noted(header: bytes, body: bytes, id_: str) -> None:
    """Each malformation has its id, and the content is a component all the same."""
    dissection = dissect(header + b"\n\n" + body)
    assert id_ in defects(dissection)
    assert len(dissection.found) > 1


@pytest.mark.parametrize(
    ("header", "body", "id_"),
    [
        (b"X-Copyright(C): 2002", b"x", "header.name.comment"),
        (b"Content-Type: multipart/mixed; boundary=b", b" \r\n", "mime.boundary.never_opened"),
    ],
)
def test_what_only_looks_like_a_defect_is_none(header: bytes, body: bytes, id_: str) -> None:
    """Ordinary mail: a field that no reader takes for a MIME field, a bounce with the header of a multipart alone."""
    assert id_ not in defects(dissect(header + b"\n\n" + body))


def test_a_body_without_delimiters_is_a_component() -> None:
    """What cannot be split is scanned as it is."""
    dissection = dissect(b"Content-Type: multipart/mixed; boundary=b\n\nEVIL")
    assert contents(dissection)["1"] == b"EVIL"


@pytest.mark.parametrize(
    ("disposition", "expected"),
    [
        (b'attachment; filename="a b.exe"', ["a b.exe"]),
        (b"attachment; filename=a.exe", ["a.exe"]),
        (b'attachment; filename="a\\"b.exe"', ['a"b.exe']),
        (b"attachment; filename*=utf-8''%65vil.exe", ["evil.exe"]),
        (b"attachment; filename*0=ev; filename*1=il.exe", ["evil.exe"]),
        (b"attachment; filename*1=il.exe; filename*0=ev", ["evil.exe"]),
        (b"attachment; filename==?utf-8?q?evil=2Eexe?=", ["=?utf-8?q?evil=2Eexe?=", "evil.exe"]),
        (b"attachment; filename=a.txt; filename=b.exe", ["a.txt", "b.exe"]),
        (b'attachment;\n filename="a.exe"', ["a.exe"]),
    ],
)
def test_candidate_names(disposition: bytes, expected: list[str]) -> None:
    """Every name that a reading gives: as it stands, RFC 2047, RFC 2231, and each of two."""
    dissection = dissect(b"Content-Disposition: " + disposition + b"\n\nx")
    names = [name.text for name in dissection.found[1].component.names]
    assert [name for name in names if name in expected] == expected


@pytest.mark.parametrize("before", [b"", b"Hello,\n\n"])
def test_a_pgp_message_is_encrypted(before: bytes) -> None:
    """As PGP/MIME has it, or in the middle of a text: nobody but the recipient can look into it."""
    armour = before + b"-----BEGIN PGP MESSAGE-----\n\nhQEMA1234567890abAQf/\n=abcd\n-----END PGP MESSAGE-----\n"
    raw = (
        b'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b\n\n--b\n'
        b"Content-Type: application/pgp-encrypted\n\nVersion: 1\n--b\n"
        b"Content-Type: application/octet-stream\n\n" + armour + b"--b--\n"
    )
    reports = [(report.path, report.outcome) for report in dissect(raw).reports]
    assert reports == [("2", Unscanned.because(UnscannedReason.ENCRYPTED, "PGP message"))]
    assert dissect(b"Subject: x\n\n> -----BEGIN PGP MESSAGE-----\n").reports == []


def nested(depth: int) -> bytes:
    """A payload in `depth` multiparts."""
    raw = b"\n\nEVIL"
    for level in range(depth):
        raw = (
            b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (level, level) + raw + b"\n--b%d--\n" % level
        )
    return raw


@pytest.mark.parametrize(
    ("raw", "limits", "limit"),
    [
        (nested(60), Limits(), "budget.depth"),
        (nested(2_000), Limits(), "budget.depth"),
        (MULTIPART, Limits(max_components=2), "budget.components"),
        (MULTIPART, Limits(max_decoded_bytes=10), "budget.bytes"),
        (b"X: " + b"y" * 300_000 + b"\n\nbody", Limits(), "budget.header_bytes"),
        (b"X: y\n" * 6_000 + b"\nbody", Limits(), "budget.header_lines"),
    ],
)
def test_running_out_of_budget_is_named(raw: bytes, limits: Limits, limit: str) -> None:
    """A limit is a defect with its name, and a report that is not clean; the raw message is still a component."""
    dissection = dissect(raw, limits)
    assert limit in defects(dissection)
    assert [one.outcome for one in dissection.reports] == [Unscanned.because(UnscannedReason.OVER_BUDGET, limit)]
    assert dissection.found[0].component.path == ""


def test_time_is_budgeted() -> None:
    """The clock is injected; nothing sleeps here."""
    ticking = itertools.count(0.0, 20.0)
    assert "budget.seconds" in defects(dissect(MULTIPART, clock=lambda: next(ticking)))


def test_large_content_is_held_in_a_file(tmp_path: Path) -> None:
    """Above the inline limit nothing stays in memory, and what is read back is what was decoded."""
    body = b"0123456789abcdef" * 65_536
    raw = b"Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(body)
    content, sha256 = content_of(raw)
    with Holding(tmp_path) as holding:
        dissection = Dissector(raw, sha256, holding, Budget(Limits(), lambda: 0.0), content).dissect()
        held = dissection.found[1].content
        assert isinstance(held, FileContent)
        assert held.read(0, held.size) == body
        assert held.read(16, 16) == body[:16]
        assert dissection.found[1].component.sha256 == hashlib.sha256(body).hexdigest()
    assert list(tmp_path.iterdir()) == []


def test_every_defect_that_is_noted_is_in_the_catalogue() -> None:
    """Ids are stable and declared before use."""
    for raw in (MULTIPART, nested(60)):
        assert all(id_ in CATALOGUE for id_ in defects(dissect(raw)))


@given(st.lists(st.sampled_from([b"--b\n", b"--b--\n", b"\n", b"x\n", MULTIPART, b"Content-Type: ", b'"b"', b"="])))
def test_any_message_is_dissected(pieces: list[bytes]) -> None:
    """Total: for any bytes there are components, the raw message first, with paths that differ."""
    raw = b"Content-Type: multipart/mixed; boundary=b\n\n" + b"".join(pieces)
    found = dissect(raw).found
    assert found[0].content.read(0, len(raw)) == raw
    paths = [one.component.path for one in found]
    assert len(set(paths)) == len(paths)


@pytest.mark.skipif(not CORPUS.is_dir(), reason="shared/corpus is not beside this checkout")
def test_corpus_attachments_are_found() -> None:
    """At least 97 % of the attachments on which independent parsers agree (the rest is the dissection's own issue)."""
    missing, total = [], 0
    for line in (CORPUS / "expected.jsonl").read_text(encoding="utf-8").splitlines():
        expected = json.loads(line)
        if expected["kind"] != "message":
            continue
        digests = {one.component.sha256 for one in dissect((CORPUS / expected["file"]).read_bytes()).found}
        for attachment in expected["attachments"]:
            total += 1
            if attachment.get("sha256") not in digests:
                missing.append(expected["file"])
    assert total > 100
    assert len(missing) <= total * 0.03, missing
