"""The life of a service that handles events of the stream."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from qscan_contracts.subjects import Service
from qscan_kit.bus import Bus
from qscan_kit.consumer import EventConsumer
from qscan_kit.health import Check, Health, HealthServer
from qscan_kit.log import get_logger
from qscan_kit.serving import connect_or_stop
from qscan_kit.settings import ServiceSettings

DRAIN_S = 5.0
"""How long a service that is to end waits for the event that it is handling; cut short, it comes again."""

_log = get_logger()


@dataclass(frozen=True)
class Work:
    """What a service does once the bus is there: `consumer`, and beside it what else runs until the end."""

    consumer: EventConsumer[Any]
    beside: tuple[Coroutine[Any, Any, None], ...] = field(default=())


async def serve_events(
    service: Service,
    settings: ServiceSettings,
    stop: asyncio.Event,
    *,
    work: Callable[[Bus], Work],
    checks: Mapping[str, Check],
) -> None:
    """Handle events until `stop` is set. Health is served from the first moment, before the bus is there.

    Args:
        service: whose NATS user to be.
        settings: of that service.
        stop: ends it in order: the event in hand, then the connection.
        work: what to do, once the bus is connected.
        checks: what `/readyz` asks besides bus and events.
    """
    bus: Bus | None = None
    consumer: EventConsumer[Any] | None = None

    async def bus_health() -> Health:
        if bus is None:
            servers = ", ".join(settings.nats_urls)
            return Health(ok=False, detail=f"waiting for NATS at {servers}: start it, or correct nats_urls")
        return await bus.health()

    async def events_health() -> Health:
        return Health(ok=False, detail="waiting for NATS") if consumer is None else await consumer.health()

    all_checks = {"bus": bus_health, "events": events_health, **checks}
    async with HealthServer(all_checks, host=settings.health_host, port=settings.health_port) as server:
        _log.info("serving health", host=settings.health_host, port=server.port)
        bus = await connect_or_stop(service, settings, stop)
        if bus is None:
            return
        doing = work(bus)
        consumer = doing.consumer
        try:
            await _until_stopped(stop, doing)
        finally:
            await bus.close()


async def _until_stopped(stop: asyncio.Event, doing: Work) -> None:
    """Do it until `stop` is set. What ends before that is a bug, and is raised, so that the process is started anew."""
    stopping = asyncio.create_task(stop.wait())
    tasks: set[asyncio.Task[Any]] = {asyncio.create_task(part) for part in (doing.consumer.run(), *doing.beside)}
    try:
        done, _ = await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stopping}:
            task.result()
            raise RuntimeError("a part of the service ended by itself")
        try:
            async with asyncio.timeout(DRAIN_S):
                await doing.consumer.until_idle()
        except TimeoutError:
            _log.warning("ending in the middle of an event; it will come again")
    finally:
        for task in (stopping, *tasks):
            task.cancel()
        await asyncio.gather(stopping, *tasks, return_exceptions=True)
