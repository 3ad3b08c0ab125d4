"""An av-gateway on a real bus whose answers are written in what it scans.

For tests of the unpacker. It uses the same `ScanWorker` as the real gateway; only the engine is a script: content
with ``EVIL`` is detected, content with ``UNSCANNED(reason)`` is unscanned for that reason, and content with a word of
`Trouble` makes the whole gateway behave so.
"""

import asyncio
import re
import threading
from enum import Enum
from typing import Self

from qscan_contracts.ids import EngineName
from qscan_contracts.reports import Clean, Detected, EngineCard, EngineReport, Outcome, Unscanned
from qscan_contracts.scanning import AvAnswer, AvRequest
from qscan_contracts.subjects import ScanRole, Service
from qscan_contracts.vocabulary import EngineRole, UnscannedReason
from qscan_kit.content import read_all, source
from qscan_kit.worker import ScanWorker
from qscan_testkit.nats_server import NatsServer

CARD = EngineCard(EngineName("scripted"), EngineRole.VIRUS, "1.0", "signatures+1")
START_TIMEOUT_S = 10.0
MAX_BYTES = 100_000_000

_UNSCANNED = re.compile(rb"UNSCANNED\((\w+)\)")


class Trouble(Enum):
    """How a gateway can go wrong."""

    FORGETS_A_REPORT = b"FORGETS-A-REPORT"
    REPORTS_TWICE = b"REPORTS-TWICE"
    RAISES = b"RAISES"
    STALLS = b"STALLS"


class ScriptedGateway:
    """Runs in a thread of its own. A context manager; `scanned` counts components."""

    def __init__(self, nats: NatsServer, *, max_in_flight: int = 8) -> None:
        """Serve on `nats`."""
        self._nats, self._max_in_flight = nats, max_in_flight
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._listening = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self.scanned = 0

    def __enter__(self) -> Self:
        """Start it and wait until it listens."""
        self._thread.start()
        if not self._listening.wait(START_TIMEOUT_S):
            message = "the scripted gateway did not start"
            raise RuntimeError(message)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_TIMEOUT_S)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._bus = await self._nats.bus(Service.AV_GATEWAY)
        worker = ScanWorker(self._bus, ScanRole.AV, AvRequest, self._handle, max_in_flight=self._max_in_flight)
        await worker.resume()
        await self._bus.client.flush()
        self._listening.set()
        await self._stop.wait()
        await worker.pause()
        await self._bus.close()

    async def _handle(self, request: AvRequest) -> AvAnswer:
        reports: list[EngineReport] = []
        troubles: set[Trouble] = set()
        for one in request.components:
            promised = one.component
            content = source(self._bus, one.content, size=promised.size, sha256=promised.sha256)
            data = await read_all(content, MAX_BYTES)
            self.scanned += 1
            troubles |= {trouble for trouble in Trouble if trouble.value in data}
            reports.append(
                EngineReport(promised.path, CARD.name, CARD.engine_version, CARD.signatures_version, outcome(data))
            )
        if Trouble.RAISES in troubles:
            message = "as the content asked for"
            raise RuntimeError(message)
        if Trouble.STALLS in troubles:
            await asyncio.sleep(request.job.timeout_ms / 1000)
        if Trouble.FORGETS_A_REPORT in troubles:
            reports.pop()
        if Trouble.REPORTS_TWICE in troubles:
            reports.append(reports[0])
        return AvAnswer((CARD,), tuple(reports))


def outcome(data: bytes) -> Outcome:
    """What the script says of some content."""
    unscanned = _UNSCANNED.search(data)
    if unscanned is not None:
        return Unscanned.because(UnscannedReason(unscanned[1].decode("ascii")))
    return Detected("Test.Evil") if b"EVIL" in data else Clean()
