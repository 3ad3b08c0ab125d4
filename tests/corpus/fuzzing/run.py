"""A run of the fuzzing: counts, tells how it goes, keeps each message that breaks something in a new way."""

import hashlib
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

PROGRESS_EVERY_S = 10.0
_NUMBERS = re.compile(r"\d[\d.]*|b?['\"].*")
Check = Callable[[bytes], list[str]]


class Run:
    """One run with a deadline."""

    def __init__(self, check: Check, seconds: float, findings_dir: Path) -> None:
        """Check inputs with `check` for so many seconds; what breaks something goes to `findings_dir`."""
        self._check, self._findings_dir = check, findings_dir
        self._started_s = self._told_s = time.monotonic()
        self._deadline_s = self._started_s + seconds
        self._kinds: set[str] = set()
        self._last_finding_s = self._started_s
        self.count = 0

    @property
    def is_over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self._deadline_s

    @property
    def found(self) -> int:
        """How many kinds of finding there are."""
        return len(self._kinds)

    def one(self, message: bytes) -> None:
        """Check one message."""
        self.count += 1
        for finding in self._check(message):
            self._last_finding_s = time.monotonic()
            kind = _NUMBERS.sub("N", finding)
            if kind not in self._kinds:
                self._kinds.add(kind)
                self._keep(message, finding, kind)
        if time.monotonic() - self._told_s > PROGRESS_EVERY_S:
            self._told_s = time.monotonic()
            self.tell()

    def tell(self) -> None:
        """How it goes, in one line."""
        now_s = time.monotonic()
        taken_s = now_s - self._started_s
        sys.stdout.write(
            f"{taken_s:6.0f} s of {self._deadline_s - self._started_s:.0f}: {self.count} messages, "
            f"{self.count / max(taken_s, 0.001):.0f}/s, kinds of finding: {self.found}, "
            f"none for {now_s - self._last_finding_s:.0f} s\n"
        )
        sys.stdout.flush()

    def _keep(self, message: bytes, finding: str, kind: str) -> None:
        self._findings_dir.mkdir(parents=True, exist_ok=True)
        file = self._findings_dir / f"{hashlib.sha256(kind.encode()).hexdigest()[:8]}.eml"
        file.write_bytes(message)
        sys.stdout.write(f"FOUND {finding}\n      kept as {file}\n")
        sys.stdout.flush()
