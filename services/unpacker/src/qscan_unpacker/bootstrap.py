"""Wires the unpacker: the only place that reads settings and calls constructors."""

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor

from qscan_contracts.subjects import Service
from qscan_kit.bus import Bus
from qscan_kit.errors import BusUnavailableError
from qscan_kit.health import Check, Health, QuietServer
from qscan_kit.log import get_logger
from qscan_kit.mail_store import MailStore
from qscan_kit.serving import connect_or_stop
from qscan_kit.settings import read_secret
from qscan_kit.stream import EventPublisher, StreamLimits, ensure_streams
from qscan_unpacker import readiness
from qscan_unpacker.asking import Asker
from qscan_unpacker.contents import Contents
from qscan_unpacker.dissection.budget import Limits
from qscan_unpacker.entrypoints.http import Intake, Scanning, build
from qscan_unpacker.fan_out import FanOut
from qscan_unpacker.hand_off import HandOff
from qscan_unpacker.sandbox.sandbox import Sandbox
from qscan_unpacker.scanning import Scanner
from qscan_unpacker.settings import Settings

STREAMS_RETRY_S = 1.0
STREAMS_EVERY_S = 30.0
_log = get_logger()


async def main(settings: Settings, stop: asyncio.Event) -> None:
    """Run the unpacker until `stop`. Health and the API are served from the first moment, before the bus is there."""
    settings.spool_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    sandbox = Sandbox(
        memory_bytes=settings.sandbox_memory_bytes,
        max_children=settings.max_sandbox_processes,
        opening_timeout_s=settings.opening_timeout_s,
        require_seccomp=settings.require_seccomp,
    )
    await asyncio.to_thread(sandbox.start)
    try:
        await _serve(settings, sandbox, stop)
    finally:
        await asyncio.to_thread(sandbox.stop)


async def _serve(settings: Settings, sandbox: Sandbox, stop: asyncio.Event) -> None:
    token = read_secret(settings.token_file) if settings.token_file is not None else ""
    intake = Intake(settings, token)
    parts = Parts(settings, sandbox)
    app = build(intake, parts.checks())
    server = QuietServer(app, host=settings.http_host, port=settings.http_port)
    await server.start()
    _log.info("listening", host=settings.http_host, port=server.port)
    bus = await connect_or_stop(Service.UNPACKER, settings, stop)
    try:
        if bus is not None:
            intake.scanning = Scanning(bus, await parts.wire(bus))
            keeping = asyncio.create_task(parts.keep_streams())
            await stop.wait()
            keeping.cancel()
    finally:
        await server.stop()
        if bus is not None:
            await bus.close()


class Parts:
    """What stands on the bus, once it is there."""

    def __init__(self, settings: Settings, sandbox: Sandbox) -> None:
        """Nothing is wired yet but the sandbox."""
        self._settings, self._sandbox = settings, sandbox
        self._bus: Bus | None = None
        self._asker: Asker | None = None
        self._streams: StreamsKeeper | None = None

    async def wire(self, bus: Bus) -> Scanner:
        """Everything on `bus`, listening."""
        settings = self._settings
        # Unguessable, so that nobody else's replies can be meant for it, and new at each start.
        instance = secrets.token_hex(8)
        asker = Asker(bus, instance, max_busy_retries=settings.max_busy_retries)
        contents = Contents(bus, instance)
        await asker.start()
        await contents.start()
        self._bus, self._asker, self._streams = bus, asker, StreamsKeeper(bus, settings)
        return Scanner(
            contents=contents,
            fan_out=FanOut(
                asker,
                roles=settings.engine_roles,
                scan_raw_message=settings.scan_raw_message,
                spam_timeout_s=settings.spam_timeout_s,
                max_av_requests=settings.max_av_requests_per_message,
            ),
            hand_off=HandOff(MailStore(bus), EventPublisher(bus)),
            sandbox=self._sandbox,
            threads=ThreadPoolExecutor(settings.max_messages_in_flight, thread_name_prefix="dissect"),
            limits=limits(settings),
            spool_dir=settings.spool_dir,
            in_thread_above_bytes=settings.dissect_in_thread_above_bytes,
            spam_required=settings.spam_required,
        )

    async def keep_streams(self) -> None:
        """Look after the streams until cancelled."""
        if self._streams is not None:
            await self._streams.run()

    def checks(self) -> dict[str, Check]:
        """What `/readyz` asks."""
        waiting = Health(ok=False, detail="waits for NATS: start it, or correct nats_urls")

        async def nats() -> Health:
            return waiting if self._bus is None else await self._bus.health()

        async def streams() -> Health:
            return waiting if self._streams is None else await self._streams.health()

        async def engines() -> Health:
            roles = self._settings.engine_roles
            return waiting if self._asker is None else await readiness.engines(self._asker, roles)

        async def policy() -> Health:
            return waiting if self._asker is None else await readiness.policy(self._asker)

        return {
            "nats": nats,
            "streams": streams,
            "engines": engines,
            "policy": policy,
            "sandbox": self._sandbox.health,
        }


def limits(settings: Settings) -> Limits:
    """The budget of each message."""
    return Limits(
        max_depth=settings.max_depth,
        max_components=settings.max_components,
        max_component_bytes=settings.max_component_bytes,
        max_decoded_bytes=settings.max_decoded_bytes,
        max_ratio=settings.max_ratio,
        ratio_counts_above_bytes=settings.ratio_counts_above_bytes,
        max_header_bytes=settings.max_header_bytes,
        max_header_lines=settings.max_header_lines,
        max_parameters=settings.max_parameters,
        max_name_characters=settings.max_name_characters,
        max_password_attempts=settings.max_password_attempts,
        max_dissection_s=settings.max_dissection_s,
    )


class StreamsKeeper:
    """Keeps the streams there: as soon as NATS lets it, and again should a server come back without its disk.

    While they are not there, a message that has to be kept is deferred.
    """

    def __init__(self, bus: Bus, settings: Settings) -> None:
        """Make them on `bus` with the limits in `settings`."""
        self._bus = bus
        self._limits = StreamLimits(settings.events_max_bytes, settings.mail_max_bytes, settings.stream_replicas)
        self._problem = "the streams are not set up yet"

    async def run(self) -> None:
        """Look after them until cancelled."""
        while True:
            try:
                await ensure_streams(self._bus, self._limits)
            except BusUnavailableError as error:
                if self._problem != str(error):
                    _log.warning("streams not set up", error=str(error))
                self._problem = str(error)
                await asyncio.sleep(STREAMS_RETRY_S)
            else:
                self._problem = ""
                await asyncio.sleep(STREAMS_EVERY_S)

    async def health(self) -> Health:
        """Whether the streams were set up."""
        return Health(ok=not self._problem, detail=self._problem or "streams are set up")
