"""A recording qmail-queue: keeps every message that it is handed, as a folder below $QSCAN_RECORDER_DIR.

Run as a script in the place of qmail-queue, with its interface and exit codes. A folder ``TIME.PID`` holds the files
``message`` and ``envelope``; it gets its name after they are on disk, so what has a name without a dot is complete.
"""

import os
import sys
import time
from pathlib import Path

EXIT_WRITE = 53
EXIT_READ = 54
EXIT_HOME = 61
EXIT_BUG = 91


def read_to_end(descriptor: int) -> bytes:
    """Everything from a descriptor."""
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        return file.read()


def judge(envelope: bytes) -> int:
    """0, or the exit code of qmail-queue for an envelope that it would not take."""
    if not envelope.endswith(b"\0\0"):
        return EXIT_READ
    sender, *recipients = envelope[:-2].split(b"\0")
    return 0 if sender[:1] == b"F" and all(one[:1] == b"T" for one in recipients) else EXIT_BUG


def keep(folder: Path, message: bytes, envelope: bytes) -> None:
    """Write both to disk, then give the folder its name."""
    name = f"{time.time_ns()}.{os.getpid()}"
    unfinished = folder / f".{name}"
    unfinished.mkdir()
    for file, content in (("message", message), ("envelope", envelope)):
        with (unfinished / file).open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
    _sync(unfinished)
    unfinished.rename(folder / name)
    _sync(folder)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def main() -> int:
    """Take one message; the exit code is that of qmail-queue."""
    folder = Path(os.environ.get("QSCAN_RECORDER_DIR", ""))
    if not folder.is_absolute() or not folder.is_dir():
        return EXIT_HOME
    try:
        message, envelope = read_to_end(0), read_to_end(1)
    except OSError:
        return EXIT_READ
    wrong = judge(envelope)
    if wrong:
        return wrong
    try:
        keep(folder, message, envelope)
    except OSError:
        return EXIT_WRITE
    return 0


if __name__ == "__main__":
    sys.exit(main())
