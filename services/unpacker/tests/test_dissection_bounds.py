"""The dissector on what fuzzing found: nothing grows without bound, nothing is left out, nothing is counted twice."""

import base64
import itertools
import tempfile
import time
from pathlib import Path

import pytest

from qscan_contracts.components import Component
from qscan_unpacker.dissection.budget import Budget, Limits
from qscan_unpacker.dissection.collecting import Dissection
from qscan_unpacker.dissection.dissector import Dissector
from qscan_unpacker.dissection.holding import Holding, content_of


def dissect(raw: bytes) -> Dissection:
    """The dissection of `raw` with the default limits."""
    content, sha256 = content_of(raw)
    with Holding(Path(tempfile.gettempdir())) as holding:
        return Dissector(raw, sha256, holding, Budget(Limits(), lambda: 0.0), content).dissect()


def dissect_in_time(raw: bytes) -> list[str]:
    """The defects of `raw` where the CPU time counts: something linear stays far below the budget's seconds."""
    content, sha256 = content_of(raw)
    with Holding(Path(tempfile.gettempdir())) as holding:
        dissection = Dissector(raw, sha256, holding, Budget(Limits(), time.thread_time), content).dissect()
        return [one.id for one in dissection.defects]


def decoded_bytes(dissection: Dissection) -> int:
    """Bytes of all components but the raw message."""
    return sum(one.component.size for one in dissection.found[1:])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"<meta charset=utf-7>" + b"\x80" * 1_000, id="utf-7"),
        pytest.param(b"&#" * 8_000 + b"\x80" * 1_000, id="references"),
        pytest.param(b"\xff\xfe" + b"\0\xd8" * 1_000, id="half characters of utf-16"),
    ],
)
def test_text_that_is_made_plainer_does_not_grow_again_and_again(text: bytes) -> None:
    """What is no character becomes a mark of three bytes, once."""
    assert decoded_bytes(dissect(b"Content-Type: text/html\n\n" + text)) < 5 * len(text)


def test_references_in_a_text_in_a_hiding_charset_are_resolved() -> None:
    """One reading may stand on the other."""
    text = "".join(f"&#{ord(letter)};" for letter in "<script>hidden").encode("utf-16")
    contents = [one.content.read(0, 100) for one in dissect(b"Content-Type: text/html\n\n" + text).found]
    assert b"<script>hidden" in contents


def test_every_encoded_message_is_dissected() -> None:
    """Also where one has the same layout as the one before, whose buffer is freed by then."""
    messages = [
        b"Subject: x\nContent-Type: application/octet-stream\n\npayload number %d\n" % number for number in range(9)
    ]
    parts = [
        b"--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n" + base64.encodebytes(message)
        for message in messages
    ]
    raw = b"Content-Type: multipart/mixed; boundary=b\n\n" + b"".join(parts) + b"--b--\n"
    contents = {one.content.read(0, 100) for one in dissect(raw).found}
    assert contents.issuperset(b"payload number %d\n" % number for number in range(9))


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_delimiters_in_a_row_do_not_overlap(end: bytes) -> None:
    """The line end between them belongs to the first."""
    raw = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\n\n--b\n--b--\n--b\n".replace(b"\n", end)
    dissection = dissect(raw)
    ranges = sorted((one.start, one.end) for one in dissection.spans if one.reading == 0)
    components: list[Component] = [one.component for one in dissection.found if one.reading == 0]
    ranges += [(one.offset, one.offset + (one.encoded_size or 0)) for one in components if one.offset and one.size]
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(sorted(ranges)))


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b'Content-Type: a/b "' + b'name="' * 41_000 + b"\n\nx", id="the beginnings of names"),
        pytest.param(b"Content-Type: a b " + b"name='" * 41_000 + b"\n\nx", id="the same in other quotes"),
    ],
)
def test_what_was_quadratic_is_linear(raw: bytes) -> None:
    """Each of these ran out of time."""
    assert "budget.seconds" not in dissect_in_time(raw)


def test_names_are_budgeted() -> None:
    """Policy gets all names in one piece: a mail of 14 MB once made 67 MB of them, and was deferred for ever."""
    part = b'--b\nContent-Type: a/b; name="' + b'x\\"%41=?' * 30_000 + b'"\n\nx\n'
    raw = b"Content-Type: multipart/mixed; boundary=b\n\n" + part * 20 + b"--b--\n"
    dissection = dissect(raw)
    characters = sum(len(name.text) for one in dissection.found for name in one.component.names)
    assert 1_000_000 < characters <= Limits().max_name_characters
    assert "budget.names" in {one.id for one in dissection.defects}
