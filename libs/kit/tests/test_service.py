"""The life of a service process, seen from outside: signals, exit statuses, what it says."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from qscan_contracts.subjects import Service
from qscan_kit.service import EXIT_FAILED, EXIT_SETTINGS
from qscan_testkit.nats_server import NatsServer

PROGRAM = """
import asyncio, sys
from pydantic import Field
from qscan_contracts.subjects import Service
from qscan_kit.errors import SettingsError
from qscan_kit.health import HealthServer
from qscan_kit.service import run
from qscan_kit.serving import connect_or_stop
from qscan_kit.settings import ServiceSettings, environment

class Settings(ServiceSettings):
    model_config = environment("policy")
    max_bytes: int = Field(10, gt=0, description="A limit.")
    rules: str = Field("none", description="What to do.")

async def main(settings, stop):
    match settings.rules:
        case "raise":
            {}["ann.private@example.org"]
        case "wrong":
            raise SettingsError("rules cannot be used: correct them")
        case "health":
            async with HealthServer({}, host=settings.health_host, port=settings.health_port):
                pass
        case "bus":
            print("up", flush=True)
            bus = await connect_or_stop(Service.POLICY, settings, stop)
            print("no bus" if bus is None else "bus", flush=True)
        case _:
            print("up", flush=True)
            await stop.wait()
            print("ended in order", flush=True)

sys.exit(run("policy", Settings, main))
"""


@contextmanager
def service(**settings: str) -> Iterator[subprocess.Popen[str]]:
    """The program above as a process, with these settings."""
    own = {f"QSCAN_POLICY_{name.upper()}": value for name, value in settings.items()}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("QSCAN_")} | own
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def came_up(process: subprocess.Popen[str]) -> None:
    """Until it says so."""
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Its exit status and what it said on its way."""
    out, err = process.communicate(timeout=20)
    return process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(number):
    """With 0, so that nothing that supervises it counts that as a failure."""
    with service() as process:
        came_up(process)
        process.send_signal(number)
        assert ended(process) == (0, "ended in order\n", "")


def test_two_signals_do_not_hurt():
    """Ctrl-C goes to the whole group and `qscan up` adds its own."""
    with service() as process:
        came_up(process)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        assert ended(process)[:2] == (0, "ended in order\n")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"max_bytes": "s3cret"}, "QSCAN_POLICY_MAX_BYTES: Input should be a valid integer"),
        ({"max_byte": "s3cret"}, "unknown setting QSCAN_POLICY_MAX_BYTE: remove or correct it"),
        ({"rules": "wrong"}, "rules cannot be used: correct them"),
        ({"trace_file": "/dev/null/s3cret-is-a-path"}, "trace_file cannot be written"),
    ],
)
def test_wrong_settings_are_said_in_one_line(settings, said):
    """With 78, as starting again does not help; which one, what to do, and not its value."""
    with service(**settings) as process:
        status, out, err = ended(process)
    assert (status, out) == (EXIT_SETTINGS, "")
    assert err.startswith(f"qscan-policy: {said}")
    assert err.count("\n") == 1
    assert "s3cret" not in err.replace("s3cret-is-a-path", "")


def test_a_bug_ends_it():
    """With 1, so that it is started anew; the log has the place in one line, and no text that may quote a mail."""
    with service(rules="raise") as process:
        status, _, err = ended(process)
    assert status == EXIT_FAILED
    (line,) = map(json.loads, err.splitlines())
    assert (line["event"], line["level"], line["service"]) == ("service failed", "error", "policy")
    assert "KeyError" in line["exception"]
    assert "ann" not in err


def test_a_port_in_use_ends_it(nats_server: NatsServer):
    """It is said which address; a supervisor tries again."""
    with service(rules="health", health_port=str(nats_server.port)) as process:
        status, _, err = ended(process)
    assert status == EXIT_FAILED
    (line,) = map(json.loads, err.splitlines())
    assert f"Address already in use: cannot listen on 127.0.0.1 port {nats_server.port}" in line["exception"]


def test_it_ends_while_it_waits_for_the_bus(tmp_path: Path):
    """Services rely on no order of starting, so this is where many wait; SIGTERM is heard there."""
    server = NatsServer(tmp_path)
    server.reserve_port()
    with service(rules="bus", nats_urls=server.url) as process:
        came_up(process)
        process.send_signal(signal.SIGTERM)
        assert ended(process)[:2] == (0, "no bus\n")


def test_it_finds_a_bus_that_comes_later(tmp_path: Path):
    """And ends as soon as it is done."""
    server = NatsServer(tmp_path)
    server.reserve_port()
    password = server.passwords[Service.POLICY]
    with service(rules="bus", nats_urls=server.url, nats_password=password) as process, server:
        came_up(process)
        status, out, err = ended(process)
    assert (status, out) == (0, "bus\n")
    assert password not in err
