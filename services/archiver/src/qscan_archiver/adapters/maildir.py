"""A maildir that survives the loss of power: files and folders are synced, names are final and never reused."""

import os
import secrets
import time
from pathlib import Path
from typing import BinaryIO

FOLDERS = ("tmp", "new", "cur")
FOLDER_MODE = 0o700
FILE_MODE = 0o600
_INFO = ":2,"
"""What mail readers append to the name of a file in ``cur``, followed by flags."""


class Maildir:
    """One maildir. All calls block; the names are checked by whoever makes them."""

    def __init__(self, root: Path) -> None:
        """The maildir at `root`; nothing is made before `make`."""
        self.root = root

    def make(self) -> None:
        """Make what is missing, durably. Raises OSError."""
        self.root.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        for name in FOLDERS:
            (self.root / name).mkdir(mode=FOLDER_MODE, exist_ok=True)
        for folder in (self.root, self.root.parent):
            _sync(folder)

    def holds(self, name: str) -> bool:
        """Whether a message of this name has arrived, also one that somebody has looked at since. Raises OSError."""
        if (self.root / "new" / name).exists() or (self.root / "cur" / name).exists():
            return True
        with os.scandir(self.root / "cur") as entries:
            return any(entry.name.startswith(f"{name}{_INFO}") for entry in entries)

    def create(self, name: str) -> tuple[Path, BinaryIO]:
        """A new file in ``tmp`` to write a message into. Raises OSError."""
        path = self.root / "tmp" / f"{name}.{os.getpid()}.{secrets.token_hex(4)}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
        return path, os.fdopen(descriptor, "wb")

    def move_to_new(self, path: Path, name: str) -> None:
        """Let a file from ``tmp``, written and synced, arrive as `name`; `sync` makes it last. Raises OSError."""
        path.rename(self.root / "new" / name)

    def sync(self) -> None:
        """Make the arrivals so far survive the loss of power. Raises OSError."""
        _sync(self.root / "new")

    def remove_stale(self, older_than_s: float) -> int:
        """Remove what crashes have left in ``tmp``; how many files that were. Raises OSError."""
        oldest = time.time() - older_than_s
        removed = 0
        with os.scandir(self.root / "tmp") as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_mtime < oldest:
                    Path(entry.path).unlink(missing_ok=True)
                    removed += 1
        return removed

    def free_bytes(self) -> int:
        """What may still be written to the file system. Raises OSError."""
        state = os.statvfs(self.root)
        return state.f_bavail * state.f_frsize

    def probe(self) -> None:
        """Write something, as a message would be. Raises OSError when that fails."""
        path, file = self.create("probe")
        try:
            with file:
                file.write(b"\n")
        finally:
            path.unlink(missing_ok=True)


def write_out(file: BinaryIO) -> None:
    """Put everything that was written to a file on the disk, and close it. Raises OSError."""
    with file:
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
