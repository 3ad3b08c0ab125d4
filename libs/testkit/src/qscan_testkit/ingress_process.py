"""The real qscan-ingressd as a process of its own, for tests."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from qscan_testkit.fake_unpacker import FakeUnpacker
from qscan_testkit.polling import poll_until
from qscan_testkit.qmail_callers import ErrorDescriptor, QmailCaller, smtpd
from qscan_testkit.recording import RecordingQmailQueue

TOKEN = "token-for-tests"  # noqa: S105  # protects nothing
START_TIMEOUT_S = 20.0


@dataclass
class Ingressd:
    """A running qscan-ingressd and everything around it."""

    process: subprocess.Popen[bytes]
    folder: Path
    queue: Path
    recorder: RecordingQmailQueue
    unpackers: Sequence[FakeUnpacker]
    forgotten_lines: int = 0
    """Lines of the log that belong to earlier tests."""

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.folder / "ingress.sock"

    @property
    def unpacker(self) -> FakeUnpacker:
        """The first unpacker."""
        return self.unpackers[0]

    @property
    def environ(self) -> dict[str, str]:
        """What a caller's environment needs."""
        return {"QSCAN_INGRESS_SOCKET": str(self.socket), **self.recorder.environment}

    def caller(self, error_descriptor: ErrorDescriptor = ErrorDescriptor.NOTQMAIL_6, **environ: str) -> QmailCaller:
        """A caller like qmail-smtpd."""
        environment = {**self.environ, **environ}
        return smtpd(self.queue, environment, error_descriptor=error_descriptor)

    def log(self) -> list[dict[str, Any]]:
        """The events that it logged so far; a line that is still being written is left out."""
        lines = (self.folder / "log").read_text().splitlines(keepends=True)
        new = lines[self.forgotten_lines :]
        return [json.loads(line) for line in new if line.startswith("{") and line.endswith("\n")]

    def messages(self) -> list[dict[str, Any]]:
        """The log lines of messages."""
        return [event for event in self.log() if event["event"] == "message"]

    def logged(self, outcome: str) -> dict[str, Any]:
        """Wait for the log line of a message with this outcome."""

        def found() -> dict[str, Any] | None:
            return next((line for line in self.messages() if line["outcome"] == outcome), None)

        return poll_until(found)

    def reset(self) -> None:
        """Forget what happened so far, for the next test."""
        self.forgotten_lines = (self.folder / "log").read_bytes().count(b"\n")
        self.recorder.clear()
        for unpacker in self.unpackers:
            unpacker.reset()

    def http(self, path: str) -> tuple[int, str]:
        """Status and body of its health and metrics pages."""
        lines = (self.folder / "log").read_text().splitlines()
        port = next(json.loads(line)["health_port"] for line in lines if '"listening"' in line)
        connection = HTTPConnection("127.0.0.1", port, timeout=START_TIMEOUT_S)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def open_descriptors(self) -> int:
        """How many descriptors it has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def stop(self) -> int:
        """End it in order; its exit status."""
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        return self.process.wait(timeout=START_TIMEOUT_S)

    def kill(self) -> None:
        """End it at once, if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def start(
    folder: Path,
    queue: Path,
    recorder: RecordingQmailQueue,
    unpackers: Sequence[FakeUnpacker],
    settings: Mapping[str, str],
) -> Ingressd:
    """Start one in `folder` and wait until it listens; whoever asked ends it.

    Raises:
        RuntimeError: it ended at once; the text is its log.
    """
    ingressd = Ingressd(_spawn(folder, unpackers, settings), folder, queue, recorder, unpackers)
    try:
        poll_until(lambda: _is_up(ingressd), START_TIMEOUT_S)
    except BaseException:
        ingressd.kill()
        raise
    return ingressd


def _is_up(ingressd: Ingressd) -> bool:
    if ingressd.process.poll() is not None:
        raise RuntimeError((ingressd.folder / "log").read_text())
    return any(event["event"] == "listening" for event in ingressd.log())


def _spawn(folder: Path, unpackers: Sequence[FakeUnpacker], settings: Mapping[str, str]) -> subprocess.Popen[bytes]:
    token = folder / "token"
    if not token.exists():
        token.touch(mode=0o600)
        token.write_text(f"{TOKEN}\n")
    environ = {
        "PATH": os.environ["PATH"],
        "QSCAN_INGRESS_SOCKET": str(folder / "ingress.sock"),
        "QSCAN_INGRESS_UNPACKER_URLS": ",".join(unpacker.url for unpacker in unpackers),
        "QSCAN_INGRESS_TOKEN_FILE": str(token),
        "QSCAN_INGRESS_SPOOL_DIR": str(folder),
        "QSCAN_INGRESS_SPOOL_MAY_BE_IN_MEMORY": "true",
        "QSCAN_INGRESS_ALIVE_INTERVAL_S": "0.5",
        "QSCAN_INGRESS_DRAIN_TIMEOUT_S": "1",
        "QSCAN_INGRESS_ROUND_PAUSE_S": "0.01",
        **{f"QSCAN_INGRESS_{name.upper()}": value for name, value in settings.items()},
    }
    with (folder / "log").open("wb") as log:
        return subprocess.Popen([sys.executable, "-m", "qscan_ingress"], env=environ, stderr=log)
