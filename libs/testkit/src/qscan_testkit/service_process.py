"""A service as a process of its own, as `qscan up` and containers run it."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from qscan_testkit.polling import poll_until

START_TIMEOUT_S = 30.0


class ServiceProcess:
    """``python -m MODULE`` with some settings. As a context manager it is gone on leaving; its log is a file."""

    def __init__(self, module: str, directory: Path, environment: Mapping[str, str]) -> None:
        """Start `module` with `environment` besides our own; the log goes below `directory`."""
        self._log = directory / f"{module}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def log(self) -> str:
        """Everything that it has said."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def said(self, event: str) -> list[dict[str, Any]]:
        """The log lines of an event."""
        lines = [json.loads(line) for line in self.log.splitlines() if line.startswith("{") and line.endswith("}")]
        return [line for line in lines if line["event"] == event]

    def readiness(self) -> dict[str, Any]:
        """The body of /readyz, as soon as it is served. Raises RuntimeError with the log when the process has ended."""
        poll_until(lambda: self.process.poll() is not None or self.said("serving health"), START_TIMEOUT_S)
        if self.process.poll() is not None:
            message = f"it has ended; it said:\n{self.log}"
            raise RuntimeError(message)
        url = f"http://127.0.0.1:{self.said('serving health')[0]['port']}/readyz"
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                body = response.read()
        except urllib.error.HTTPError as error:  # 503 has a body, too
            body = error.read()
        answer: dict[str, Any] = json.loads(body)
        return answer

    def __enter__(self) -> Self:
        """It is started already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()
