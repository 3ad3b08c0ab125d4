"""The life of a service that does nothing but answer scan requests."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from qscan_contracts.subjects import Service
from qscan_kit.bus import Bus
from qscan_kit.health import Check, Health, HealthServer
from qscan_kit.log import get_logger
from qscan_kit.settings import ServiceSettings
from qscan_kit.worker import ScanWorker

_log = get_logger()


async def connect_or_stop(service: Service, settings: ServiceSettings, stop: asyncio.Event) -> Bus | None:
    """Connect to the bus, trying for ever; None when `stop` was set first, so that SIGTERM ends a waiting service."""
    connecting = asyncio.create_task(Bus.connect(service, settings))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({connecting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return connecting.result() if connecting.done() else None
    finally:
        connecting.cancel()
        stopping.cancel()


async def serve_worker(
    service: Service,
    settings: ServiceSettings,
    stop: asyncio.Event,
    *,
    worker: Callable[[Bus], ScanWorker[Any]],
    checks: Mapping[str, Check],
) -> None:
    """Run a scan worker until `stop` is set. Health is served from the first moment, before the bus is there.

    Args:
        service: whose NATS user to be.
        settings: of that service.
        stop: ends it in order: no new requests, then what is in flight, then the connection.
        worker: makes the worker, once the bus is connected.
        checks: what `/readyz` asks besides the bus.
    """
    bus: Bus | None = None

    async def bus_health() -> Health:
        if bus is None:
            servers = ", ".join(settings.nats_urls)
            return Health(ok=False, detail=f"waiting for NATS at {servers}: start it, or correct nats_urls")
        return await bus.health()

    server = HealthServer({"bus": bus_health, **checks}, host=settings.health_host, port=settings.health_port)
    async with server:
        _log.info("serving health", host=settings.health_host, port=server.port)
        bus = await connect_or_stop(service, settings, stop)
        if bus is None:
            return
        listening = worker(bus)
        await listening.resume()
        _log.info("listening for requests")
        try:
            await stop.wait()
        finally:
            await listening.stop()
            await bus.close()
