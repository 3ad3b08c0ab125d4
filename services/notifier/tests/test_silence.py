"""Notices never answer notices."""

import pytest

from qscan_contracts.events import NoticeEvent
from qscan_contracts.ids import ScanId
from qscan_contracts.vocabulary import Disposition, Verdict
from qscan_notifier.domain.silence import reason_for_silence

ADMIN = "Postmaster@example.org"


def event(mail_from="a@example.org", header_block=b""):
    """A notice event about a message from somebody, with a header."""
    return NoticeEvent(
        ScanId("s1"),
        Verdict.VIRUS,
        Disposition.QUARANTINE,
        "r",
        mail_from,
        (),
        0,
        "",
        "",
        "",
        None,
        "now",
        header_block,
    )


@pytest.mark.parametrize("mail_from", ["", "#@[]"])
def test_there_is_none_about_a_message_with_a_null_sender(mail_from):
    """A bounce and a double bounce; every notice of ours has the first."""
    assert reason_for_silence(event(mail_from), ADMIN) == "null_sender"


@pytest.mark.parametrize(
    "header_block",
    [
        b"X-Qscan-Notice: s1\n",
        b"Received: x\n by y\nx-qscan-notice : s1\nSubject: z\n",
        b"Received: x\r\nX-QSCAN-NOTICE:s1\r\n",
    ],
)
def test_there_is_none_about_a_notice(header_block):
    """Whoever changed its envelope sender on the way."""
    assert reason_for_silence(event(header_block=header_block), ADMIN) == "own_notice"


@pytest.mark.parametrize("mail_from", ["Postmaster@example.org", "postmaster@EXAMPLE.org"])
def test_there_is_none_about_mail_of_the_administrator(mail_from):
    """What the administrator forwards would come back to the administrator."""
    assert reason_for_silence(event(mail_from), ADMIN) == "from_administrator"


@pytest.mark.parametrize(
    "header_block",
    [b"", b"Subject: X-Qscan-Notice: s1\n", b"X-Qscan-Notice-Of-Mine: s1\n", b"Subject: a\n X-Qscan-Notice: s1\n"],
)
def test_there_is_one_about_everything_else(header_block):
    """Also where something only looks like our mark."""
    assert reason_for_silence(event(header_block=header_block), ADMIN) is None
