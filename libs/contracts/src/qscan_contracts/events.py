"""Events on the stream: what happened to a message and what is to be done downstream (DESIGN §6, «Hand-off»)."""

from msgspec import Struct

from qscan_contracts.envelope import Envelope
from qscan_contracts.ids import ScanId, Sha256
from qscan_contracts.vocabulary import Disposition, QuarantineClass, Verdict


class ObjectReference(Struct, frozen=True):
    """Bytes in the object store `QSCAN_MAIL`; `size` and `sha256` are of the whole object (see `StoredMessage`)."""

    name: str
    size: int
    sha256: Sha256


class StoredMessage(Struct, frozen=True):
    """The head of a stored object: everything to keep about a message beside its bytes.

    An object is a 4-byte big-endian length, that many bytes of this struct in MessagePack, then the raw message as
    it was received. So one object is complete in itself, and an envelope of any size fits.
    """

    scan_id: ScanId
    envelope: Envelope
    received_at: str
    verdict: Verdict
    disposition: Disposition
    reason: str
    rules_version: str
    raw_size: int
    raw_sha256: Sha256
    quarantined_for: tuple[str, ...]
    """The recipients that do not get the message; the others (if any) do."""


class QuarantineEvent(Struct, frozen=True):
    """Keep this message in the quarantine. Effect once per `scan_id`, however often it arrives."""

    scan_id: ScanId
    quarantine_class: QuarantineClass
    held: bool
    object: ObjectReference


class NoticeEvent(Struct, frozen=True):
    """Tell people what happened to a message. Effect once per `scan_id`.

    The strings come from a hostile message: whoever prints them cleans them. `recipients` is cut to
    `MAX_NOTICE_RECIPIENTS`; `recipient_count` is the true number.
    """

    scan_id: ScanId
    verdict: Verdict
    disposition: Disposition
    reason: str
    mail_from: str
    recipients: tuple[str, ...]
    recipient_count: int
    subject: str
    message_id: str
    header_from: str
    client_ip: str | None
    received_at: str
    header_block: bytes
    """The top of the message's header, at most `MAX_NOTICE_HEADER_BYTES`; tells own notices and lists."""
    quarantine_class: QuarantineClass | None = None
    """Where it is kept; ``None`` where it is not, and from older unpackers."""


MAX_NOTICE_RECIPIENTS = 20
MAX_NOTICE_HEADER_BYTES = 16 * 1024

NOTICE_MARK_FIELD = "X-Qscan-Notice"
"""The header field that every notice of ours carries, and by which we know our own."""
