"""A real clamd for tests and benchmarks: its own configuration, folder and socket, nothing of the host's."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
_POLL_S = 0.01


def program() -> Path | None:
    """Where clamd is installed, or None."""
    found = shutil.which("clamd", path=os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin")))
    return Path(found) if found else None


class ClamdServer:
    """One clamd process. As a context manager it is started on entering and gone on leaving.

    Started again it reads `configuration` again, so that a test may change it in between.
    """

    def __init__(self, directory: Path, configuration: str, *, listens_at: str | tuple[str, int]) -> None:
        """Run with the text of a clamd.conf, kept in `directory`.

        Args:
            directory: made if missing.
            configuration: must say `Foreground yes`.
            listens_at: the socket or the host and port of `configuration`, to see when it is ready.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._listens_at = listens_at
        self._process: subprocess.Popen[bytes] | None = None
        self.configuration = configuration

    @property
    def pid(self) -> int:
        """The process, for signals. Raises RuntimeError when it is not running."""
        if self._process is None:
            message = "clamd is not running: start it first"
            raise RuntimeError(message)
        return self._process.pid

    @property
    def log(self) -> str:
        """What clamd has said so far, over all its starts."""
        return (self.directory / "clamd.log").read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        """Start it and wait until it answers. Raises RuntimeError with its log when it does not."""
        executable = program()
        if executable is None:
            message = "no clamd: install clamav-daemon, or run `make setup`"
            raise RuntimeError(message)
        file = self.directory / "clamd.conf"
        file.write_text(self.configuration, encoding="utf-8")
        with (self.directory / "clamd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [executable, "-c", file], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                message = f"clamd did not start; it said:\n{self.log}"
                raise RuntimeError(message)
            time.sleep(_POLL_S)

    def kill(self) -> None:
        """SIGKILL, as a crash."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, as an orderly shutdown."""
        self._end(signal.SIGTERM)

    def send(self, number: signal.Signals) -> None:
        """Send any signal, such as SIGSTOP and SIGCONT."""
        os.kill(self.pid, number)

    def cpu_s(self) -> float:
        """The processor time that it has used so far, in seconds."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Kill it."""
        self.kill()

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_TIMEOUT_S)

    def _answers(self) -> bool:
        family = socket.AF_UNIX if isinstance(self._listens_at, str) else socket.AF_INET
        if isinstance(self._listens_at, tuple) and ":" in self._listens_at[0]:
            family = socket.AF_INET6
        try:
            with socket.socket(family, socket.SOCK_STREAM) as connection:
                connection.settimeout(1)
                connection.connect(self._listens_at)
                connection.sendall(b"zPING\0")
                return connection.recv(5) == b"PONG\0"
        except OSError:
            return False
