"""The guardian: kills whatever `qscan up` leaves behind when it is itself killed.

`qscan up` starts this file as a script, with the reading end of a pipe as standard input. Each child writes
``+PGID`` into the pipe before it becomes its program, and `qscan up` writes ``-PGID`` after the last process of that
group is gone. Nobody else holds the writing end, so the pipe ends exactly when `qscan up` does, however that happens.
The guardian also holds the lock of the data directory, so the next `qscan up` waits until nobody uses it any more.

Only the standard library, and as little of it as possible: it lives as long as the system and should cost nothing.
"""

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

LONGEST_WAIT_S = 10.0
_PAUSE_S = 0.02


def living(groups: set[int]) -> set[int]:
    """The pids of all processes in these process groups that are not zombies.

    (A zombie that nobody reaps, as in a container without an init, does nothing any more.)
    """
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            # The name, in parentheses, may hold anything; state, parent and group come after its end.
            state, _, group = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[:3]
            if int(group) in groups and state not in "ZX":
                found.add(int(entry.name))
    return found


def kill_groups(groups: set[int]) -> None:
    """SIGKILL to all of them."""
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


def kill_until_gone(groups: set[int]) -> bool:
    """Kill the groups again and again until nobody is left in them; False when that takes too long."""
    until = time.monotonic() + LONGEST_WAIT_S
    while True:
        kill_groups(groups)
        if not living(groups):
            return True
        if time.monotonic() > until:
            return False
        time.sleep(_PAUSE_S)


def watch(pipe: int) -> set[int]:
    """Follow the registrations until the pipe ends; return the groups that are still registered."""
    groups: set[int] = set()
    with os.fdopen(pipe, "rb") as lines:
        for line in lines:
            number = int(line[1:])
            if line[:1] == b"+":
                groups.add(number)
            else:
                groups.discard(number)
    return groups


def main() -> int:
    """Wait for the end of `qscan up`, then see to it that nothing of it is left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)
    return 0 if kill_until_gone(watch(sys.stdin.fileno())) else 1


if __name__ == "__main__":
    sys.exit(main())
