from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qscan_contracts.ids import ScanId, Sha256
from qscan_contracts.intake import Decision, Edit, RecipientAnswer, SmtpReply
from qscan_contracts.vocabulary import Disposition, Verdict
from qscan_ingress.domain.envelope import Envelope
from qscan_ingress.domain.failures import Failure
from qscan_ingress.domain.outcome import (
    MAX_TEXT_BYTES,
    Asked,
    BadAnswerError,
    Deliver,
    Exit,
    for_decision,
    for_failure,
)

D = Disposition
ASKED = Asked(
    scan_id=ScanId("01J"),
    raw_size=10,
    raw_sha256=Sha256("a" * 64),
    envelope=Envelope(b"from@example.org", (b"a@example.net", b"b\xff@example.net")),
)
TEXTS = ("a@example.net", "b\\xff@example.net")


def decision(whole: Disposition, *each: Disposition, **changes: Any) -> Decision:
    """An answer about `ASKED`."""
    recipients = tuple(
        RecipientAnswer(index=index, rcpt_to=TEXTS[index], disposition=one, deliver_to=TEXTS[index])
        for index, one in enumerate(each or (whole, whole))
    )
    base = Decision(
        scan_id=ASKED.scan_id,
        verdict=Verdict.CLEAN,
        disposition=whole,
        reason="",
        recipients=recipients,
        smtp=None,
        edits=(),
        raw_size=10,
        raw_sha256=ASKED.raw_sha256,
    )
    return msgspec.structs.replace(base, **changes)


def delivered(answer: Decision) -> Deliver:
    """The outcome, which must be a delivery."""
    outcome = for_decision(answer, ASKED)
    assert isinstance(outcome, Deliver)
    return outcome


def exited(answer: Decision, asked: Asked = ASKED) -> Exit:
    """The outcome, which must be an exit."""
    outcome = for_decision(answer, asked)
    assert isinstance(outcome, Exit)
    return outcome


def test_deliver_has_the_original_bytes() -> None:
    """The envelope is not made of the answer's texts."""
    assert delivered(decision(D.DELIVER)).envelope == b"Ffrom@example.org\0Ta@example.net\0Tb\xff@example.net\0\0"


@pytest.mark.parametrize("other", [D.QUARANTINE, D.HOLD, D.DISCARD])
def test_deliver_to_some(other: Disposition) -> None:
    """Only those who are to get the message are in the envelope."""
    outcome = delivered(decision(D.DELIVER, other, D.DELIVER))
    assert outcome.envelope == b"Ffrom@example.org\0Tb\xff@example.net\0\0"


def test_deliver_somewhere_else() -> None:
    """A redirect replaces the address, whose text reads back to bytes."""
    answer = decision(D.DELIVER)
    redirected = RecipientAnswer(index=1, rcpt_to=TEXTS[1], disposition=D.DELIVER, deliver_to="c\\xfe@x")
    outcome = delivered(msgspec.structs.replace(answer, recipients=(answer.recipients[0], redirected)))
    assert outcome.envelope == b"Ffrom@example.org\0Ta@example.net\0Tc\xfe@x\0\0"


@pytest.mark.parametrize(
    ("disposition", "code"),
    [(D.HOLD, 0), (D.QUARANTINE, 0), (D.DISCARD, 0), (D.REJECT, 31), (D.DEFER, 71)],
)
def test_what_is_not_delivered_exits(disposition: Disposition, code: int) -> None:
    """Kept is accepted; reject and defer have their codes."""
    assert exited(decision(disposition)).code == code


@pytest.mark.parametrize("disposition", list(D))
def test_no_recipients_is_no_contradiction(disposition: Disposition) -> None:
    """qmail-queue accepts an envelope without recipients."""
    asked = replace(ASKED, envelope=Envelope(b"", ()))
    outcome = for_decision(decision(disposition, recipients=()), asked)
    assert isinstance(outcome, Deliver) == (disposition is D.DELIVER)


@pytest.mark.parametrize(
    "answer",
    [
        decision(D.DELIVER, scan_id="other"),
        decision(D.DELIVER, raw_size=11),
        decision(D.DELIVER, raw_sha256="b" * 64),
        decision(D.QUARANTINE, raw_sha256="b" * 64),
        decision(D.DELIVER, D.DELIVER),
        decision(D.DELIVER, recipients=()),
        decision(D.DELIVER, recipients=decision(D.DELIVER).recipients[::-1]),
        decision(D.DELIVER, D.QUARANTINE, D.QUARANTINE),
        decision(D.DELIVER, D.DELIVER, D.DEFER),
        decision(D.DELIVER, D.DELIVER, D.REJECT),
        decision(D.QUARANTINE, D.QUARANTINE, D.DELIVER),
        decision(D.QUARANTINE, D.QUARANTINE, D.DEFER),
        decision(D.DISCARD, D.DISCARD, D.DELIVER),
        decision(D.REJECT, D.REJECT, D.DELIVER),
        decision(D.REJECT, D.REJECT, D.QUARANTINE),
        decision(D.DELIVER, edits=(Edit(offset=11, delete=0, insert=b""),)),
    ],
)
def test_an_answer_that_contradicts_is_no_answer(answer: Decision) -> None:
    """About another message, or not in agreement with itself: never acted upon."""
    with pytest.raises(BadAnswerError):
        for_decision(answer, ASKED)


def test_a_redirect_that_breaks_the_envelope_is_no_answer() -> None:
    """NUL in an address would end the envelope early."""
    answer = decision(D.DELIVER)
    evil = RecipientAnswer(index=1, rcpt_to=TEXTS[1], disposition=D.DELIVER, deliver_to="x\0Ty")
    with pytest.raises(BadAnswerError):
        for_decision(msgspec.structs.replace(answer, recipients=(answer.recipients[0], evil)), ASKED)


@pytest.mark.parametrize(
    ("disposition", "smtp", "text"),
    [
        (D.REJECT, (554, "no viruses (#5.7.1)"), "Dno viruses (#5.7.1)"),
        (D.REJECT, (554, "no viruses (#5.7.9)"), "Dno viruses (#5.7.9)"),
        (D.REJECT, (554, "no viruses"), "Dno viruses (#5.7.1)"),
        (D.REJECT, (554, "no viruses (#4.3.0)"), "Dno viruses (#5.7.1)"),
        (D.REJECT, (451, "later"), "Dmessage rejected by mail scanner (#5.7.1)"),
        (D.REJECT, (554, "a\r\nb\x1b\xe9"), "Da??b?? (#5.7.1)"),
        (D.REJECT, (554, "  "), "Dmessage rejected by mail scanner (#5.7.1)"),
        (D.REJECT, None, "Dmessage rejected by mail scanner (#5.7.1)"),
        (D.DEFER, (451, "clamd is down (#4.3.2)"), "Zclamd is down (#4.3.2)"),
        (D.DEFER, (554, "never"), "Zmessage cannot be scanned now, please try again later (#4.3.0)"),
        (D.DEFER, None, "Zmessage cannot be scanned now, please try again later (#4.3.0)"),
    ],
)
def test_texts_of_replies(disposition: Disposition, smtp: tuple[int, str] | None, text: str) -> None:
    """Printable ASCII that ends in a code of the right class; a reply of the other class is not quoted."""
    reply = None if smtp is None else SmtpReply(code=smtp[0], text=smtp[1])
    assert exited(decision(disposition, smtp=reply)).text == text


@given(st.text(max_size=400), st.sampled_from([D.REJECT, D.DEFER]))
def test_any_reply_fits_the_error_descriptor(text: str, disposition: Disposition) -> None:
    """At most 255 bytes, printable, class letter first, code last: whatever the unpacker says."""
    code = 554 if disposition is D.REJECT else 451
    said = exited(decision(disposition, smtp=SmtpReply(code=code, text=text))).text
    assert len(said) <= MAX_TEXT_BYTES
    assert said.isascii()
    assert said.isprintable()
    assert said.startswith("D" if disposition is D.REJECT else "Z")
    assert said.endswith(")")
    assert "(#5." in said if disposition is D.REJECT else "(#4." in said


@pytest.mark.parametrize(
    ("failure", "code", "text"),
    [
        (Failure.TRUNCATED_ENVELOPE, 54, ""),
        (Failure.BAD_ENVELOPE, 91, ""),
        (Failure.ADDRESS_TOO_LONG, 11, ""),
        (Failure.READ_ERROR, 54, ""),
        (Failure.READ_TIMEOUT, 52, ""),
        (Failure.MESSAGE_TOO_LARGE, 31, "Dmessage too large to be scanned (#5.3.4)"),
    ],
)
def test_failures_with_codes_of_their_own(failure: Failure, code: int, text: str) -> None:
    """The rows of DESIGN §3 that are not «defer»."""
    assert for_failure(failure) == Exit(code, text)


@pytest.mark.parametrize("failure", list(Failure))
def test_no_failure_is_success(failure: Failure) -> None:
    """Each has an exit; only an over-long address and a too large message are permanent."""
    outcome = for_failure(failure)
    permanent = failure in {Failure.ADDRESS_TOO_LONG, Failure.MESSAGE_TOO_LARGE}
    assert (11 <= outcome.code <= 40) == permanent
    assert outcome.code != 0
    if outcome.code == 71:
        assert outcome.text.startswith("Z")
        assert outcome.text.endswith("(#4.3.0)")
