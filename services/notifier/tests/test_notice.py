"""The notice says what a person needs, and nothing of the hostile message can do anything in it."""

import email
import email.policy
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qscan_contracts.events import NoticeEvent
from qscan_contracts.ids import ScanId
from qscan_contracts.vocabulary import Disposition, QuarantineClass, Verdict
from qscan_notifier.domain.notice import MAX_QUOTED_LINES, Administrator, compose

ADMIN = Administrator("postmaster@example.org", "System Anti-Virus Administrator")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


ORDINARY = NoticeEvent(
    scan_id=ScanId("s1"),
    verdict=Verdict.VIRUS,
    disposition=Disposition.QUARANTINE,
    reason="Eicar-Signature",
    mail_from="ann@example.org",
    recipients=("bob@example.com", "eve@example.com"),
    recipient_count=2,
    subject="an offer",
    message_id="<1@example.org>",
    header_from="Ann <ann@example.org>",
    client_ip="192.0.2.1",
    received_at="2026-01-02T03:04:05.678+00:00",
    header_block=b"Received: from x\n by y\nSubject: an offer\n\n",
    quarantine_class=QuarantineClass.VIRUSES,
)


def event(**changed):
    """The ordinary one, changed."""
    return msgspec.structs.replace(ORDINARY, **changed)


def read(notice: bytes):
    """A notice as a mail reader has it."""
    return email.message_from_bytes(notice, policy=email.policy.default)


def test_it_reads_like_this():
    """The whole notice about an ordinary message."""
    notice = compose(event(), ADMIN, now=NOW, held_back=0)
    assert b"\r" not in notice
    message = read(notice)
    assert dict(message.items()) == {
        "From": "System Anti-Virus Administrator <postmaster@example.org>",
        "To": "System Anti-Virus Administrator <postmaster@example.org>",
        "Subject": "[qscan] A virus was found in a message: Eicar-Signature",
        "Date": "Fri, 02 Jan 2026 03:04:05 +0000",
        "Message-ID": "<notice.s1@example.org>",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
        "X-Qscan-Notice": "s1",
        "Content-Type": 'text/plain; charset="utf-8"',
        "Content-Transfer-Encoding": "quoted-printable",
        "MIME-Version": "1.0",
    }
    assert (
        message.get_content()
        == """\
A virus was found in a message.
It is in the quarantine. Its recipients did not get it, the sender was told nothing.

    Reason:        Eicar-Signature
    Verdict:       virus
    Disposition:   quarantine
    Scan id:       s1
    Kept in:       quarantine/viruses
    Received at:   2026-01-02T03:04:05.678+00:00
    Client:        192.0.2.1
    Sender:        <ann@example.org> (may be forged)
    Recipients:    <bob@example.com>
                   <eve@example.com>

    From:          Ann <ann@example.org>
    Subject:       an offer
    Message-ID:    <1@example.org>

The scan id is the name of the file in the quarantine, and is in the log.

The header of the message begins like this:

> Received: from x
>     by y
> Subject: an offer
"""
    )


def test_it_says_what_it_leaves_out():
    """More recipients, more header lines, and notices that were held back."""
    notice = event(recipient_count=40, header_block=b"A: b\n" * (MAX_QUOTED_LINES + 2))
    body = read(compose(notice, ADMIN, now=NOW, held_back=7)).get_content()
    assert "                   and 38 more\n" in body
    assert body.endswith("> A: b\n(2 more lines)\n")
    assert "7 notices before this one were not sent" in body


@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize("disposition", Disposition)
def test_there_are_words_for_every_verdict_and_disposition(verdict, disposition):
    """A new one must not stop notices."""
    notice = event(verdict=verdict, disposition=disposition, recipients=(), recipient_count=0, quarantine_class=None)
    assert "Recipients:    <>" in read(compose(notice, ADMIN, now=NOW, held_back=0)).get_content()


_TEXTS = st.text(st.characters(codec="utf-8"), max_size=300) | st.just("x\r\nBcc: victim@example.net\r\n\r\nbody")


@given(
    texts=st.tuples(*[_TEXTS] * 8),
    recipients=st.lists(_TEXTS, max_size=20).map(tuple),
    header_block=st.binary(max_size=2000) | st.just(b"\n\n.\n\x1b[2J\xe2\x80\xae" + b"\r" * 20),
)
def test_nothing_hostile_gets_out_of_its_line(texts, recipients, header_block):
    """The header fields are always the same ones, the body is always text of bounded size."""
    reason, mail_from, subject, message_id, header_from, client_ip, received_at, _ = texts
    hostile = event(
        reason=reason,
        mail_from=mail_from,
        subject=subject,
        message_id=message_id,
        header_from=header_from,
        client_ip=client_ip,
        received_at=received_at,
        recipients=recipients,
        recipient_count=len(recipients),
        header_block=header_block,
    )
    notice = compose(hostile, ADMIN, now=NOW, held_back=0)
    assert notice.isascii()
    assert b"\r" not in notice
    assert max(map(len, notice.split(b"\n"))) <= 998  # RFC 5322 §2.1.1
    assert len(notice) < 100_000
    message = read(notice)
    assert list(message.keys()) == list(read(compose(event(), ADMIN, now=NOW, held_back=0)).keys())
    assert not message.defects
    assert not message.is_multipart()
    body = message.get_content()
    assert all(line.isprintable() for line in body.split("\n"))
    head, _, quoted = body.partition("The header of the message begins like this:\n\n")
    assert head
    assert all(line.startswith(("> ", "(")) for line in quoted.split("\n")[:-1])
