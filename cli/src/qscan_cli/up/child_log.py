"""The file that a child's words go to: bounded, and readable while the child writes."""

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

_COPY_BYTES = 1024 * 1024
_TAIL_BYTES = 4096


class ChildLog:
    """A log file that the child itself appends to.

    It is no pipe, so that a `qscan up` that is busy or stopped never holds up a service. One old file is kept, as
    ``NAME.log.1``.
    """

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        """Begin a new file at `path`; an existing one becomes the old one."""
        self.path, self._max_bytes = path, max_bytes
        self._start_offset = 0
        if path.exists():
            path.replace(self._old)

    @property
    def _old(self) -> Path:
        return self.path.with_name(f"{self.path.name}.1")

    def open(self) -> BinaryIO:
        """Open it for a child."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        return os.fdopen(descriptor, "wb", buffering=0)

    def begin(self, name: str, start: int) -> None:
        """Mark a start in the file."""
        with self.open() as file:
            file.write(
                f"--- {datetime.now(tz=UTC):%Y-%m-%dT%H:%M:%SZ} qscan up starts {name} (start {start})\n".encode()
            )
            self._start_offset = file.tell()

    def bound(self) -> None:
        """Copy it away and empty it when it has grown too large; what is written in between may be lost."""
        if self.path.exists() and self.path.stat().st_size > self._max_bytes:
            shutil.copyfile(self.path, self._old)
            os.truncate(self.path, 0)
            self._start_offset = 0

    def last_words(self, lines: int = 5) -> str:
        """The last lines since the last start."""
        with self.path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(min(self._start_offset, size), size - _TAIL_BYTES))
            text = file.read().decode("utf-8", errors="replace")
        return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])
