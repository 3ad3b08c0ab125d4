"""What clamd's reply to INSTREAM means. Pure and total: only one reply in the world is clean."""

import re

from qscan_contracts.reports import Clean, Detected, Outcome, Unscanned
from qscan_contracts.vocabulary import UnscannedReason

MAX_REPLY_BYTES = 4096
"""No reply of clamd is longer; what is, is none."""
MAX_SIGNATURE_NAME_CHARACTERS = 128
MAX_DETAIL_CHARACTERS = 200

_CLEAN = b"stream: OK\0"
_TOO_BIG = b"INSTREAM size limit exceeded. ERROR\0"
# Between the words anything but another NUL: that would be the end of another reply.
_FOUND = re.compile(rb"stream: ([^\0]*) FOUND\0")
_ERROR = re.compile(rb"[^\0]* ERROR\0")
# ExtendedDetectionInfo puts the digest and size of the hit behind the name.
_EXTENDED = re.compile(rb"\([0-9a-fA-F]{32,64}:[0-9]+\)\Z")
_LIMIT = re.compile(rb"Heuristics\.Limits\.Exceeded(\..*)?", re.DOTALL)
_ENCRYPTED = re.compile(rb"Heuristics\.Encrypted(\..*)?", re.DOTALL)
_NOT_PRINTABLE = re.compile(rb"[^\x20-\x7e]")


def parse_reply(reply: bytes) -> Outcome:
    """What the whole reply up to clamd's end of transmission, with its NUL, says of a stream that was sent in full."""
    if not reply:
        return Unscanned.because(UnscannedReason.ENGINE_CRASHED, "clamd hung up without a word")
    if len(reply) > MAX_REPLY_BYTES:
        return Unscanned.because(UnscannedReason.ENGINE_FAILED, f"clamd's reply is longer than {MAX_REPLY_BYTES} bytes")
    if b"\0" not in reply:
        return Unscanned.because(UnscannedReason.ENGINE_CRASHED, f"clamd hung up in the middle of: {cleaned(reply)}")
    if reply == _CLEAN:
        return Clean()
    if reply == _TOO_BIG:
        return Unscanned.because(
            UnscannedReason.TOO_BIG, "larger than StreamMaxLength in clamd.conf; raise it above max_scan_bytes"
        )
    if found := _FOUND.fullmatch(reply):
        return _of_name(_EXTENDED.sub(b"", found[1]))
    if _ERROR.fullmatch(reply):
        return Unscanned.because(UnscannedReason.ENGINE_FAILED, f"clamd says: {cleaned(reply)}")
    return Unscanned.because(UnscannedReason.ENGINE_FAILED, f"not an answer of clamd: {cleaned(reply)}")


def _of_name(name: bytes) -> Outcome:
    """Some names that clamd gives say that it did not look, because of the alert switches in its clamd.conf."""
    if _LIMIT.fullmatch(name):
        return Unscanned.because(UnscannedReason.ENGINE_LIMIT, cleaned(name))
    if _ENCRYPTED.fullmatch(name):
        return Unscanned.because(UnscannedReason.ENCRYPTED, cleaned(name))
    return Detected(cleaned(name, MAX_SIGNATURE_NAME_CHARACTERS) or "unnamed")


def cleaned(words: bytes, longest: int = MAX_DETAIL_CHARACTERS) -> str:
    """Words of a vendor as printable ASCII of bounded length, safe in a log, a header and an SMTP text."""
    return _NOT_PRINTABLE.sub(b"_", words.rstrip(b"\0\r\n ")[:longest]).decode("ascii").strip()
