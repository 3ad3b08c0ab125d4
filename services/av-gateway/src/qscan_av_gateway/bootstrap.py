"""The only place that wires: settings in, a running service out."""

import asyncio
import signal
from collections.abc import Sequence
from functools import partial

from qscan_av_gateway.adapters.clamd_address import parse_address
from qscan_av_gateway.adapters.clamd_control import ClamdControl
from qscan_av_gateway.adapters.clamd_daemon import ClamdDaemon
from qscan_av_gateway.adapters.clamd_engine import NAME, Clamd, ClamdEngine
from qscan_av_gateway.adapters.clamd_stream import ClamdStream, StreamLimits, Unreachable
from qscan_av_gateway.handler import AvHandler
from qscan_av_gateway.readiness import Readiness, follow
from qscan_av_gateway.settings import AvGatewaySettings
from qscan_av_gateway.watch import Change, Epochs, Watched, WatchTimes, reload_all
from qscan_contracts.components import ComponentContent
from qscan_contracts.reports import Outcome, Unscanned
from qscan_contracts.scanning import AvRequest
from qscan_contracts.subjects import ScanRole, Service
from qscan_contracts.vocabulary import UnscannedReason
from qscan_kit.bus import Bus
from qscan_kit.content import ContentSource, source
from qscan_kit.health import HealthServer
from qscan_kit.log import get_logger
from qscan_kit.serving import connect_or_stop
from qscan_kit.worker import ScanWorker

_log = get_logger()


def clamds(settings: AvGatewaySettings, change: Change) -> list[Clamd]:
    """Every clamd of the settings, in doubt until it is watched. Needs a running event loop."""
    limits = StreamLimits(
        max_scan_bytes=settings.max_scan_bytes,
        attempt_timeout_s=settings.attempt_timeout_s,
        connect_timeout_s=settings.connect_timeout_s,
        send_timeout_s=settings.send_timeout_s,
    )
    times = WatchTimes(
        poll_every_s=settings.poll_every_s,
        prove_every_s=settings.prove_every_s,
        reload_settle_s=settings.reload_settle_s,
    )
    epochs = Epochs()
    found: list[Clamd] = []
    for address in map(parse_address, settings.clamd_addresses):
        stream = ClamdStream(address, limits)
        watched = Watched(
            ClamdDaemon(address, ClamdControl(address, timeout_s=settings.control_timeout_s)),
            partial(_scan_for_proof, stream, settings.proof_timeout_s),
            engine=NAME,
            epochs=epochs,
            change=change,
            times=times,
        )
        found.append(Clamd(stream, watched, max_connections=settings.max_connections))
    return found


async def _scan_for_proof(stream: ClamdStream, timeout_s: float, content: ContentSource) -> Outcome:
    outcome = await stream.scan(content, timeout_s=timeout_s)
    if isinstance(outcome, Unreachable):
        return Unscanned.because(UnscannedReason.ENGINE_FAILED, outcome.detail)
    return outcome


async def serve(settings: AvGatewaySettings, stop: asyncio.Event) -> None:
    """Run until `stop` is set. A task that ends by a bug of ours ends the service."""
    change = Change()
    found = clamds(settings, change)
    watched = [clamd.watched for clamd in found]
    engine = ClamdEngine(
        found, change, attempt_timeout_s=settings.attempt_timeout_s, doubt_wait_s=settings.doubt_wait_s
    )
    readiness = Readiness(watched, nats_urls=settings.nats_urls)
    health = HealthServer(
        {"bus": readiness.bus, NAME: readiness.engine}, host=settings.health_host, port=settings.health_port
    )
    async with health, asyncio.TaskGroup() as group:
        _log.info("serving health", host=settings.health_host, port=health.port)
        tasks = [group.create_task(one.watch()) for one in watched]
        tasks.append(group.create_task(_reload_on_hangup(watched)))
        bus = await connect_or_stop(Service.AV_GATEWAY, settings, stop)
        if bus is not None:
            readiness.connected = bus
            await _work(settings, bus, engine, readiness, change, stop)
        for task in tasks:
            task.cancel()


async def _work(
    settings: AvGatewaySettings,
    bus: Bus,
    engine: ClamdEngine,
    readiness: Readiness,
    change: Change,
    stop: asyncio.Event,
) -> None:
    def source_of(one: ComponentContent) -> ContentSource:
        return source(bus, one.content, size=one.component.size, sha256=one.component.sha256)

    handler = AvHandler([engine], source_of)
    worker = ScanWorker(bus, ScanRole.AV, AvRequest, handler.handle, max_in_flight=settings.max_jobs_in_flight)
    following = asyncio.create_task(follow(worker, readiness, change))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((following, stopping), return_when=asyncio.FIRST_COMPLETED)
        if following.done():
            following.result()
    finally:
        following.cancel()
        stopping.cancel()
        await worker.stop()
        await bus.close()


async def _reload_on_hangup(watched: Sequence[Watched]) -> None:
    """SIGHUP: every clamd loads its signatures anew, one after another."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, asked.set)
    try:
        while True:
            await asked.wait()
            asked.clear()
            await reload_all(watched)
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
