"""The framing of stored objects reads back, and damage is told apart from a message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qscan_contracts.envelope import Envelope
from qscan_contracts.events import StoredMessage
from qscan_contracts.ids import ScanId, Sha256
from qscan_contracts.stored import LENGTH_BYTES, MAX_HEAD_BYTES, StoredHeadError, head_length, read_head, write_head
from qscan_contracts.vocabulary import Disposition, Verdict

_TEXTS = st.text(st.characters(codec="utf-8"), max_size=30)


def _stored(mail_from: str, rcpt_to: tuple[str, ...], reason: str) -> StoredMessage:
    return StoredMessage(
        scan_id=ScanId("s1"),
        envelope=Envelope(mail_from=mail_from, rcpt_to=rcpt_to),
        received_at="2026-01-02T03:04:05.678+00:00",
        verdict=Verdict.VIRUS,
        disposition=Disposition.QUARANTINE,
        reason=reason,
        rules_version="1",
        raw_size=3,
        raw_sha256=Sha256("0" * 64),
        quarantined_for=rcpt_to,
    )


@given(mail_from=_TEXTS, rcpt_to=st.lists(_TEXTS, max_size=5).map(tuple), reason=_TEXTS, raw=st.binary(max_size=50))
def test_an_object_reads_back(mail_from, rcpt_to, reason, raw):
    """Head and raw message are told apart by the length in front, whatever is in them."""
    stored = _stored(mail_from, rcpt_to, reason)
    data = write_head(stored) + raw
    end = LENGTH_BYTES + head_length(data[:LENGTH_BYTES])
    assert read_head(data[LENGTH_BYTES:end]) == stored
    assert data[end:] == raw


@pytest.mark.parametrize(
    "prefix", [b"", b"\0\0\1", b"\0\0\0\0", b"\xff\xff\xff\xff", (MAX_HEAD_BYTES + 1).to_bytes(4, "big")]
)
def test_a_length_that_no_head_has_is_damage(prefix):
    """So that nobody reads gigabytes into memory on the word of a damaged object."""
    with pytest.raises(StoredHeadError):
        head_length(prefix)


@pytest.mark.parametrize("head", [b"", b"Subject: hello", b"\x80", write_head(_stored("a", (), "r"))[4:-1]])
def test_a_head_that_cannot_be_decoded_is_damage(head):
    """Also when it is only cut short."""
    with pytest.raises(StoredHeadError):
        read_head(head)
