"""The four messages of Qmail-Scanner's installation test. The test strings are in pieces, so that nothing flags us."""

import base64
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-" + b"ANTIVIRUS-" + b"TEST-FILE!" + b"$H+H*"
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*" + "GTUBE-STANDARD-" + "ANTI-UBE-TEST-EMAIL" + "*C.34X"
ZEROS = b"0" * len(EICAR)
"""As long as the EICAR test file, and harmless: only its name and size give it away."""


@dataclass(frozen=True)
class SelftestMessage:
    """One message. `key` names it in tables; `message_id` finds it again; lines end in LF, as qmail has them."""

    key: str
    message_id: str
    content: bytes


def messages(mail_from: str, rcpt_to: str) -> tuple[SelftestMessage, ...]:
    """The four, new each time, so that no cache and no earlier run can answer for them."""
    return (
        _message("clean", mail_from, rcpt_to, "Minutes of Monday's meeting", _TEXT.format(body=_MINUTES)),
        _message(
            "Eicar.com", mail_from, rcpt_to, "A test file", _attachment("Eicar.com", "application/x-msdownload", ZEROS)
        ),
        _message("sneaky.txt", mail_from, rcpt_to, "Some notes", _attachment("sneaky.txt", "text/plain", EICAR)),
        _message("GTUBE", mail_from, rcpt_to, "An offer", _TEXT.format(body=GTUBE + "\n")),
    )


_MINUTES = """\
Hello,

the minutes of Monday's meeting: we agreed to keep the old printer until
spring, and Anna looks after the coffee machine from now on.

Kind regards
"""
_TEXT = "Content-Type: text/plain; charset=us-ascii\n\n{body}"


def _message(key: str, mail_from: str, rcpt_to: str, subject: str, rest: str) -> SelftestMessage:
    message_id = f"<{secrets.token_hex(12)}@selftest.qscan.invalid>"
    header = (
        f"Date: {format_datetime(datetime.now(tz=UTC))}\n"
        f"From: qscan selftest <{mail_from}>\n"
        f"To: {rcpt_to}\n"
        f"Subject: {subject}\n"
        f"Message-ID: {message_id}\n"
        "MIME-Version: 1.0\n"
    )
    return SelftestMessage(key, message_id, (header + rest).encode("ascii"))


def _attachment(name: str, content_type: str, content: bytes) -> str:
    boundary = f"qscan-{secrets.token_hex(8)}"
    return (
        f'Content-Type: multipart/mixed; boundary="{boundary}"\n\n'
        f"--{boundary}\n"
        "Content-Type: text/plain; charset=us-ascii\n\n"
        "The file is attached.\n\n"
        f"--{boundary}\n"
        f'Content-Type: {content_type}; name="{name}"\n'
        "Content-Transfer-Encoding: base64\n"
        f'Content-Disposition: attachment; filename="{name}"\n\n'
        f"{base64.encodebytes(content).decode('ascii')}"
        f"--{boundary}--\n"
    )
