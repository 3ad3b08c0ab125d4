"""qmail-queue's envelope: ``F`` sender NUL, each time ``T`` recipient NUL, and a last NUL.

An envelope that ends before its last NUL is the caller's way to call the message off. Faults have
the order in which qmail-queue(8) would meet them, reading from the front.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from qscan_ingress.domain.failures import Failure, MessageFailedError

MAX_ADDRESS_BYTES = 1002
"""What qmail-queue really takes; its manual says 1,000."""
_SENDER = ord("F")
_END = b"\0\0"
# The first two NULs in a row end it: an address holds none, and what follows an address's NUL is a
# letter as long as there is another address. Searching for them is what C does best.


@dataclass(frozen=True)
class Envelope:
    """A whole envelope. Addresses are arbitrary bytes without NUL; personal, so never printed."""

    mail_from: bytes = field(repr=False)
    rcpt_to: tuple[bytes, ...] = field(repr=False)

    def for_recipients(self, rcpt_to: Sequence[bytes]) -> bytes:
        """The envelope as bytes for some recipients, the sender's own bytes unchanged.

        Raises:
            ValueError: an address cannot stand in an envelope.
        """
        for address in rcpt_to:
            if b"\0" in address or len(address) > MAX_ADDRESS_BYTES:
                message = "an address with NUL or over 1,002 bytes cannot stand in an envelope"
                raise ValueError(message)
        recipients = b"".join(b"T%b\0" % address for address in rcpt_to)
        return b"F%b\0%b\0" % (self.mail_from, recipients)


class EnvelopeCollector:
    """Gathers the envelope's bytes as they come, until its end, a fault or the size limit."""

    def __init__(self, max_bytes: int) -> None:
        """Take at most `max_bytes`."""
        self._max_bytes = max_bytes
        self._received = bytearray()
        self._end: int | None = None

    @property
    def ended(self) -> bool:
        """The last NUL is there."""
        return self._end is not None

    @property
    def size(self) -> int:
        """Bytes held."""
        return len(self._received)

    def feed(self, chunk: bytes) -> None:
        """Add what was read. What comes after the last NUL is ignored, as by qmail-queue.

        Raises:
            MessageFailedError: it is already clear that this is no envelope, or it is too large.
        """
        search_from = max(0, len(self._received) - 1)
        self._received += chunk
        if self._received and self._received[0] != _SENDER:
            raise MessageFailedError(Failure.BAD_ENVELOPE, "it does not begin with F")
        end = self._received.find(_END, search_from)
        if end >= 0:
            self._end = end + len(_END)
        elif len(self._received) > self._max_bytes:
            raise MessageFailedError(_first_fault(self._received) or Failure.ENVELOPE_TOO_LARGE)

    def envelope(self) -> Envelope:
        """The envelope, when it has ended or nothing more will come.

        Raises:
            MessageFailedError: it is truncated or wrong.
        """
        fault = _first_fault(self._received[: self._end])
        if fault is not None:
            raise MessageFailedError(fault)
        if self._end is None:
            raise MessageFailedError(Failure.TRUNCATED_ENVELOPE)
        mail_from, *rcpt_to = bytes(self._received[: self._end - len(_END)]).split(b"\0")
        return Envelope(mail_from[1:], tuple(address[1:] for address in rcpt_to))


def _first_fault(received: bytes | bytearray) -> Failure | None:
    """What qmail-queue would stumble over first, the missing end excepted."""
    expected = b"F"
    for entry in received.split(b"\0"):
        if not entry:
            if expected == b"F" and received:
                return Failure.BAD_ENVELOPE
            return None  # the end, or nothing more was received
        if not entry.startswith(expected):
            return Failure.BAD_ENVELOPE
        if len(entry) > 1 + MAX_ADDRESS_BYTES:
            return Failure.ADDRESS_TOO_LONG
        expected = b"T"
    return None
