"""The text of a notice: English, plain, and with nothing of the hostile message that could do anything.

Every string from the message is made one printable line first. Bounded in length, so that a notice is always small.
"""

from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

from qscan_contracts.events import NOTICE_MARK_FIELD, NoticeEvent
from qscan_contracts.texts import one_line
from qscan_contracts.vocabulary import Disposition, QuarantineClass, Verdict

MAX_LINE_CHARACTERS = 200
MAX_SUBJECT_CHARACTERS = 100
MAX_QUOTED_LINES = 40

# qmail's line ends; nothing but ASCII travels.
_POLICY = SMTP.clone(linesep="\n", cte_type="7bit")

_WHAT = {
    Verdict.VIRUS: "A virus was found in a message",
    Verdict.UNSCANNABLE: "A message could not be scanned",
    Verdict.POLICY: "A message is against the rules of this site",
    Verdict.SPAM: "A message was taken for spam",
    Verdict.CLEAN: "A message was kept",
}
_DONE = {
    Disposition.DELIVER: "It was delivered to its other recipients, and kept for those below.",
    Disposition.DEFER: "The sender was told to try again later.",
    Disposition.REJECT: "The sender was told that it is refused.",
    Disposition.HOLD: "It is held for a person to decide. Its recipients did not get it, the sender was told nothing.",
    Disposition.QUARANTINE: "It is in the quarantine. Its recipients did not get it, the sender was told nothing.",
    Disposition.DISCARD: "It was thrown away. Its recipients did not get it, the sender was told nothing.",
}


@dataclass(frozen=True)
class Administrator:
    """Who gets the notices, and in whose name they are: the same. `address` is plain ASCII, ``local@domain``."""

    address: str
    description: str


def compose(event: NoticeEvent, administrator: Administrator, *, now: datetime, held_back: int) -> bytes:
    """The notice as RFC 5322 text, to be sent with a null envelope sender.

    Args:
        event: what happened.
        administrator: From and To.
        now: the Date, with a time zone.
        held_back: how many notices before this one were not sent because of their number.
    """
    local, _, domain = administrator.address.rpartition("@")
    mailbox = Address(administrator.description, local, domain)
    message = EmailMessage(policy=_POLICY)
    message["From"] = mailbox
    message["To"] = mailbox
    message["Subject"] = one_line(f"[qscan] {_WHAT[event.verdict]}: {event.reason}", MAX_SUBJECT_CHARACTERS)
    message["Date"] = now
    # The same for the same message, so that the rare second copy is known as one.
    message["Message-ID"] = f"<notice.{event.scan_id}@{domain}>"
    # RFC 3834 §5: tells other programs not to answer; the next field says it to Exchange.
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message[NOTICE_MARK_FIELD] = event.scan_id
    message.set_content("\n".join(_body(event, held_back)) + "\n", cte="quoted-printable")
    return message.as_bytes()


def _body(event: NoticeEvent, held_back: int) -> list[str]:
    return [
        f"{_WHAT[event.verdict]}.",
        _DONE[event.disposition],
        "",
        f"    Reason:        {_line(event.reason)}",
        f"    Verdict:       {event.verdict}",
        f"    Disposition:   {event.disposition}",
        f"    Scan id:       {event.scan_id}",
        f"    Kept in:       {_place(event)}",
        f"    Received at:   {_line(event.received_at)}",
        f"    Client:        {_line(event.client_ip or 'local')}",
        f"    Sender:        <{_line(event.mail_from)}> (may be forged)",
        *_recipients(event),
        "",
        f"    From:          {_line(event.header_from)}",
        f"    Subject:       {_line(event.subject)}",
        f"    Message-ID:    {_line(event.message_id)}",
        "",
        "The scan id is the name of the file in the quarantine, and is in the log.",
        *(
            ["", f"{held_back} notices before this one were not sent, because there were too many; see the log."]
            if held_back
            else []
        ),
        "",
        "The header of the message begins like this:",
        "",
        *_quoted(event.header_block),
    ]


def _line(text: str) -> str:
    return one_line(text, MAX_LINE_CHARACTERS)


def _place(event: NoticeEvent) -> str:
    match event.quarantine_class:
        case QuarantineClass():
            return f"quarantine/{event.quarantine_class}"
        case None:
            return "see the log"


def _recipients(event: NoticeEvent) -> list[str]:
    first, *others = event.recipients or ("",)
    lines = [f"    Recipients:    <{_line(first)}>", *(f"                   <{_line(other)}>" for other in others)]
    more = event.recipient_count - len(event.recipients)
    return [*lines, *([f"                   and {more} more"] if more > 0 else [])]


def _quoted(header_block: bytes) -> list[str]:
    lines = header_block.decode("utf-8", errors="replace").splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    quoted = [f"> {_indent(line)}{_line(line)}" for line in lines[:MAX_QUOTED_LINES]]
    left = len(lines) - MAX_QUOTED_LINES
    return [*quoted, *([f"({left} more lines)"] if left > 0 else [])]


def _indent(line: str) -> str:
    """A continued line is seen as one."""
    return "    " if line[:1] in {" ", "\t"} else ""
