"""The header block above a quarantined message says all that a person and a release need, and nothing can leave it."""

import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qscan_archiver.domain.header_block import LAST_FIELD, header_block, newline_of
from qscan_contracts.envelope import Envelope, address_to_text
from qscan_contracts.events import StoredMessage
from qscan_contracts.ids import ScanId, Sha256
from qscan_contracts.texts import address_token
from qscan_contracts.vocabulary import Disposition, Verdict

_TEXTS = st.text(max_size=60)
_ADDRESSES = st.binary(max_size=40).map(address_to_text)


def stored(envelope=Envelope(), reason="r", quarantined_for=(), rules_version="1"):  # noqa: B008  # frozen
    """A head with what the test is about."""
    return StoredMessage(
        scan_id=ScanId("s1"),
        envelope=envelope,
        received_at="2026-01-02T03:04:05.678+00:00",
        verdict=Verdict.VIRUS,
        disposition=Disposition.QUARANTINE,
        reason=reason,
        rules_version=rules_version,
        raw_size=3,
        raw_sha256=Sha256("ab" * 32),
        quarantined_for=quarantined_for,
    )


def test_it_reads_like_this():
    """The whole block of an ordinary message."""
    envelope = Envelope(
        mail_from="a@example.org", rcpt_to=("b@example.net", "c@example.net"), client_ip="192.0.2.1", relay_client=True
    )
    block = header_block(stored(envelope, "Eicar-Signature", ("b@example.net", "c@example.net")), b"\n")
    assert block.decode() == (
        "Quarantine-Description: Eicar-Signature\n"
        "X-Qscan-Scan-Id: s1\n"
        "X-Qscan-Verdict: virus\n"
        "X-Qscan-Disposition: quarantine\n"
        "X-Qscan-Rules-Version: 1\n"
        "X-Qscan-Received-At: 2026-01-02T03:04:05.678+00:00\n"
        "X-Qscan-Client-Ip: 192.0.2.1\n"
        "X-Qscan-Relay-Client: yes\n"
        "X-Qscan-Envelope-From: <a@example.org>\n"
        "X-Qscan-Envelope-To: <b@example.net>,\n"
        " <c@example.net>\n"
        f"X-Qscan-Original: size=3; sha256={'ab' * 32}\n"
    )


def test_an_empty_sender_and_no_recipients_are_seen_as_such():
    """A bounce, and the envelope without recipients that qmail allows."""
    block = header_block(stored(), b"\n").decode()
    assert "X-Qscan-Envelope-From: <>\n" in block
    assert "X-Qscan-Envelope-To: \n" in block
    assert "Client" not in block


@given(
    mail_from=_ADDRESSES,
    rcpt_to=st.lists(_ADDRESSES, max_size=4).map(tuple),
    texts=st.tuples(_TEXTS, _TEXTS, _TEXTS, _TEXTS, _TEXTS),
    newline=st.sampled_from([b"\n", b"\r\n"]),
)
def test_nothing_hostile_leaves_its_field(mail_from, rcpt_to, texts, newline):
    """The same fields in the same order, one line each but the folded ones, whatever the message is like."""
    reason, host, ip, user, rules_version = texts
    envelope = Envelope(mail_from=mail_from, rcpt_to=rcpt_to, client_ip=ip, client_host=host, auth_user=user)
    block = header_block(stored(envelope, reason, rcpt_to, rules_version), newline)
    assert block.endswith(newline)
    assert block.isascii()
    lines = block.split(newline)[:-1]
    assert all(line.decode().isprintable() for line in lines)
    assert [line.partition(b":")[0].decode() for line in lines if not line.startswith(b" ")] == [
        "Quarantine-Description",
        "X-Qscan-Scan-Id",
        "X-Qscan-Verdict",
        "X-Qscan-Disposition",
        "X-Qscan-Rules-Version",
        "X-Qscan-Received-At",
        "X-Qscan-Client-Ip",
        "X-Qscan-Client-Host",
        "X-Qscan-Auth-User",
        "X-Qscan-Envelope-From",
        "X-Qscan-Envelope-To",
        "X-Qscan-Original",
    ]
    assert lines[-1].startswith(LAST_FIELD.encode())
    parsed = email.message_from_bytes(block, policy=email.policy.compat32)
    tokens = "".join(parsed["X-Qscan-Envelope-To"].split()).split(",") if rcpt_to else []
    assert tuple(token[1:-1] for token in tokens) == tuple(address_token(address) for address in rcpt_to)
    assert parsed["X-Qscan-Envelope-From"] == f"<{address_token(mail_from)}>"


def test_a_reason_in_another_language_is_encoded():
    """RFC 2047, so that a mail reader shows it."""
    block = header_block(stored(reason="Größe überschritten: " + "ä" * 100), b"\r\n")
    parsed = email.message_from_bytes(block, policy=email.policy.default)
    assert str(parsed["Quarantine-Description"]) == "Größe überschritten: " + "ä" * 100
    assert block.count(b"\r\n") == block.count(b"\n")


@pytest.mark.parametrize(
    ("first_bytes", "newline"),
    [
        (b"", b"\n"),
        (b"\n", b"\n"),
        (b"a: b\r\nc: d\n", b"\r\n"),
        (b"a: b\nc: d\r\n", b"\n"),
        (b"\r\n", b"\r\n"),
        (b"a\rb", b"\n"),
    ],
)
def test_the_line_end_is_that_of_the_message(first_bytes, newline):
    """Of its first line."""
    assert newline_of(first_bytes) == newline
