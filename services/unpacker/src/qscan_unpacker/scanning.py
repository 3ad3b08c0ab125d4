"""The use case: one message from its bytes to its answer. The map of the service."""

import asyncio
import contextvars
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from qscan_contracts.envelope import Envelope
from qscan_contracts.ids import ScanId
from qscan_contracts.intake import ScanAnswer
from qscan_contracts.reports import Unscanned
from qscan_contracts.vocabulary import Disposition, Effects
from qscan_kit import metrics, telemetry
from qscan_kit.errors import BusUnavailableError
from qscan_kit.log import get_logger
from qscan_unpacker.answering import answer
from qscan_unpacker.contents import Contents
from qscan_unpacker.dissection.budget import Budget, Limits
from qscan_unpacker.dissection.collecting import Dissection
from qscan_unpacker.dissection.dissector import Dissector
from qscan_unpacker.dissection.holding import Holding
from qscan_unpacker.domain.aggregation import Failure
from qscan_unpacker.domain.decision import Decision, Facts, decide
from qscan_unpacker.domain.edits import edits
from qscan_unpacker.fan_out import FanOut, Heard
from qscan_unpacker.hand_off import HandOff, Outgoing
from qscan_unpacker.sandbox.sandbox import Sandbox
from qscan_unpacker.spool import RawMessage

MAX_ON_LOOP_S = 0.05
"""A message that takes longer to dissect holds up all others, so it begins anew in a thread."""

T = TypeVar("T")

_log = get_logger()


@dataclass(frozen=True)
class ScanRequest:
    """A message to scan, as the intake received it. `deadline`: seconds of the event loop's clock."""

    scan_id: ScanId
    envelope: Envelope
    effects: Effects
    with_components: bool
    deadline: float


class Scanner:
    """Scans messages: dissect, ask everyone, decide, hand off, answer."""

    def __init__(
        self,
        *,
        contents: Contents,
        fan_out: FanOut,
        hand_off: HandOff,
        sandbox: Sandbox,
        threads: Executor,
        limits: Limits,
        spool_dir: Path,
        in_thread_above_bytes: int,
        spam_required: bool,
    ) -> None:
        """All parts are owned by the bootstrap.

        `threads` has one for each message in flight: some of them wait for the sandbox, and nobody waits for them.
        """
        self._sandbox, self._threads = sandbox, threads
        self._contents, self._fan_out, self._hand_off = contents, fan_out, hand_off
        self._limits, self._spool_dir = limits, spool_dir
        self._in_thread_above_bytes = in_thread_above_bytes
        self._spam_required = spam_required

    async def scan(self, request: ScanRequest, raw: RawMessage) -> ScanAnswer:
        """Scan `raw`, which the caller keeps until this returns.

        Cancelling it before the hand-off leaves no effect; the hand-off itself is not cancelled.

        Raises:
            OSError: the disk under the spool is full or broken; nothing was decided.
        """
        started = time.perf_counter()
        timing_ms: dict[str, float] = {}
        with Holding(self._spool_dir) as holding, self._contents.lending() as lending:
            dissection = await self._dissect(raw, holding)
            timing_ms["unpack"] = _ms_since(started)
            header_block = bytes(raw.view()[: dissection.top.body_start])
            heard = await self._fan_out.ask_all(
                request.scan_id, request.envelope, header_block, dissection, lending, deadline=request.deadline
            )
            decision = self._decide(request, dissection, heard)
            rules_version = "" if isinstance(heard.policy, Failure) else heard.policy.rules_version
            if request.effects is Effects.FULL:
                outgoing = Outgoing(
                    request.scan_id,
                    request.envelope,
                    decision,
                    rules_version,
                    raw.content(),
                    raw.sha256,
                    dissection.top,
                    header_block,
                )
                decision = await self._hand_off_or_defer(outgoing, request.deadline)
            changes = (
                edits(raw.view(), dissection.top, decision.riders, heard.spam)
                if decision.disposition is Disposition.DELIVER
                else ()
            )
            timing_ms |= {service: round(elapsed * 1000, 3) for service, elapsed in heard.elapsed_s.items()}
            timing_ms["total"] = _ms_since(started)
            result = answer(
                scan_id=request.scan_id,
                envelope=request.envelope,
                decision=decision,
                edits=changes,
                components=dissection.components() if request.with_components else None,
                reports=heard.reports.reports,
                spam=heard.spam,
                raw=dissection.found[0].component,
                rules_version=rules_version,
                timing_ms=timing_ms,
            )
        _account(request, result, dissection)
        return result

    async def _dissect(self, raw: RawMessage, holding: Holding) -> Dissection:
        """Dissect on the loop where that takes less than a millisecond or so, else in a thread, as containers do."""
        with telemetry.tracer().start_as_current_span("unpack") as span:
            dissector = self._dissector(raw, holding)
            on_loop = raw.size <= self._in_thread_above_bytes
            if on_loop:
                dissector.dissect(MAX_ON_LOOP_S)
            if not on_loop or dissector.ran_out_of == "budget.seconds":
                dissector = self._dissector(raw, holding)
                await self._in_thread(dissector.dissect)
            if dissector.has_containers:
                with telemetry.tracer().start_as_current_span("open containers"), metrics.OPENING_SECONDS.time():
                    await self._in_thread(lambda: self._open_containers(dissector))
            dissection = dissector.dissection
            span.set_attribute("qscan.components", len(dissection.found) + len(dissection.unopened))
            span.set_attribute("qscan.defects", len(dissection.defects))
            return dissection

    def _dissector(self, raw: RawMessage, holding: Holding) -> Dissector:
        # The time of one thread: what other messages take meanwhile is not charged to this one.
        return Dissector(raw.view(), raw.sha256, holding, Budget(self._limits, time.thread_time), raw.content())

    async def _in_thread(self, work: Callable[[], object]) -> None:
        # With the context, so that what is logged in the thread has the scan's id.
        context = contextvars.copy_context()
        await to_the_end(asyncio.get_running_loop().run_in_executor(self._threads, context.run, work))

    def _open_containers(self, dissector: Dissector) -> None:
        with self._sandbox.session() as session:
            dissector.open_containers(session)

    def _decide(self, request: ScanRequest, dissection: Dissection, heard: Heard) -> Decision:
        return decide(
            Facts(
                recipient_count=len(request.envelope.rcpt_to),
                reports=heard.reports,
                defects=tuple(dissection.defects),
                policy=heard.policy,
                spam=heard.spam,
                spam_required=self._spam_required,
            )
        )

    async def _hand_off_or_defer(self, outgoing: Outgoing, deadline: float) -> Decision:
        """Hand off; where that fails or takes too long the sender keeps the message."""
        with telemetry.tracer().start_as_current_span("hand off"):
            try:
                await to_the_end(self._hand_off_until(outgoing, deadline))
            except (BusUnavailableError, TimeoutError) as error:
                _log.error("hand-off failed", scan_id=outgoing.scan_id, error=str(error) or "deadline")
                return deferred(outgoing.decision, "message could not be stored now, try again later")
        return outgoing.decision

    async def _hand_off_until(self, outgoing: Outgoing, deadline: float) -> None:
        async with asyncio.timeout_at(deadline):
            await self._hand_off.hand_off(outgoing)


async def to_the_end(work: Awaitable[T]) -> T:
    """Await `work` even when cancelled meanwhile, and pass the cancellation on after it.

    For work that uses the message's bytes in a thread or has begun to store them: they must not vanish under it.
    The work bounds its own time.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


def deferred(decision: Decision, text: str) -> Decision:
    """The same findings, but the sender keeps the message."""
    return Decision(
        verdict=decision.verdict,
        disposition=Disposition.DEFER,
        per_recipient=(Disposition.DEFER,) * len(decision.per_recipient),
        reason=text,
        findings=decision.findings,
        sender_text=text,
        riders=(),
        quarantine_class=decision.quarantine_class,
    )


def _account(request: ScanRequest, result: ScanAnswer, dissection: Dissection) -> None:
    """The canonical log line and the metrics of one message."""
    metrics.MESSAGES.labels(result.verdict, result.disposition).inc()
    metrics.MESSAGE_SECONDS.observe(result.timing_ms["total"] / 1000)
    for one in dissection.found:
        metrics.COMPONENTS.labels(one.component.origin).inc()
    for report in dissection.reports:
        if isinstance(report.outcome, Unscanned):
            metrics.ENGINE_REPORTS.labels(report.engine, "unscanned", report.outcome.reason).inc()
    _log.info(
        "message",
        scan_id=result.scan_id,
        verdict=result.verdict,
        disposition=result.disposition,
        reason=result.reason,
        effects=request.effects,
        bytes=result.raw_size,
        components=len(dissection.found) + len(dissection.unopened),
        recipients=len(result.recipients),
        findings=list(dict.fromkeys(finding.id for finding in result.findings))[:20],
        spam_score=result.spam.score if result.spam else None,
        rules_version=result.rules_version,
        timing_ms=result.timing_ms,
    )


def _ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 3)
