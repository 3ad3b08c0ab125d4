"""A stored object becomes a quarantined message in one pass, however it is cut into pieces."""

import hashlib
import io
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qscan_archiver.domain.header_block import header_block
from qscan_archiver.unframing import MAX_FIRST_LINE_BYTES, Unframer
from qscan_contracts.envelope import Envelope
from qscan_contracts.events import StoredMessage
from qscan_contracts.ids import ScanId, Sha256
from qscan_contracts.stored import write_head
from qscan_contracts.vocabulary import Disposition, Verdict
from qscan_kit.errors import ContentUnavailableError, PoisonError

SCAN_ID = ScanId("s1")


def head_of(raw: bytes, *, raw_size: int | None = None, scan_id: ScanId = SCAN_ID) -> StoredMessage:
    """What the unpacker says of a raw message."""
    return StoredMessage(
        scan_id=scan_id,
        raw_size=len(raw) if raw_size is None else raw_size,
        raw_sha256=Sha256(hashlib.sha256(raw).hexdigest()),
        envelope=Envelope(mail_from="a@example.org"),
        received_at="now",
        verdict=Verdict.VIRUS,
        disposition=Disposition.QUARANTINE,
        reason="r",
        rules_version="1",
        quarantined_for=(),
    )


def unframe(data: bytes, cuts: list[int]) -> bytes:
    """What comes out when an object is written in pieces."""
    file = io.BytesIO()
    unframer = Unframer(file, SCAN_ID)
    for start, end in pairwise([0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]):
        unframer.write(data[start:end])
    unframer.finish()
    return file.getvalue()


@given(raw=st.binary(max_size=200) | st.just(b"a: b\r\n\r\nbody\r\n"), cuts=st.lists(st.integers(0, 500), max_size=8))
def test_block_and_message_come_out_however_it_is_cut(raw, cuts):
    """And the message is what was received, byte for byte."""
    head = head_of(raw)
    out = unframe(write_head(head) + raw, cuts)
    newline = b"\r\n" if raw[: raw.find(b"\n") + 1].endswith(b"\r\n") else b"\n"
    assert out == header_block(head, newline) + raw


def test_a_message_without_line_ends_is_not_kept_in_memory():
    """The search for the first one ends somewhere."""
    raw = b"x" * (3 * MAX_FIRST_LINE_BYTES)
    file = io.BytesIO()
    unframer = Unframer(file, SCAN_ID)
    unframer.write(write_head(head_of(raw)) + raw[: 2 * MAX_FIRST_LINE_BYTES])
    assert len(file.getvalue()) > 2 * MAX_FIRST_LINE_BYTES
    unframer.write(raw[2 * MAX_FIRST_LINE_BYTES :])
    unframer.finish()
    assert file.getvalue().endswith(raw)


RAW = b"Subject: x\n\nbody\n"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0",
        b"\0\0\0\0",
        b"\xff\xff\xff\xff" + RAW,
        write_head(head_of(RAW))[:-1],
        write_head(head_of(RAW)),
        write_head(head_of(RAW)) + RAW[:-1],
        write_head(head_of(RAW)) + RAW + b"x",
        write_head(head_of(RAW)) + RAW.replace(b"b", b"B"),
        write_head(head_of(RAW, raw_size=1)) + RAW,
        b"\0\0\0\5Hello" + RAW,
    ],
    ids=[
        "empty",
        "short",
        "no head",
        "long head",
        "cut head",
        "no raw",
        "cut",
        "longer",
        "changed",
        "size",
        "no msgpack",
    ],
)
def test_what_is_not_the_promised_message_is_an_error(data):
    """A quarantine must not hold something that only looks like the message."""
    with pytest.raises(ContentUnavailableError):
        unframe(data, [3, 50])


def test_the_object_of_another_message_is_refused():
    """An event that names it can never be right."""
    with pytest.raises(PoisonError):
        unframe(write_head(head_of(RAW, scan_id=ScanId("other"))) + RAW, [])
