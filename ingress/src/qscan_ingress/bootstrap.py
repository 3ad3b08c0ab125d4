"""The only place that reads the settings and wires the ingress together."""

import asyncio
import os
import resource
import time

from qscan_contracts.ids import ScanId
from qscan_ingress.adapters.reading import ScratchPipe
from qscan_ingress.adapters.spool import MemoryBudget, SpoolLimits, check_folder
from qscan_ingress.adapters.unpackers import ClientLimits, TokenFile, Unpackers
from qscan_ingress.domain.failures import Failure
from qscan_ingress.domain.outcome import for_failure
from qscan_ingress.domain.scan_ids import RANDOM_BYTES, scan_id
from qscan_ingress.entrypoints.socket import IngressSocket
from qscan_ingress.ingestion import Ingestion, IngestionLimits
from qscan_ingress.settings import IngressSettings
from qscan_kit.errors import SettingsError
from qscan_kit.health import Check, Health, HealthServer
from qscan_kit.log import get_logger

_DESCRIPTORS_PER_MESSAGE = 10
_DESCRIPTORS_OF_OURS = 64


async def serve(settings: IngressSettings, stop: asyncio.Event) -> None:
    """Run until `stop` is set; then end what is in hand.

    Raises:
        SettingsError: something cannot be used as it is configured.
    """
    _allow_open_files(settings.max_connections)
    _check_folder(settings)
    scratch = ScratchPipe()
    async with Unpackers(settings.unpacker_urls, TokenFile(settings.token_file), _client_limits(settings)) as unpackers:
        ingestion = Ingestion(
            unpackers=unpackers,
            spool_dir=settings.spool_dir,
            spool_limits=SpoolLimits(settings.memory_spool_max_bytes, settings.max_message_bytes),
            limits=IngestionLimits(settings.max_envelope_bytes, settings.deadline_s, settings.reading_timeout_s),
            budget=MemoryBudget(settings.total_memory_max_bytes),
            scratch=scratch,
            new_scan_id=_new_scan_id,
        )
        entry = IngressSocket(
            settings.socket,
            mode=settings.socket_mode_bits,
            backlog=settings.listen_backlog,
            max_connections=settings.max_connections,
            introduction_timeout_s=settings.introduction_timeout_s,
            alive_interval_s=settings.alive_interval_s,
            busy=for_failure(Failure.BUSY),
            handle=ingestion.handle,
        )
        checks = {
            "socket": _socket_check(entry),
            "spool": _spool_check(settings),
            "unpacker": unpackers.check,
        }
        health = HealthServer(checks, host=settings.health_host, port=settings.health_port)
        async with health:
            entry.open()
            get_logger().info("listening", socket=str(settings.socket), health_port=health.port)
            try:
                await stop.wait()
            finally:
                await entry.close(settings.drain_timeout_s)
                scratch.close()


def _new_scan_id() -> ScanId:
    return scan_id(time.time_ns() // 1_000_000, os.urandom(RANDOM_BYTES))


def _client_limits(settings: IngressSettings) -> ClientLimits:
    return ClientLimits(
        rounds=settings.unpacker_rounds,
        round_pause_s=settings.round_pause_s,
        connect_timeout_s=settings.connect_timeout_s,
        keepalive_expiry_s=settings.keepalive_expiry_s,
        max_connections=settings.max_connections,
        max_answer_bytes=settings.max_answer_bytes,
        max_envelope_bytes=settings.max_envelope_bytes,
    )


def _allow_open_files(max_connections: int) -> None:
    needed = max_connections * _DESCRIPTORS_PER_MESSAGE + _DESCRIPTORS_OF_OURS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            message = (
                f"max_connections {max_connections} needs {needed} open files, and {hard} are"
                " allowed; raise the limit (ulimit -n, LimitNOFILE) or lower max_connections"
            )
            raise SettingsError(message)
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _check_folder(settings: IngressSettings) -> None:
    check_folder(settings.spool_dir, may_be_in_memory=settings.spool_may_be_in_memory)


def _socket_check(entry: IngressSocket) -> Check:
    async def check() -> Health:
        return Health(ok=entry.is_open)

    return check


def _spool_check(settings: IngressSettings) -> Check:
    async def check() -> Health:
        try:
            await asyncio.to_thread(_check_folder, settings)
        except SettingsError as error:
            return Health(ok=False, detail=str(error))
        return Health(ok=True)

    return check
