"""What qscan-queue is told: the table of DESIGN §3, every row of it.

An answer that contradicts itself or our request is no answer (`BadAnswerError`): what is not certain
is never delivered and never called accepted.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import assert_never

from qscan_contracts.envelope import address_from_text, address_to_text
from qscan_contracts.ids import ScanId, Sha256
from qscan_contracts.intake import Decision, RecipientAnswer, SmtpReply
from qscan_contracts.texts import printable_ascii
from qscan_contracts.vocabulary import Disposition
from qscan_ingress.domain.edits import BadEditsError, EditedMessage, plan
from qscan_ingress.domain.envelope import Envelope
from qscan_ingress.domain.failures import Failure

MAX_TEXT_BYTES = 255
"""What qmail keeps of a custom error."""

EXIT_ACCEPTED = 0
EXIT_ADDRESS_TOO_LONG = 11
EXIT_REJECT = 31
EXIT_TIMEOUT = 52
EXIT_READ = 54
EXIT_DEFER = 71
EXIT_BAD_ENVELOPE = 91
# Where the caller listens on an error descriptor and there is a text, qscan-queue exits 82 instead.


@dataclass(frozen=True)
class Deliver:
    """Hand this to the real qmail-queue."""

    envelope: bytes = field(repr=False)
    message: EditedMessage = field(repr=False)


@dataclass(frozen=True)
class Exit:
    """Exit with `code`; `text` for the error descriptor: class letter, printable ASCII, code."""

    code: int
    text: str = ""


Outcome = Deliver | Exit


@dataclass(frozen=True)
class Asked:
    """What the answer must be about."""

    scan_id: ScanId
    raw_size: int
    raw_sha256: Sha256
    envelope: Envelope


class BadAnswerError(Exception):
    """The answer cannot be acted upon. The text says why; it is for the log and names no address."""


def _defer(text: str) -> Exit:
    return Exit(EXIT_DEFER, f"Z{text} (#4.3.0)")


_FOR_FAILURE: Mapping[Failure, Exit] = MappingProxyType(
    {
        Failure.TRUNCATED_ENVELOPE: Exit(EXIT_READ),
        Failure.BAD_ENVELOPE: Exit(EXIT_BAD_ENVELOPE),
        Failure.ADDRESS_TOO_LONG: Exit(EXIT_ADDRESS_TOO_LONG),
        Failure.MESSAGE_TOO_LARGE: Exit(EXIT_REJECT, "Dmessage too large to be scanned (#5.3.4)"),
        Failure.READ_ERROR: Exit(EXIT_READ),
        Failure.READ_TIMEOUT: Exit(EXIT_TIMEOUT),
        Failure.ENVELOPE_TOO_LARGE: _defer("too many recipients in one message"),
        Failure.SPOOL_FULL: _defer("mail scanner has no room, please try again later"),
        Failure.UNPACKER_UNAVAILABLE: _defer("mail scanner is not available, please try again later"),
        Failure.UNPACKER_REFUSED: _defer("mail scanner failed, please try again later"),
        Failure.DEADLINE: _defer("mail scanner took too long, please try again later"),
        Failure.BUSY: _defer("mail scanner is busy, please try again later"),
    }
)


def for_failure(failure: Failure) -> Exit:
    """What the caller is told when there is no decision. Never success, and the cause stays ours."""
    return _FOR_FAILURE[failure]


def for_decision(decision: Decision, asked: Asked) -> Outcome:
    """What the caller is told for an answer.

    Raises:
        BadAnswerError: it is about another message, or contradicts itself.
    """
    if decision.scan_id != asked.scan_id:
        raise BadAnswerError("scan_id is not ours")
    if decision.raw_size != asked.raw_size or decision.raw_sha256 != asked.raw_sha256:
        raise BadAnswerError("raw_size or raw_sha256 is not ours: other bytes were scanned")
    _check_recipients(decision, asked.envelope)
    match decision.disposition:
        case Disposition.DELIVER:
            return _deliver(decision, asked)
        case Disposition.DEFER:
            text = "message cannot be scanned now, please try again later"
            return Exit(EXIT_DEFER, _reply_text("Z", decision.smtp, 4, text, "(#4.3.0)"))
        case Disposition.REJECT:
            text = "message rejected by mail scanner"
            return Exit(EXIT_REJECT, _reply_text("D", decision.smtp, 5, text, "(#5.7.1)"))
        case Disposition.HOLD | Disposition.QUARANTINE | Disposition.DISCARD:
            return Exit(EXIT_ACCEPTED)
        case _:
            assert_never(decision.disposition)


def _check_recipients(decision: Decision, envelope: Envelope) -> None:
    """One entry per recipient, in order, and in agreement with the disposition of the whole."""
    if len(decision.recipients) != len(envelope.rcpt_to):
        raise BadAnswerError("it does not have one entry per recipient")
    for index, (entry, address) in enumerate(zip(decision.recipients, envelope.rcpt_to, strict=True)):
        if entry.index != index or entry.rcpt_to != address_to_text(address):
            raise BadAnswerError("its recipients are not ours, or not in our order")
    theirs = {entry.disposition for entry in decision.recipients}
    if decision.disposition is Disposition.DEFER:
        return  # nothing can be lost by that, whatever it says of the single recipient
    if theirs and decision.disposition not in theirs:
        raise BadAnswerError("no recipient has the disposition of the whole")
    if not theirs <= _AGREE[decision.disposition]:
        raise BadAnswerError("a recipient's disposition contradicts that of the whole")


_KEPT = frozenset({Disposition.HOLD, Disposition.QUARANTINE, Disposition.DISCARD})
_AGREE: Mapping[Disposition, frozenset[Disposition]] = MappingProxyType(
    {
        # DESIGN §7, «recipients are combined». A rejected recipient beside a delivered one would be
        # told nothing and have nothing: the unpacker makes that a quarantine before it answers.
        Disposition.DELIVER: _KEPT | {Disposition.DELIVER},
        Disposition.REJECT: frozenset({Disposition.REJECT}),
        Disposition.HOLD: _KEPT | {Disposition.REJECT},
        Disposition.QUARANTINE: _KEPT | {Disposition.REJECT},
        Disposition.DISCARD: _KEPT | {Disposition.REJECT},
    }
)


def _deliver(decision: Decision, asked: Asked) -> Deliver:
    try:
        rcpt_to = tuple(
            _deliver_to(entry, address)
            for entry, address in zip(decision.recipients, asked.envelope.rcpt_to, strict=True)
            if entry.disposition is Disposition.DELIVER
        )
        envelope = asked.envelope.for_recipients(rcpt_to)
        return Deliver(envelope, plan(decision.edits, asked.raw_size))
    except (BadEditsError, ValueError) as error:
        raise BadAnswerError(str(error)) from error


def _deliver_to(entry: RecipientAnswer, address: bytes) -> bytes:
    """The original bytes, except where a rule redirects."""
    return address if entry.deliver_to == entry.rcpt_to else address_from_text(entry.deliver_to)


_ENHANCED_CODE = re.compile(r" *\(#([245])\.\d{1,3}\.\d{1,3}\)$")


def _reply_text(letter: str, smtp: SmtpReply | None, kind: int, default: str, code: str) -> str:
    """The text of a reply as qmail wants it: at most 255 bytes of printable ASCII, code at the end.

    Its own code stays if it is of the right class; a reply of the wrong class is not quoted.
    """
    text = default
    if smtp is not None and smtp.code // 100 == kind and smtp.text.strip():
        text = printable_ascii(smtp.text.strip())
    own = _ENHANCED_CODE.search(text)
    if own:
        text = text[: own.start()]
        code = own[0].strip() if own[1] == str(kind) else code
    room = MAX_TEXT_BYTES - len(letter) - len(code) - 1
    return f"{letter}{text[:room].rstrip()} {code}"
