"""The sandbox of the service: starts the forkserver, starts it anew when it dies, and gives each message a session."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from typing import Self

import msgspec

from qscan_kit import metrics
from qscan_kit.errors import QscanError, SettingsError
from qscan_kit.health import Health
from qscan_kit.log import get_logger
from qscan_unpacker.sandbox import leash
from qscan_unpacker.sandbox.session import SandboxUnavailableError, Session
from qscan_unpacker.sandbox.tether import FORKSERVER_TIMEOUT_S, Tether

OPENERS = "qscan_unpacker.opening.openers:OPENERS"
START_TIMEOUT_S = 20.0
"""Loading all parsers takes a second or two on a busy machine."""
RESTART_PAUSE_S = 2.0
"""After a start that failed: messages are refused at once meanwhile instead of waiting for the next failure."""
STOP_TIMEOUT_S = 5.0
CHANNEL_BUFFER_BYTES = 1024 * 1024
"""The kernel gives what it may; more in flight means fewer changes between the two processes."""

_ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH")
"""All that the forkserver gets of the service's environment: secrets may be in the rest."""
_FIXED_ENVIRONMENT = {
    # The same everywhere: openers turn names into text by it, and no file has to be read for it.
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
}

_log = get_logger()


class SandboxError(QscanError):
    """The forkserver cannot be started; the text says why."""


class Sandbox:
    """One per service; any thread may ask for sessions. A context manager that starts and stops it."""

    def __init__(
        self,
        *,
        memory_bytes: int,
        max_children: int,
        opening_timeout_s: float,
        require_seccomp: bool,
        openers: str = OPENERS,
    ) -> None:
        """Nothing is started yet.

        Args:
            memory_bytes: what each child may use.
            max_children: how many there may be at a time; further messages wait, within their own time.
            opening_timeout_s: how long all containers of one message may take, by the clock on the wall.
            require_seccomp: refuse to start where system calls cannot be filtered.
            openers: the table of openers, as `module:NAME`; only the forkserver imports it.
        """
        self._config = leash.Config(openers, memory_bytes, require_seccomp)
        self._opening_timeout_s = opening_timeout_s
        self._room = threading.BoundedSemaphore(max_children)
        self._lock = threading.Lock()
        self._forkserver: _Forkserver | None = None
        self._not_before_s = 0.0
        self._why_not = "not started"
        self._starts = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the forkserver and see that children can be confined; takes up to START_TIMEOUT_S.

        Raises:
            SettingsError: system calls cannot be filtered here, and `require_seccomp` is on.
            SandboxError: it cannot be started at all.
        """
        with self._lock:
            self._running()

    def stop(self) -> None:
        """End the forkserver and every child there is."""
        with self._lock:
            if self._forkserver is not None:
                self._forkserver.stop()
                self._forkserver = None
            self._why_not, self._not_before_s = "stopped", float("inf")

    def session(self) -> Session:
        """The sandbox of one message. Costs nothing until it opens a container."""
        return Session(self._fork, self._opening_timeout_s, self._config.memory_bytes)

    async def health(self) -> Health:
        """Whether containers can be opened now. Starts a forkserver that has died, so that it is ready again."""
        return await asyncio.to_thread(self._health)

    def _health(self) -> Health:
        try:
            with self._lock:
                forkserver = self._running()
        except (SandboxError, SettingsError, SandboxUnavailableError) as error:
            return Health(ok=False, detail=str(error))
        seccomp = f"OFF ({forkserver.without_seccomp})" if forkserver.without_seccomp else "on"
        return Health(ok=True, detail=f"seccomp {seccomp}, forkserver pid {forkserver.pid}, starts {self._starts}")

    def _fork(self, cpu_s: float, deadline_s: float) -> Tether:
        if not self._room.acquire(timeout=max(deadline_s - time.monotonic(), 0)):
            raise SandboxUnavailableError("too many messages are opened at a time")
        try:
            with self._lock:
                return Tether(*self._running().fork(cpu_s), self._room.release)
        except BaseException as error:
            self._room.release()
            if isinstance(error, SandboxError | SettingsError | OSError):
                _log.error("no child of the sandbox can be had", error=str(error))
                raise SandboxUnavailableError("the sandbox does not work now") from error
            raise

    def _running(self) -> "_Forkserver":
        """The forkserver, started anew if it has died. Called with the lock held."""
        if self._forkserver is not None:
            exit_code = self._forkserver.exit_code()
            if exit_code is None:
                return self._forkserver
            _log.error("the forkserver of the sandbox died and is started anew", exit_code=exit_code)
            self._forkserver.stop()
            self._forkserver = None
        if time.monotonic() < self._not_before_s:
            raise SandboxUnavailableError(self._why_not)
        self._starts += 1
        metrics.SANDBOX_STARTS.inc()
        try:
            self._forkserver = _Forkserver(self._config)
        except (SandboxError, SettingsError) as error:
            self._why_not, self._not_before_s = str(error), time.monotonic() + RESTART_PAUSE_S
            raise
        if self._forkserver.without_seccomp:
            _log.warning(
                "system calls of parsers are not filtered, as require_seccomp is off",
                why=self._forkserver.without_seccomp,
            )
        return self._forkserver


class _Forkserver:
    """The process, ready to fork."""

    def __init__(self, config: leash.Config) -> None:
        """Start it. Raises SandboxError or SettingsError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ} | _FIXED_ENVIRONMENT
        module = "qscan_unpacker.sandbox.forkserver"
        arguments = (str(theirs.fileno()), msgspec.json.encode(config).decode())
        with theirs:
            self._process = subprocess.Popen(
                # -P: what lies in the current directory is not ours to import.
                [sys.executable, "-P", "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=environment,
                # Signals of a terminal are for the service, which ends it by closing the socket.
                start_new_session=True,
            )
        self._control = ours
        try:
            self.without_seccomp = self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        self.pid = self._process.pid

    def exit_code(self) -> int | None:
        """How it ended; None while it lives."""
        return self._process.poll()

    def fork(self, cpu_s: float) -> tuple[socket.socket, socket.socket]:
        """Channel and leash of a new child. Raises OSError when the forkserver does not listen."""
        channel, child_channel = socket.socketpair()
        child_leash, forkserver_leash = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with child_channel, forkserver_leash:
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, CHANNEL_BUFFER_BYTES)
            child_channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, CHANNEL_BUFFER_BYTES)
            try:
                descriptors = [child_channel.fileno(), forkserver_leash.fileno()]
                socket.send_fds(self._control, [leash.encode(leash.Fork(cpu_s))], descriptors)
            except BaseException:
                channel.close()
                child_leash.close()
                raise
        return channel, child_leash

    def stop(self) -> None:
        """End it; it takes its children with it."""
        self._control.close()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _wait_until_ready(self) -> str:
        self._control.settimeout(START_TIMEOUT_S)
        try:
            packet = self._control.recv(leash.MAX_PACKET_BYTES)
        except TimeoutError as error:
            raise SandboxError(f"the sandbox's forkserver was not ready within {START_TIMEOUT_S:g} s") from error
        self._control.settimeout(FORKSERVER_TIMEOUT_S)
        if not packet:
            raise SandboxError("the sandbox's forkserver ended at its start; standard error says why")
        said = leash.decode_start(packet)
        if isinstance(said, leash.Ready):
            return said.without_seccomp
        if said.setting:
            raise SettingsError(
                f"{said.text}. To do without, set require_seccomp = false for the unpacker: "
                "then a hole in a parser of archives is a hole in this service"
            )
        raise SandboxError(f"the sandbox's forkserver cannot work: {said.text}")
