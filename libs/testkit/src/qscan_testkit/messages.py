"""Messages for tests: the four of Qmail-Scanner's own test, and a builder for others.

The strings that scanners look for are put together here, so that no scanner reports this source file.
"""

from email.message import EmailMessage
from email.policy import SMTP

EICAR = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + "EICAR-STANDARD-" + "ANTIVIRUS-" + "TEST-FILE!" + "$H+H*"
"""The EICAR test file (eicar.org): harmless, and every anti-virus engine reports it."""
GTUBE = "XJS*C4JDBQADN1." + "NSBN3*2IDNEN*" + "GTUBE-STANDARD-" + "ANTI-UBE-TEST-" + "EMAIL*C.34X"
"""SpamAssassin's test line (spamassassin.apache.org/gtube): it scores 1000."""
EICAR_FILE_NAME = "Eicar.com"
EICAR_FILE_BYTES = len(EICAR)

LF = "\n"
CRLF = "\r\n"


def message(
    *,
    subject: str = "a test",
    text: str = "Nothing to see here.\n",
    attachments: tuple[tuple[str, bytes], ...] = (),
    sender: str = "sender@example.org",
    recipient: str = "recipient@example.org",
    newline: str = LF,
) -> bytes:
    """A message with a text and attachments (file name, content). Its Message-ID and Date are always the same.

    `newline`: `LF`, as qmail hands messages over, or `CRLF`, as they travel.
    """
    built = EmailMessage(policy=SMTP.clone(linesep=newline))
    built["From"], built["To"], built["Subject"] = sender, recipient, subject
    built["Date"] = "Fri, 02 Jan 2026 03:04:05 +0000"
    built["Message-ID"] = "<test@example.org>"
    built.set_content(text)
    for name, content in attachments:
        built.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    if attachments:
        built.set_boundary("test-boundary")
    return built.as_bytes()


def clean(newline: str = LF) -> bytes:
    """Nothing in it."""
    return message(subject="clean", newline=newline)


def eicar_by_name(newline: str = LF) -> bytes:
    """An attachment that has EICAR's name and size and holds nothing but zeros: for rules on names, not for engines."""
    return message(subject="by name", attachments=((EICAR_FILE_NAME, b"0" * EICAR_FILE_BYTES),), newline=newline)


def eicar(newline: str = LF) -> bytes:
    """The EICAR file under a harmless name: for engines, not for rules on names."""
    return message(subject="a virus", attachments=(("sneaky.txt", EICAR.encode()),), newline=newline)


def gtube(newline: str = LF) -> bytes:
    """Spam for every spam filter."""
    return message(subject="spam", text=f"Buy now.\n\n{GTUBE}\n", newline=newline)
