"""One `qscan up` per data directory."""

import fcntl
import os
import time

from qscan_cli.errors import CommandError
from qscan_cli.places import DataDirectory

WAIT_S = 12.0
"""Longer than a guardian may take to clear up after a `qscan up` that was killed."""
_PAUSE_S = 0.05


def lock(data: DataDirectory, *, wait_s: float = WAIT_S) -> int:
    """Lock the directory and return the descriptor that holds the lock; it ends with its last copy.

    A lock whose holder is gone is waited for: its guardian is clearing up.

    Raises:
        CommandError: another `qscan up` uses the directory.
    """
    descriptor = os.open(data.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    until = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(descriptor)
            if time.monotonic() > until or (holder is not None and _is_there(holder)):
                os.close(descriptor)
                message = (
                    f"{data.root} is in use by another qscan up{f' (pid {holder})' if holder else ''}: "
                    "stop that one, or choose another directory with --data"
                )
                raise CommandError(message, os.EX_TEMPFAIL) from None
            time.sleep(_PAUSE_S)
        else:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
            return descriptor


def _holder(descriptor: int) -> int | None:
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else None


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
