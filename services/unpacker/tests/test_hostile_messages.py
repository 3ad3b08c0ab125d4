"""Attacks on the dissector: time and memory linear in the message, and never an exception (field-lessons §4.1)."""

import base64
import gc
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from qscan_unpacker.dissection.budget import Budget, Limits
from qscan_unpacker.dissection.collecting import Dissection
from qscan_unpacker.dissection.dissector import Dissector
from qscan_unpacker.dissection.holding import Holding, content_of
from qscan_unpacker.dissection.transfer import decode_base64

HEADER_BYTES = 250_000
"""Below the budget of one header."""
MULTIPART = b'Content-Type: multipart/mixed; boundary="b"\n\n'
BASE64 = b"Content-Transfer-Encoding: base64\n\n"


@contextmanager
def dissected(raw: bytes, limits: Limits | None = None) -> Iterator[Dissection]:
    """The dissection of `raw`, whose contents can be read inside the block."""
    content, sha256 = content_of(raw)
    with Holding(Path(tempfile.gettempdir())) as holding:
        yield Dissector(raw, sha256, holding, Budget(limits or Limits(), time.thread_time), content).dissect()


def repeated(before: bytes, piece: bytes, after: bytes, size: int = HEADER_BYTES) -> bytes:
    """A message that is one piece of syntax over and over."""
    return before + piece * (size // len(piece)) + after


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(repeated(b"a", b" ", b"\n\nx"), id="spaces in front of a colon that never comes"),
        pytest.param(repeated(b"Content-Type: a/b", b";", b"\n\nx"), id="parameters without anything"),
        pytest.param(repeated(b"Content-Type: a/b", b";=", b"\n\nx"), id="parameters without a name"),
        pytest.param(repeated(b'Content-Type: a/b;x="', b"\\a", b"\n\nx"), id="a quoted string without end"),
        pytest.param(repeated(b'Content-Type: a/b;name="', b"=?x?q?", b'"\n\nx'), id="encoded words without end"),
        pytest.param(
            repeated(b"Content-Type: a/b;name*=punycode''" + b"a" * 100_000 + b"-", b"b99", b"\n\nx", 140_000),
            id="a charset that takes quadratic time",
        ),
        pytest.param(repeated(b"Content-Transfer-Encoding: ", b"(", b"\n\nx"), id="comments without end"),
        pytest.param(repeated(BASE64, b"=", b"", 3_000_000), id="nothing but padding"),
        pytest.param(repeated(BASE64, b"QUFB=", b"", 1_000_000), id="padding after each group"),
        pytest.param(
            repeated(b"Content-Transfer-Encoding: quoted-printable\n\n", b"= ", b"", 3_000_000), id="soft line breaks"
        ),
        pytest.param(repeated(MULTIPART, b"--b\n", b"", 3_000_000), id="delimiters"),
        pytest.param(repeated(MULTIPART, b"--ba\n", b"", 3_000_000), id="longer delimiters"),
        pytest.param(repeated(b"Content-Type: a b; x ", b"name='a=?u?q?x?= ", b"\n\nx"), id="names in names"),
        pytest.param(repeated(MULTIPART, b"\n--", b"", 3_000_000), id="almost delimiters"),
        pytest.param(repeated(b"", b"Content-Type: message/rfc822\n\n", b""), id="messages in messages"),
        pytest.param(repeated(b"", b"\0", b"", 3_000_000), id="nothing but NUL"),
        pytest.param(repeated(b"A: ", b"x", b"", 30_000_000), id="a header line of 30 MB"),
    ],
)
def test_time_is_linear(raw: bytes) -> None:
    """Each of these took minutes or more with a pattern that goes back and tries again; the loop stands meanwhile."""
    started = time.process_time()
    with dissected(raw) as dissection:
        assert dissection.found[0].content.size == len(raw)
    assert time.process_time() - started < 2


def test_delimiters_do_not_fill_the_memory() -> None:
    """Millions of empty parts are given up at the budget, not after all of them were found."""
    raw = repeated(MULTIPART, b"--b\n", b"", 4_000_000)
    tracemalloc.start()
    with dissected(raw) as dissection:
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert [one.id for one in dissection.defects][-1] == "budget.components"
    assert peak_bytes < 8_000_000


def test_defects_do_not_fill_the_memory() -> None:
    """Of a kind so many are noted that a person sees it; none of another kind is left out for it."""
    part = b"--b\nContent-Type: a/b\n" + b"x\n" * 400 + b"\n"
    raw = MULTIPART + part * 50 + b"--b\nContent-Type: a/b; a=1; a=2\n\n"
    with dissected(raw) as dissection:
        noted: list[str] = [one.id for one in dissection.defects]
    assert noted.count("header.line_without_colon") == 64
    assert {"mime.parameter.duplicate", "mime.boundary.never_closed"} <= set(noted)


@pytest.mark.parametrize("size", [71, 251, 257, 300, 2000])
def test_a_long_boundary_is_followed_to_its_end(size: int) -> None:
    """What differs only behind what is searched for is no delimiter."""
    boundary = b"b" * size
    raw = b'Content-Type: multipart/mixed; boundary="%b"\n\n--%bc\n\nno part\n--%b\n\npart\n--%b--\n' % (
        (boundary,) * 4
    )
    with dissected(raw) as dissection:
        contents = {str(one.component.path): one.content.read(0, 10_000) for one in dissection.found}
    assert contents["1"] == b"part"
    assert b"no part" in contents["0"]


def test_padding_everywhere_is_kept_in_large_pieces() -> None:
    """A run of three bytes is no piece of its own: each piece may become a write to the disk."""
    pieces = list(decode_base64(b"QUFB=" * 300_000))
    assert b"".join(pieces) == b"AAA" * 300_000
    assert len(pieces) < 20


def test_seconds_run_out_inside_one_part() -> None:
    """The time of the budget counts while a large part is decoded, too."""
    ticks = iter(range(1000))
    raw = BASE64 + b"QUFB" * 2_000_000
    content, sha256 = content_of(raw)
    with Holding(Path(tempfile.gettempdir())) as holding:
        budget = Budget(Limits(max_dissection_s=5), lambda: float(next(ticks)))
        dissection = Dissector(raw, sha256, holding, budget, content).dissect()
    assert [one.id for one in dissection.defects] == ["budget.seconds"]
    assert dissection.reports


def test_blank_lines_take_no_memory(tmp_path):
    """A million of them in front of nothing cost what they are, not two hundred times as much."""
    raw = b"\n" * 3_000_000
    content, sha256 = content_of(raw)
    with Holding(tmp_path) as holding:
        tracemalloc.start()
        try:
            Dissector(raw, sha256, holding, Budget(Limits(), time.thread_time), content).dissect()
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak_bytes < 10 * len(raw)


def test_a_message_that_runs_out_of_budget_leaves_no_descriptor(tmp_path):
    """Decoded messages are mapped; what was still to be done of them is let go at once, not when Python tidies up."""
    inner = MULTIPART + b"--b\n\nx\n" * 3_000
    padded = base64.encodebytes(b"X: \r" + b"x" * 300_000 + b"\n" + inner)
    raw = b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n" + padded
    content, sha256 = content_of(raw)
    limits = Limits(max_header_bytes=1_000_000)
    descriptors = Path("/proc/self/fd")
    gc.disable()
    try:
        before = len(list(descriptors.iterdir()))
        with Holding(tmp_path) as holding:
            dissector = Dissector(raw, sha256, holding, Budget(limits, time.thread_time), content)
            dissector.dissect()
            assert dissector.ran_out_of == "budget.components"
        assert len(list(descriptors.iterdir())) == before
    finally:
        gc.enable()
