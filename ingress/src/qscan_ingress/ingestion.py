"""One message from the caller's descriptors to the answer: the use case of the ingress."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from opentelemetry.trace import Span, SpanKind

from qscan_contracts.envelope import address_to_text
from qscan_contracts.ids import ScanId
from qscan_contracts.intake import FramedEnvelope
from qscan_ingress.adapters.descriptors import close_all, sealed
from qscan_ingress.adapters.reading import ScratchPipe, source
from qscan_ingress.adapters.spool import MemoryBudget, Spool, SpoolLimits
from qscan_ingress.adapters.unpackers import Answered, Unpackers
from qscan_ingress.domain.envelope import Envelope, EnvelopeCollector
from qscan_ingress.domain.failures import Failure, MessageFailedError
from qscan_ingress.domain.introduction import Introduction
from qscan_ingress.domain.outcome import Asked, Deliver, Exit, Outcome, for_decision, for_failure
from qscan_kit.log import get_logger
from qscan_kit.metrics import HANDED_OVER
from qscan_kit.telemetry import tracer

WAIT_AFTER_DEADLINE_S = 15
"""qscan-queue waits that much longer than the deadline, and then acts on its own (DESIGN §3)."""


class Caller(Protocol):
    """The qscan-queue at the other end. What is said to one that is gone is lost, without an error."""

    message: int
    """Its descriptor 0; owned by the caller's connection, as is `envelope`."""
    envelope: int
    introduction: Introduction
    uid: int
    pid: int

    def envelope_ended(self, wait_s: int) -> None:
        """From now on it waits for the answer, at most that many seconds."""

    def deliver(self, message: int, envelope: int) -> None:
        """It is to become the real qmail-queue on these descriptors, which it gets copies of."""

    def exit(self, code: int, text: str) -> None:
        """It is to exit."""


@dataclass(frozen=True)
class IngestionLimits:
    """Limits of one message; see the settings of the same names."""

    max_envelope_bytes: int
    deadline_s: float
    reading_timeout_s: float


@dataclass
class _Record:
    """What is known of the message, for the one log line that it gets; no address among it."""

    scan_id: ScanId
    started: float
    outcome: str = "failed"
    detail: str = ""
    exit_code: int | None = None
    size: int = 0
    recipients: int | None = None
    read_s: float | None = None
    answered: Answered | None = None
    facts: dict[str, object] = field(default_factory=dict)

    def fields(self, now: float) -> dict[str, object]:
        """Keyword arguments for the log."""
        fields: dict[str, object] = {
            "scan_id": self.scan_id,
            "outcome": self.outcome,
            "exit": self.exit_code,
            "size": self.size,
            "recipients": self.recipients,
            **self.facts,
            "total_ms": round((now - self.started) * 1000, 1),
        }
        if self.read_s is not None:
            fields["read_ms"] = round((self.read_s - self.started) * 1000, 1)
        if self.answered is not None:
            fields["verdict"] = str(self.answered.decision.verdict)
            fields["disposition"] = str(self.answered.decision.disposition)
            fields["unpacker"] = self.answered.unpacker
            fields["tries"] = self.answered.tries
        if self.detail:
            fields["detail"] = self.detail
        return fields


class Ingestion:
    """Takes messages in. One object for all of them."""

    def __init__(
        self,
        *,
        unpackers: Unpackers,
        spool_dir: Path,
        spool_limits: SpoolLimits,
        limits: IngestionLimits,
        budget: MemoryBudget,
        scratch: ScratchPipe,
        new_scan_id: Callable[[], ScanId],
    ) -> None:
        """Wired in `bootstrap`."""
        self._unpackers = unpackers
        self._spool_dir = spool_dir
        self._spool_limits = spool_limits
        self._limits = limits
        self._budget = budget
        self._scratch = scratch
        self._new_scan_id = new_scan_id
        self._log = get_logger()

    async def handle(self, caller: Caller) -> None:
        """Read, ask, answer. Cancelled when the caller is gone, which also cancels the asking.

        An exception is a bug or a broken machine: the connection is then closed without an answer,
        and qscan-queue defers the message by itself.
        """
        loop = asyncio.get_running_loop()
        record = _Record(self._new_scan_id(), loop.time())
        record.facts.update(uid=caller.uid, pid=caller.pid)
        spool = Spool(self._spool_dir, self._spool_limits, self._budget)
        with tracer().start_as_current_span("ingress.message", kind=SpanKind.SERVER) as span:
            try:
                await self._decide_and_tell(caller, spool, record)
            except asyncio.CancelledError:
                record.outcome = "caller_gone"
                raise
            finally:
                spool.close()
                _describe(span, record)
                HANDED_OVER.labels(record.outcome).inc()
                self._log.info("message", **record.fields(loop.time()))

    async def _decide_and_tell(self, caller: Caller, spool: Spool, record: _Record) -> None:
        try:
            outcome = await self._decide(caller, spool, record)
            if isinstance(outcome, Deliver):
                await self._hand_over(caller, spool, outcome)
                record.outcome = "handed_over"
                return
        except MessageFailedError as error:
            outcome = for_failure(error.failure)
            record.outcome = str(error.failure)
            record.detail = error.detail
        record.size = spool.size
        record.exit_code = outcome.code
        caller.exit(outcome.code, outcome.text)

    async def _decide(self, caller: Caller, spool: Spool, record: _Record) -> Outcome:
        envelope = await self._read(caller, spool)
        loop = asyncio.get_running_loop()
        record.read_s = loop.time()
        record.size = spool.size
        record.recipients = len(envelope.rcpt_to)
        deadline = record.read_s + self._limits.deadline_s
        caller.envelope_ended(int(self._limits.deadline_s) + WAIT_AFTER_DEADLINE_S)
        asked = Asked(record.scan_id, spool.size, spool.sha256, envelope)
        outcome, record.answered = await self._unpackers.ask(
            framed(asked, caller),
            spool,
            deadline=deadline,
            judge=lambda decision: for_decision(decision, asked),
        )
        if isinstance(outcome, Exit):
            record.outcome = str(record.answered.decision.disposition)
        return outcome

    async def _read(self, caller: Caller, spool: Spool) -> Envelope:
        """Both descriptors, the message to its end first: its caller writes in that order."""
        try:
            async with asyncio.timeout(self._limits.reading_timeout_s):
                message = source(caller.message, self._scratch)
                while chunk := await message.read():
                    await spool.append(chunk)
                await spool.complete()
                return await self._read_envelope(caller)
        except TimeoutError:
            raise MessageFailedError(Failure.READ_TIMEOUT) from None
        except OSError as error:
            raise MessageFailedError(Failure.READ_ERROR, str(error)) from error

    async def _read_envelope(self, caller: Caller) -> Envelope:
        collector = EnvelopeCollector(self._limits.max_envelope_bytes)
        envelope = source(caller.envelope, self._scratch)
        charged = 0
        try:
            while not collector.ended and (chunk := await envelope.read()):
                if not self._budget.take(len(chunk)):
                    raise MessageFailedError(Failure.SPOOL_FULL, "total_memory_max_bytes is used up")
                charged += len(chunk)
                collector.feed(chunk)
            return collector.envelope()
        finally:
            self._budget.give_back(charged)

    async def _hand_over(self, caller: Caller, spool: Spool, outcome: Deliver) -> None:
        descriptors = [-1, -1]
        try:
            descriptors[0] = await spool.to_deliver(outcome.message)
            descriptors[1] = sealed("qscan-envelope", outcome.envelope)
            caller.deliver(*descriptors)
        finally:
            close_all(descriptors)


def framed(asked: Asked, caller: Caller) -> FramedEnvelope:
    """The request's envelope, without the deadline."""
    told = caller.introduction
    return FramedEnvelope(
        mail_from=address_to_text(asked.envelope.mail_from),
        rcpt_to=tuple(address_to_text(address) for address in asked.envelope.rcpt_to),
        client_ip=told.text("TCPREMOTEIP"),
        client_host=told.text("TCPREMOTEHOST"),
        relay_client=told.relay_client,
        spam_filter=told.spam_filter,
        auth_user=told.text("SMTPAUTHUSER"),
        remote_info=told.text("TCPREMOTEINFO"),
        server_host=told.text("TCPLOCALHOST"),
        server_ip=told.text("TCPLOCALIP"),
        protocol=told.text("PROTO"),
        uid=caller.uid,
        pid=caller.pid,
        scan_id=asked.scan_id,
    )


def _describe(span: Span, record: _Record) -> None:
    span.set_attribute("qscan.scan_id", record.scan_id)
    span.set_attribute("qscan.outcome", record.outcome)
    span.set_attribute("qscan.message_bytes", record.size)
    if record.recipients is not None:
        span.set_attribute("qscan.recipients", record.recipients)
