"""Watches the daemons of an engine: one that has not proved itself since it last changed is not used.

::

    IN_DOUBT ──proof passed──▶ USABLE ──a scan failed, our reload──▶ IN_DOUBT
        │                        │
        └──no answer, proof failed, or wrong──▶ REFUSED ──asked again and again──▶ USABLE

A daemon is asked for its version every few seconds and proved anew at every sign of a change: another version, another
socket file, an outage, our own reload, a scan that it did not answer properly; and every few minutes without any.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from itertools import count
from typing import Protocol

from qscan_av_gateway.proof import Scan, prove
from qscan_kit import metrics
from qscan_kit.log import get_logger

FIRST_RETRY_S = 0.2
_log = get_logger()


class Standing(Enum):
    """Whether a daemon may scan."""

    IN_DOUBT = "in doubt"
    """Being asked right now; whoever can wait a little may."""
    USABLE = "usable"
    REFUSED = "refused"


@dataclass(frozen=True)
class Versions:
    """What a daemon says it is. Two that are equal need not have the same signatures (a site's own)."""

    engine: str
    signatures: str
    made: datetime | None
    is_outdated: bool
    incarnation: str
    """Something that changes when the daemon was started anew, where there is such a thing."""


class DaemonError(Exception):
    """A daemon could not be asked, or answered nonsense. The text says what happened."""


class Daemon(Protocol):
    """What watching needs of a daemon. Every call ends by itself in a few seconds."""

    @property
    def address(self) -> str:
        """Where it is, as in the settings."""
        ...

    async def ping(self) -> None:
        """Return if it answers. Raises DaemonError."""
        ...

    async def versions(self) -> Versions:
        """What it is now. Raises DaemonError."""
        ...

    async def reload(self) -> None:
        """Tell it to load its signatures anew; it may go on doing so afterwards. Raises DaemonError."""
        ...


class Epochs:
    """Numbers that rise for as long as the gateway runs: each time signatures may have changed, anywhere."""

    def __init__(self) -> None:
        """Begin at 1."""
        self._numbers = count(1)

    def next(self) -> int:
        """The next number, never given before."""
        return next(self._numbers)


class Change:
    """Wakes everybody who waits for the standing of some daemon to change."""

    def __init__(self) -> None:
        """Nobody waits yet."""
        self._event = asyncio.Event()

    def announce(self) -> None:
        """Wake those who wait now."""
        self._event.set()
        self._event.clear()

    async def wait(self) -> None:
        """Wait for the next announcement."""
        await self._event.wait()


@dataclass(frozen=True, kw_only=True)
class WatchTimes:
    """How often daemons are looked at, in seconds.

    Attributes:
        poll_every_s: between two questions for the version; also the longest wait before a refused one is asked again.
        prove_every_s: between two proofs without any sign of a change.
        reload_settle_s: after this time a reload that was ordered counts as done, and the epoch rises once more.
    """

    poll_every_s: float
    prove_every_s: float
    reload_settle_s: float


class Watched:
    """One daemon and what is known of it, kept true by `watch`, which one task runs."""

    def __init__(
        self, daemon: Daemon, scan: Scan, *, engine: str, epochs: Epochs, change: Change, times: WatchTimes
    ) -> None:
        """Watch `daemon`, proving it by `scan`, which ends by itself; it is in doubt until the first look."""
        self._daemon, self._scan = daemon, scan
        self._epochs, self._change, self._times = epochs, change, times
        self._clock: Callable[[], float] = asyncio.get_running_loop().time
        self._lock = asyncio.Lock()
        self._doubted = asyncio.Event()
        self._proved: Versions | None = None
        self._next_proof_at = 0.0
        self._settled_at: float | None = None
        self._usable_gauge = metrics.ENGINE_USABLE.labels(engine, daemon.address)
        self._made_gauge = metrics.ENGINE_SIGNATURES_TIMESTAMP.labels(engine, daemon.address)
        self.standing = Standing.IN_DOUBT
        self.why = "was not asked yet"
        self.engine_version = ""
        self.signatures_version = ""

    @property
    def address(self) -> str:
        """Where the daemon is."""
        return self._daemon.address

    def doubt(self, why: str) -> None:
        """A scan went wrong in a way that may be the daemon's fault: do not use it before it was looked at."""
        if self.standing is Standing.USABLE:
            self._become(Standing.IN_DOUBT, why)
        self._doubted.set()

    async def watch(self) -> None:
        """Look at the daemon for ever."""
        retry_s = FIRST_RETRY_S
        while True:
            self._doubted.clear()
            await self.look()
            if self.standing is Standing.USABLE:
                pause_s, retry_s = self._times.poll_every_s, FIRST_RETRY_S
            else:
                pause_s, retry_s = retry_s, min(2 * retry_s, self._times.poll_every_s)
            try:
                async with asyncio.timeout(pause_s):
                    await self._doubted.wait()
            except TimeoutError:
                pass
            else:
                # An outage begins or ends: be there at once.
                retry_s = FIRST_RETRY_S

    async def look(self) -> None:
        """Ask the daemon once, and prove it if there is any sign of a change."""
        async with self._lock:
            await self._look()

    async def reload(self, *, step_aside: bool) -> None:
        """Have it load its signatures anew, and prove it; with `step_aside` it is not used meanwhile."""
        async with self._lock:
            if step_aside and self.standing is Standing.USABLE:
                self._become(Standing.IN_DOUBT, "is loading its signatures anew")
            try:
                await self._daemon.reload()
            except DaemonError as error:
                _log.error("cannot reload signatures", address=self.address, error=str(error))
            else:
                _log.info("reloading signatures", address=self.address)
                self._settled_at = self._clock() + self._times.reload_settle_s
            self._proved = None
            await self._look()

    async def ping(self) -> str | None:
        """Ask the daemon right now; why it does not answer, or ``None``."""
        try:
            await self._daemon.ping()
        except DaemonError as error:
            self.doubt(str(error))
            return f"does not answer: {error}"
        return None

    async def _look(self) -> None:
        try:
            await self._daemon.ping()
            versions = await self._daemon.versions()
        except DaemonError as error:
            self._become(Standing.REFUSED, f"does not answer: {error}")
            return
        now = self._clock()
        has_settled = self._settled_at is not None and now >= self._settled_at
        has_changed = self.standing is not Standing.USABLE or versions != self._proved or has_settled
        if not has_changed and now < self._next_proof_at:
            return
        why_not = await prove(self._scan)
        if why_not is not None:
            self._become(Standing.REFUSED, why_not)
            return
        if has_settled:
            self._settled_at = None
        self._next_proof_at = now + self._times.prove_every_s
        if has_changed:
            self._accept(versions)

    def _accept(self, versions: Versions) -> None:
        if versions.is_outdated and (self._proved is None or self._proved.engine != versions.engine):
            _log.warning("this ClamAV has known holes, install a newer one", version=versions.engine)
        self._proved = versions
        self.engine_version = versions.engine
        self.signatures_version = f"{versions.signatures}+{self._epochs.next()}"
        if versions.made is not None:
            self._made_gauge.set(versions.made.timestamp())
        self._become(Standing.USABLE, "")
        _log.info(
            "engine is proved",
            address=self.address,
            engine_version=self.engine_version,
            signatures_version=self.signatures_version,
        )

    def _become(self, standing: Standing, why: str) -> None:
        if standing is Standing.REFUSED and why != self.why:
            _log.error("engine cannot be used", address=self.address, why=why)
        has_changed = standing is not self.standing
        self.standing, self.why = standing, why
        self._usable_gauge.set(standing is Standing.USABLE)
        if has_changed:
            self._change.announce()


async def reload_all(daemons: Sequence[Watched]) -> None:
    """Reload one after another, each out of use meanwhile as long as another one is usable."""
    for daemon in daemons:
        others = any(other.standing is Standing.USABLE for other in daemons if other is not daemon)
        await daemon.reload(step_aside=others)
