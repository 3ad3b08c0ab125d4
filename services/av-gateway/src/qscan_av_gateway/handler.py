"""The one use case: scan each component of a request with each engine that was asked for."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence

from qscan_av_gateway.engine import Engine, Examined
from qscan_contracts.components import ComponentContent
from qscan_contracts.ids import ScanId, Sha256
from qscan_contracts.reports import Clean, Detected, EngineReport, Unscanned
from qscan_contracts.scanning import AvAnswer, AvRequest
from qscan_kit import metrics, telemetry
from qscan_kit.content import ContentSource
from qscan_kit.log import get_logger

ANSWER_MARGIN_S = 0.5
"""Scans end this long before the request's deadline, so that their reports still arrive."""
_log = get_logger()
SourceOf = Callable[[ComponentContent], ContentSource]


class AvHandler:
    """Answers requests with exactly one report for each pair of a component and an engine.

    A role without any engine is missing from the answer's engines, and the unpacker takes such an answer for none.
    """

    def __init__(self, engines: Sequence[Engine], source_of: SourceOf) -> None:
        """Ask `engines`; `source_of` gives the way to a component's bytes."""
        self._engines, self._source_of = tuple(engines), source_of

    async def handle(self, request: AvRequest) -> AvAnswer:
        """Scan all components side by side, equal bytes once; the engines bound how much runs at a time."""
        loop = asyncio.get_running_loop()
        timeout_s = request.job.timeout_ms / 1000
        deadline = loop.time() + timeout_s - min(ANSWER_MARGIN_S, timeout_s / 10)
        engines = [engine for engine in self._engines if engine.role in request.roles]
        distinct: dict[Sha256, ComponentContent] = {}
        for one in request.components:
            distinct.setdefault(one.component.sha256, one)
        pairs = [(sha256, engine) for sha256 in distinct for engine in engines]
        examined = await _side_by_side(
            [self._examine(distinct[sha256], engine, request.job.scan_id, deadline) for sha256, engine in pairs]
        )
        results = dict(zip(pairs, examined, strict=True))
        return AvAnswer(
            engines=tuple(engine.card for engine in engines),
            reports=tuple(
                _report(one, results[one.component.sha256, engine]) for one in request.components for engine in engines
            ),
        )

    async def _examine(self, one: ComponentContent, engine: Engine, scan_id: ScanId, deadline: float) -> Examined:
        loop = asyncio.get_running_loop()
        with telemetry.tracer().start_as_current_span("engine.scan") as span:
            started = time.perf_counter()
            examined = await engine.scan(self._source_of(one), timeout_s=deadline - loop.time())
            outcome, reason = _labels(examined)
            span.set_attributes(
                {
                    "qscan.engine": engine.name,
                    "qscan.outcome": outcome,
                    "qscan.reason": reason,
                    "qscan.size": one.component.size,
                }
            )
        metrics.ENGINE_SECONDS.labels(engine.name).observe(time.perf_counter() - started)
        metrics.ENGINE_REPORTS.labels(engine.name, outcome, reason).inc()
        if isinstance(examined.outcome, Unscanned) and examined.outcome.retryable:
            _log.warning(
                "scan failed",
                scan_id=scan_id,
                component=one.component.path,
                size=one.component.size,
                engine=engine.name,
                reason=reason,
                detail=examined.outcome.detail,
            )
        return examined


async def _side_by_side(examinations: Sequence[Coroutine[None, None, Examined]]) -> list[Examined]:
    if len(examinations) == 1:
        return [await examinations[0]]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(examination) for examination in examinations]
    return [task.result() for task in tasks]


def _report(one: ComponentContent, examined: Examined) -> EngineReport:
    return EngineReport(
        path=one.component.path,
        engine=examined.card.name,
        engine_version=examined.card.engine_version,
        signatures_version=examined.card.signatures_version,
        outcome=examined.outcome,
    )


def _labels(examined: Examined) -> tuple[str, str]:
    """Outcome and reason for a metric."""
    match examined.outcome:
        case Clean():
            return "clean", ""
        case Detected():
            return "detected", ""
        case Unscanned(reason):
            return "unscanned", reason.value
