"""Whether the gateway can scan, said to `/readyz` and by being in the queue group or not."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from qscan_av_gateway.watch import Change, Standing, Watched
from qscan_kit.bus import Bus
from qscan_kit.errors import BusUnavailableError
from qscan_kit.health import Health
from qscan_kit.log import get_logger

_RETRY_S = 1.0
_log = get_logger()


class Group(Protocol):
    """The worker's membership in the queue group."""

    @property
    def is_listening(self) -> bool:
        """Whether requests come here."""
        ...

    async def resume(self) -> None:
        """Join the group."""
        ...

    async def pause(self) -> None:
        """Leave it."""
        ...


class Readiness:
    """What `/readyz` asks."""

    def __init__(self, watched: Sequence[Watched], *, nats_urls: Sequence[str]) -> None:
        """Ready means: the bus at `nats_urls` answers, and at least one of `watched` is usable and answers."""
        self._watched, self._nats_urls = tuple(watched), ", ".join(nats_urls)
        self.connected: Bus | None = None

    @property
    def may_listen(self) -> bool | None:
        """Whether requests can be taken; ``None`` while all that could take them are in doubt."""
        standings = {one.standing for one in self._watched}
        if Standing.USABLE in standings:
            return True
        return None if Standing.IN_DOUBT in standings else False

    async def bus(self) -> Health:
        """Ask the bus."""
        if self.connected is None:
            return Health(ok=False, detail=f"waiting for NATS at {self._nats_urls}: start it, or correct nats_urls")
        return await self.connected.health()

    async def engine(self) -> Health:
        """Ping every daemon that counts as usable, and say of the others why they are not used."""
        words = await asyncio.gather(*(_ask(one) for one in self._watched))
        return Health(ok=any(ok for ok, _ in words), detail="; ".join(text for _, text in words))


async def _ask(one: Watched) -> tuple[bool, str]:
    if one.standing is Standing.REFUSED:
        return False, f"{one.address} {one.why}"
    if one.standing is Standing.IN_DOUBT:
        return False, f"{one.address} is being proved: {one.why}"
    problem = await one.ping()
    if problem is not None:
        return False, f"{one.address} {problem}"
    return True, f"{one.address} {one.engine_version}, signatures {one.signatures_version}"


async def follow(group: Group, readiness: Readiness, change: Change) -> None:
    """Be in the queue group as long as something can scan, and out of it as long as nothing can; for ever."""
    while True:
        may_listen = readiness.may_listen
        try:
            if may_listen and not group.is_listening:
                await group.resume()
                _log.info("listening for requests")
            elif may_listen is False and group.is_listening:
                _log.error("no engine can be used: leaving the queue group until one can")
                await group.pause()
        except BusUnavailableError as error:
            _log.warning("cannot change the queue group", error=str(error))
            await asyncio.sleep(_RETRY_S)
            continue
        if readiness.may_listen is may_listen:
            await change.wait()
