"""ClamAV as an engine: one or more equal clamds with failover and a bounded number of connections each."""

import asyncio
from collections.abc import Sequence
from typing import Final

from typing_extensions import override

from qscan_av_gateway.adapters.clamd_stream import ClamdStream, Unreachable
from qscan_av_gateway.engine import Engine, Examined
from qscan_av_gateway.watch import Change, Standing, Watched
from qscan_contracts.ids import EngineName
from qscan_contracts.reports import EngineCard, Outcome, Unscanned
from qscan_contracts.vocabulary import EngineRole, UnscannedReason
from qscan_kit.content import ContentSource

NAME: Final = EngineName("clamd")
MAX_ATTEMPTS: Final = 2
_NOT_THE_DAEMONS_FAULT: Final = frozenset(
    {
        UnscannedReason.TOO_BIG,
        UnscannedReason.ENCRYPTED,
        UnscannedReason.ENGINE_LIMIT,
        UnscannedReason.CONTENT_UNAVAILABLE,
        UnscannedReason.BUSY,
    }
)


class Clamd:
    """One clamd of the engine: the way to it, what is known of it, and its slots."""

    def __init__(self, stream: ClamdStream, watched: Watched, *, max_connections: int) -> None:
        """Scan by `stream`, at most `max_connections` at a time, while `watched` finds it usable."""
        self.stream, self.watched = stream, watched
        self.slots = asyncio.Semaphore(max_connections)
        self.load = 0
        """Scans that run or wait for a slot."""

    @property
    def card(self) -> EngineCard:
        """The engine as this clamd has it."""
        return EngineCard(NAME, EngineRole.VIRUS, self.watched.engine_version, self.watched.signatures_version)


class ClamdEngine(Engine):
    """Scans by the least busy usable clamd, and once more by another one when the first fails and time allows."""

    def __init__(
        self, clamds: Sequence[Clamd], change: Change, *, attempt_timeout_s: float, doubt_wait_s: float
    ) -> None:
        """Choose among some clamds.

        Args:
            clamds: all of them, usable or not.
            change: through which they announce every change of standing.
            attempt_timeout_s: the most that one attempt takes; a second one starts only when that much time is left.
            doubt_wait_s: how long a scan waits for a clamd that is being proved when there is no other one.
        """
        self._clamds, self._change = tuple(clamds), change
        self._attempt_timeout_s, self._doubt_wait_s = attempt_timeout_s, doubt_wait_s

    @property
    @override
    def name(self) -> EngineName:
        return NAME

    @property
    @override
    def role(self) -> EngineRole:
        return EngineRole.VIRUS

    @property
    @override
    def card(self) -> EngineCard:
        return max(self._clamds, key=lambda clamd: (_is_usable(clamd), clamd.watched.engine_version)).card

    @override
    async def scan(self, content: ContentSource, *, timeout_s: float) -> Examined:
        deadline = _now() + timeout_s
        tried: set[Clamd] = set()
        attempts = 0
        examined: Examined | None = None
        unreachable = ""
        while clamd := await self._choose(tried, deadline, may_wait=examined is None):
            left_s = deadline - _now()
            if attempts and left_s < self._attempt_timeout_s:
                break
            tried.add(clamd)
            # The card from before the scan: signatures that came meanwhile may not have been used.
            card = clamd.card
            result = await _attempt(clamd, content, left_s)
            if isinstance(result, Unreachable):
                # Nothing was sent, so this was no attempt; it costs nothing to ask the next one at once.
                clamd.watched.doubt(f"does not answer: {result.detail}")
                unreachable = f"{clamd.watched.address}: {result.detail}"
                continue
            attempts += 1
            examined = Examined(result, card)
            if not isinstance(result, Unscanned) or result.reason in _NOT_THE_DAEMONS_FAULT:
                break
            clamd.watched.doubt(f"a scan failed: {result.reason.value} ({result.detail})")
            if attempts >= MAX_ATTEMPTS:
                break
        return examined or Examined(self._nobody(unreachable), self.card)

    async def _choose(self, tried: set[Clamd], deadline: float, *, may_wait: bool) -> Clamd | None:
        """The usable clamd with the fewest scans that was not tried yet, or None."""
        wait_until = min(deadline, _now() + self._doubt_wait_s)
        while True:
            fresh = [clamd for clamd in self._clamds if clamd not in tried]
            usable = [clamd for clamd in fresh if _is_usable(clamd)]
            if usable:
                return min(usable, key=lambda clamd: clamd.load)
            if not may_wait or not any(clamd.watched.standing is Standing.IN_DOUBT for clamd in fresh):
                return None
            try:
                async with asyncio.timeout_at(wait_until):
                    await self._change.wait()
            except TimeoutError:
                return None

    def _nobody(self, unreachable: str) -> Outcome:
        reasons = unreachable or "; ".join(f"{clamd.watched.address} {clamd.watched.why}" for clamd in self._clamds)
        return Unscanned.because(UnscannedReason.ENGINE_FAILED, f"no clamd can be used: {reasons}")


def _now() -> float:
    return asyncio.get_running_loop().time()


def _is_usable(clamd: Clamd) -> bool:
    return clamd.watched.standing is Standing.USABLE


async def _attempt(clamd: Clamd, content: ContentSource, left_s: float) -> Outcome | Unreachable:
    """Wait for a slot and scan, all within `left_s`."""
    deadline = _now() + left_s
    clamd.load += 1
    try:
        if clamd.slots.locked():
            try:
                async with asyncio.timeout_at(deadline):
                    await clamd.slots.acquire()
            except TimeoutError:
                return Unscanned.because(UnscannedReason.BUSY, "no connection to clamd became free in time")
        else:
            await clamd.slots.acquire()
        try:
            return await clamd.stream.scan(content, timeout_s=deadline - _now())
        finally:
            clamd.slots.release()
    finally:
        clamd.load -= 1
