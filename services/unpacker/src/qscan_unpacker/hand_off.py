"""The hand-off downstream: durable before the answer is given (DESIGN §6)."""

import io
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from qscan_contracts.envelope import Envelope
from qscan_contracts.events import (
    MAX_NOTICE_HEADER_BYTES,
    MAX_NOTICE_RECIPIENTS,
    NoticeEvent,
    ObjectReference,
    QuarantineEvent,
    StoredMessage,
)
from qscan_contracts.ids import ScanId, Sha256
from qscan_contracts.stored import write_head
from qscan_contracts.subjects import EventKind
from qscan_contracts.vocabulary import Disposition, Verdict
from qscan_kit.errors import BusUnavailableError
from qscan_kit.mail_store import MailStore
from qscan_kit.stream import EventPublisher
from qscan_unpacker.dissection.headers import Header
from qscan_unpacker.dissection.holding import HeldContent
from qscan_unpacker.domain.decision import Decision


@dataclass(frozen=True)
class Outgoing:
    """A message that was decided on, and what is known of it."""

    scan_id: ScanId
    envelope: Envelope
    decision: Decision
    rules_version: str
    raw: HeldContent
    raw_sha256: Sha256
    top: Header
    header_block: bytes


class HandOff:
    """Hands messages over to archiver and notifier."""

    def __init__(self, store: MailStore, events: EventPublisher) -> None:
        """Objects go to `store`, then events to `events`."""
        self._store, self._events = store, events

    async def hand_off(self, outgoing: Outgoing) -> None:
        """Store the message and its events, if the decision asks for any; on return all of it is on disk.

        Raises:
            BusUnavailableError: something is not stored for certain. The caller defers; what was stored already
                becomes a message in the quarantine that the sender will send again.
        """
        decision = outgoing.decision
        if decision.disposition is Disposition.DEFER or not _is_kept(outgoing):
            return
        received_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        kept_for = tuple(outgoing.envelope.rcpt_to[index] for index in decision.kept_for)
        head = write_head(
            StoredMessage(
                scan_id=outgoing.scan_id,
                envelope=outgoing.envelope,
                received_at=received_at,
                verdict=decision.verdict,
                disposition=decision.disposition,
                reason=decision.reason,
                rules_version=outgoing.rules_version,
                raw_size=outgoing.raw.size,
                raw_sha256=outgoing.raw_sha256,
                quarantined_for=kept_for,
            )
        )
        reader = _ObjectReader(head, outgoing.raw)
        size = await self._store.put(outgoing.scan_id, reader)
        reference = ObjectReference(outgoing.scan_id, len(head) + outgoing.raw.size, Sha256(reader.digest.hexdigest()))
        if size != reference.size or reader.raw_digest.hexdigest() != outgoing.raw_sha256:
            message = f"the stored object has {size} bytes, {reference.size} were meant to be stored"
            raise BusUnavailableError(message)
        held = decision.disposition is Disposition.HOLD
        event = QuarantineEvent(outgoing.scan_id, decision.quarantine_class, held, reference)
        await self._events.publish(EventKind.QUARANTINE, outgoing.scan_id, event)
        if decision.verdict is not Verdict.SPAM:
            await self._events.publish(EventKind.NOTICE, outgoing.scan_id, _notice(outgoing, received_at))


def _is_kept(outgoing: Outgoing) -> bool:
    """Whether the message goes to the quarantine for anyone (also with an envelope without recipients)."""
    kept = {Disposition.QUARANTINE, Disposition.HOLD}
    return bool(outgoing.decision.kept_for) or outgoing.decision.disposition in kept


def _notice(outgoing: Outgoing, received_at: str) -> NoticeEvent:
    kept_for = [outgoing.envelope.rcpt_to[index] for index in outgoing.decision.kept_for]
    return NoticeEvent(
        scan_id=outgoing.scan_id,
        verdict=outgoing.decision.verdict,
        disposition=outgoing.decision.disposition,
        reason=outgoing.decision.reason,
        mail_from=outgoing.envelope.mail_from,
        recipients=tuple(kept_for[:MAX_NOTICE_RECIPIENTS]),
        recipient_count=len(kept_for),
        subject=_first(outgoing.top, b"subject"),
        message_id=_first(outgoing.top, b"message-id"),
        header_from=_first(outgoing.top, b"from"),
        client_ip=outgoing.envelope.client_ip,
        received_at=received_at,
        header_block=outgoing.header_block[:MAX_NOTICE_HEADER_BYTES],
        quarantine_class=outgoing.decision.quarantine_class,
    )


def _first(top: Header, name: bytes) -> str:
    fields = top.all(name)
    return fields[0].value.strip().decode("utf-8", errors="replace")[:1000] if fields else ""


class _ObjectReader(io.BufferedIOBase):
    """The head and then the raw message as one file to read from, with digests of what was read."""

    def __init__(self, head: bytes, raw: HeldContent) -> None:
        super().__init__()
        self._head, self._raw, self._at = head, raw, 0
        self.digest, self.raw_digest = sha256(), sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]  # nats-py hands in a bytearray
        head_size = len(self._head)
        if self._at < head_size:
            piece = self._head[self._at : self._at + len(buffer)]
        else:
            piece = self._raw.read(self._at - head_size, len(buffer))
            self.raw_digest.update(piece)
        buffer[: len(piece)] = piece
        self.digest.update(piece)
        self._at += len(piece)
        return len(piece)
