"""What is written above a quarantined message: why it is here, and all that is needed to release it.

The block ends with the field `LAST_FIELD`, whose line is not folded: the original message is what follows that line,
byte for byte. (A message may begin with white space; what it continues is then that field, of which nobody reads more.)
"""

from email.header import Header

from qscan_contracts.events import StoredMessage
from qscan_contracts.texts import address_token, one_line

MAX_REASON_CHARACTERS = 300
MAX_WORD_CHARACTERS = 255
"""Host names and user names: what a DNS name may have."""

DESCRIPTION_FIELD = "Quarantine-Description"
"""As Qmail-Scanner's quarantined messages have it (facts §7)."""
LAST_FIELD = "X-Qscan-Original"


def newline_of(first_bytes: bytes) -> bytes:
    """The line ending of a message, by its first line; LF where there is none."""
    end = first_bytes.find(b"\n")
    return b"\r\n" if end > 0 and first_bytes[end - 1 : end] == b"\r" else b"\n"


def header_block(stored: StoredMessage, newline: bytes) -> bytes:
    """The fields, each ended by `newline`."""
    envelope = stored.envelope
    fields = [
        (DESCRIPTION_FIELD, _description(stored.reason)),
        ("X-Qscan-Scan-Id", stored.scan_id),
        ("X-Qscan-Verdict", stored.verdict.value),
        ("X-Qscan-Disposition", stored.disposition.value),
        ("X-Qscan-Rules-Version", _word(stored.rules_version)),
        ("X-Qscan-Received-At", _word(stored.received_at)),
        ("X-Qscan-Client-Ip", _word(envelope.client_ip)),
        ("X-Qscan-Client-Host", _word(envelope.client_host)),
        ("X-Qscan-Auth-User", _word(envelope.auth_user)),
        ("X-Qscan-Relay-Client", "yes" if envelope.relay_client else None),
        ("X-Qscan-Envelope-From", f"<{address_token(envelope.mail_from)}>"),
        ("X-Qscan-Envelope-To", ",\n ".join(f"<{address_token(address)}>" for address in stored.quarantined_for)),
        (LAST_FIELD, f"size={stored.raw_size}; sha256={stored.raw_sha256}"),
    ]
    text = "".join(f"{name}: {value}\n" for name, value in fields if value is not None)
    return text.encode("ascii").replace(b"\n", newline)


def _description(reason: str) -> str:
    """One line for people; RFC 2047 where it is not ASCII."""
    text = one_line(reason, MAX_REASON_CHARACTERS) or "no reason given"
    if text.isascii():
        return text
    return Header(text, "utf-8", header_name=DESCRIPTION_FIELD).encode(linesep="\n")


def _word(text: str | None) -> str | None:
    """Absent stays absent; anything outside ASCII is escaped."""
    if text is None:
        return None
    return one_line(text, MAX_WORD_CHARACTERS).encode("ascii", "backslashreplace").decode()
