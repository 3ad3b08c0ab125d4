"""Which notices were sent: one empty file for each, named by the scan id, kept for a day."""

import os
import time
from pathlib import Path

FOLDER_MODE = 0o700
FILE_MODE = 0o600


class SentNotices:
    """The folder. All calls block; the names are checked by whoever makes them."""

    def __init__(self, folder: Path) -> None:
        """The folder at `folder`; nothing is made before `make`."""
        self._folder = folder

    def make(self) -> None:
        """Make it if missing. Raises OSError."""
        self._folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)

    def holds(self, scan_id: str) -> bool:
        """Whether the notice about this message was sent. Raises OSError."""
        return (self._folder / scan_id).exists()

    def add(self, scan_id: str) -> None:
        """Remember, durably, that it was sent. Raises OSError."""
        descriptor = os.open(self._folder / scan_id, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def times_s(self) -> list[float]:
        """When those that are remembered were sent, in seconds since the epoch. Raises OSError."""
        with os.scandir(self._folder) as entries:
            return [entry.stat(follow_symlinks=False).st_mtime for entry in entries]

    def forget(self, older_than_s: float) -> int:
        """Forget old ones; how many. Raises OSError."""
        oldest = time.time() - older_than_s
        forgotten = 0
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.stat(follow_symlinks=False).st_mtime < oldest:
                    Path(entry.path).unlink(missing_ok=True)
                    forgotten += 1
        return forgotten

    def probe(self) -> None:
        """Write something. Raises OSError when that fails."""
        path = self._folder / ".probe"
        path.touch(mode=FILE_MODE)
        path.unlink(missing_ok=True)
