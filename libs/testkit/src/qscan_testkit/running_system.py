"""A whole qscan for tests: `qscan up` on a directory of its own, its parts by name, and signals to each of them.

Parts are the names in ``run/services.json``, and beside them `UP` (the watching command itself) and `GUARDIAN`.
`FORKSERVER`, the unpacker's, is none that `qscan up` knows, and can be signalled like one.
"""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from qscan_testkit.polling import poll_until
from qscan_testkit.qmail_callers import ErrorDescriptor, QmailCaller, smtpd
from qscan_testkit.recording import RecordingQmailQueue

UP = "up"
GUARDIAN = "guardian"
FORKSERVER = "forkserver"
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 45.0
_READY = re.compile(rb"^ready http=(?P<http>\S+) ingress=(?P<ingress>.+) data=.+$", re.MULTILINE)
_HEALTH_TIMEOUT_S = 6.0
_FORKSERVER_MODULE = "qscan_unpacker.sandbox.forkserver"

Setting = str | int | float | bool | list[str]
Tables = Mapping[str, Mapping[str, Setting]]


class NotRunningError(Exception):
    """The part, or the whole system, is not running now."""


@dataclass
class RunningSystem:
    """One `qscan up`; a context manager that leaves no process behind.

    Attributes:
        directory: everything of this system; the data directory is `data` in it.
        queue: qscan-queue.
        recorder: the program that stands in for qmail-queue, and what it was handed.
        tables: what is written to ``qscan.toml``.
    """

    directory: Path
    queue: Path
    recorder: RecordingQmailQueue
    tables: Tables = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _told_up_to: int = field(default=0, init=False)

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.directory / "data"

    @property
    def socket(self) -> Path:
        """Where ingressd listens."""
        return self.data / "run" / "ingress.sock"

    @property
    def configuration(self) -> Path:
        """The generated ``qscan.toml``."""
        return self.directory / "qscan.toml"

    @property
    def deadline_s(self) -> float:
        """The deadline of ingressd. Raises KeyError where `tables` does not say."""
        return float(str(self.tables["ingress"]["deadline_s"]))

    @property
    def told(self) -> str:
        """What `qscan up` has said so far, over all its starts; for the text of a failure."""
        return "".join(
            path.read_text(encoding="utf-8", errors="replace") for path in (self._output, self._errors) if path.exists()
        )

    @property
    def _output(self) -> Path:
        return self.directory / "up.out"

    @property
    def _errors(self) -> Path:
        return self.directory / "up.err"

    def start(self, *, timeout_s: float = START_TIMEOUT_S) -> None:
        """Start it and wait until it says that all is ready.

        Raises:
            RuntimeError: it ended, or was not ready in time; the text is what it said.
        """
        self.start_without_waiting()
        try:
            poll_until(self._says_ready, timeout_s)
        except TimeoutError:
            message = f"qscan up was not ready within {timeout_s:g} s; it said:\n{self.told}"
            raise RuntimeError(message) from None

    def start_without_waiting(self) -> None:
        """Start it; a part may be one that cannot become ready."""
        self.data.mkdir(parents=True, exist_ok=True)
        self.configuration.write_text(as_toml(self.tables), encoding="utf-8")
        self._told_up_to = self._output.stat().st_size if self._output.exists() else 0
        command = (sys.executable, "-m", "qscan_cli", "up", "--data", self.data)
        options = ("--config", self.configuration, "--http", "127.0.0.1:0")
        # What the notices of the system are injected with must end at the recorder, too.
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.directory), **self.recorder.environment}
        with self._output.open("ab") as output, self._errors.open("ab") as errors:
            self._process = subprocess.Popen(
                [*command, *options], stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=environ, cwd="/"
            )

    def _says_ready(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            message = f"qscan up has ended instead of becoming ready; it said:\n{self.told}"
            raise RuntimeError(message)
        return _READY.search(self._output.read_bytes(), self._told_up_to) is not None

    @property
    def url(self) -> str:
        """The intake API. Raises NotRunningError."""
        found = _READY.search(self._output.read_bytes(), self._told_up_to) if self._output.exists() else None
        if found is None:
            message = "qscan up has not said yet that it is ready"
            raise NotRunningError(message)
        return found["http"].decode("ascii")

    def stop(self) -> int:
        """End it as Ctrl-C does; its exit status. Raises subprocess.TimeoutExpired."""
        process = self._process
        if process is None:
            return 0
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGINT)
        return process.wait(STOP_TIMEOUT_S)

    def kill(self) -> None:
        """SIGKILL to `qscan up`, and wait until nothing of it is left: its guardian sees to that."""
        process, self._process = self._process, None
        if process is None:
            return
        parts = self._services()
        pids = [service["pid"] for service in parts.get("services", {}).values() if service["pid"]]
        pids += [forkserver for pid in pids for forkserver in _children(pid, _FORKSERVER_MODULE)]
        guardian = parts.get("guardian_pid")
        process.kill()
        process.wait()
        poll_until(lambda: not any(map(_lives, [*pids, *([guardian] if guardian else [])])), STOP_TIMEOUT_S)

    def __enter__(self) -> Self:
        """Start it."""
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Kill it: tests of an orderly end do that themselves."""
        self.kill()

    def _services(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.data / "run" / "services.json").read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        return found

    def parts(self) -> list[str]:
        """The names of all parts, `UP` and `GUARDIAN` included."""
        return [*self._services().get("services", {}), UP, GUARDIAN]

    def pid(self, part: str) -> int:
        """The process of a part. Raises NotRunningError while it has none."""
        if part == UP:
            found = self._process.pid if self._process is not None and self._process.poll() is None else None
        elif part == GUARDIAN:
            found = self._services().get("guardian_pid")
        elif part == FORKSERVER:
            found = next(iter(_children(self.pid("unpacker"), _FORKSERVER_MODULE)), None)
        else:
            found = self._services().get("services", {}).get(part, {}).get("pid")
        if found is None:
            message = f"{part} is not running"
            raise NotRunningError(message)
        return int(found)

    def openers(self) -> list[int]:
        """The processes that open containers now. Raises NotRunningError while there is no forkserver."""
        return _children(self.pid(FORKSERVER))

    def starts(self, part: str) -> int:
        """How often a part was started by this `qscan up`."""
        return int(self._services().get("services", {}).get(part, {}).get("starts", 0))

    def log(self, part: str) -> str:
        """What a part has said since it was started last."""
        path = self._services().get("services", {}).get(part, {}).get("log")
        return Path(path).read_text(encoding="utf-8", errors="replace") if path else ""

    def signal(self, part: str, number: signal.Signals) -> "Signalled":
        """Send a signal to one part, and keep hold of the process that got it. Raises NotRunningError."""
        return Signalled(self.pid(part), part, number)

    def is_ready(self, part: str, *, timeout_s: float = _HEALTH_TIMEOUT_S) -> bool:
        """Whether a service of ours says so itself; for a part without ``/readyz``: whether it runs."""
        entry = self._services().get("services", {}).get(part, {})
        if not entry.get("pid"):
            return False
        health = entry.get("health")
        return http_status(f"{health}/readyz", timeout_s=timeout_s) == http.HTTPStatus.OK if health else True

    def _unready(self, deadline: float) -> list[str]:
        """Which parts are not ready now, or do not say so until `deadline`, of the monotonic clock."""
        if self._process is None or self._process.poll() is not None:
            return [UP]

        def is_ready(part: str) -> bool:
            left_s = deadline - time.monotonic()
            return left_s > 0 and self.is_ready(part, timeout_s=min(left_s, _HEALTH_TIMEOUT_S))

        return [part for part in self._services().get("services", {UP: None}) if not is_ready(part)]

    def await_ready(self, *, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until every part is ready. Raises TimeoutError that says what is not."""
        deadline = time.monotonic() + timeout_s
        try:
            poll_until(lambda: not self._unready(deadline), timeout_s, pause_s=0.1)
        except TimeoutError:
            missing = self._unready(time.monotonic() + _HEALTH_TIMEOUT_S)
            message = f"not ready within {timeout_s:g} s: {', '.join(missing)}; qscan up said:\n{self.told}"
            raise TimeoutError(message) from None

    def caller(
        self,
        *,
        relay_client: bool = True,
        error_descriptor: ErrorDescriptor = ErrorDescriptor.NOTQMAIL_6,
        **environ: str,
    ) -> QmailCaller:
        """A caller like qmail-smtpd; a relay client by default, so that no spam filter is asked."""
        environment = {"QSCAN_INGRESS_SOCKET": str(self.socket), **self.recorder.environment, **environ}
        return smtpd(self.queue, environment, relay_client=relay_client, error_descriptor=error_descriptor)


class Signalled:
    """A process that was sent a signal. Held by a pidfd, so that no other process can be meant by its number later."""

    def __init__(self, pid: int, name: str, number: signal.Signals) -> None:
        """Send it. Raises NotRunningError when the process is gone."""
        self.name = name
        try:
            self._descriptor = os.pidfd_open(pid)
            signal.pidfd_send_signal(self._descriptor, number)
        except ProcessLookupError:
            message = f"{name} is not running"
            raise NotRunningError(message) from None

    def resume(self) -> None:
        """SIGCONT, if it is still there; the end of this object."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._descriptor, signal.SIGCONT)
        self.close()

    def close(self) -> None:
        """Let go of it as it is."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        """Let it be stopped."""
        return self

    def __exit__(self, *_: object) -> None:
        """Resume it."""
        self.resume()


def _lives(pid: int) -> bool:
    """Whether there is such a process that is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def _children(pid: int, argument: str = "") -> list[int]:
    """The children of a process, those with this among their arguments."""
    found = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text(encoding="ascii").split()]
    return [child for child in found if not argument or argument in _arguments(child)]


def _arguments(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


def http_status(url: str, *, timeout_s: float = _HEALTH_TIMEOUT_S) -> int:
    """The status of a GET, or 0 when there is no answer."""
    host, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=timeout_s)
    try:
        connection.request("GET", f"/{path}")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def as_toml(tables: Tables) -> str:
    """Tables of plain settings as TOML, whose strings and numbers are written as in JSON."""
    lines = []
    for name, settings in tables.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()]
    return "\n".join(lines) + "\n"
