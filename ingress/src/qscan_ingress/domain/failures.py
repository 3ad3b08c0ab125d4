"""Everything that can go wrong with one message, as a closed list."""

from enum import StrEnum


class Failure(StrEnum):
    """Why a message has no decision. `outcome.for_failure` says what the caller is told for each."""

    TRUNCATED_ENVELOPE = "truncated_envelope"
    """The caller's way to say: queue nothing. Nothing is posted, kept or noticed."""
    BAD_ENVELOPE = "bad_envelope"
    ADDRESS_TOO_LONG = "address_too_long"
    ENVELOPE_TOO_LARGE = "envelope_too_large"
    MESSAGE_TOO_LARGE = "message_too_large"
    READ_ERROR = "read_error"
    READ_TIMEOUT = "read_timeout"
    SPOOL_FULL = "spool_full"
    UNPACKER_UNAVAILABLE = "unpacker_unavailable"
    """None of the unpackers gave a usable answer."""
    UNPACKER_REFUSED = "unpacker_refused"
    """An unpacker calls our request malformed: another one would say the same."""
    DEADLINE = "deadline"
    BUSY = "busy"
    """Too many messages at once."""


class MessageFailedError(Exception):
    """Ends the handling of one message; `detail` is for the log only."""

    def __init__(self, failure: Failure, detail: str = "") -> None:
        """Say which failure it is."""
        super().__init__(failure, detail)
        self.failure = failure
        self.detail = detail
