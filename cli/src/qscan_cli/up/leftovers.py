"""What an earlier `qscan up` has left behind, if both it and its guardian were killed at the same moment."""

import os
from contextlib import suppress
from pathlib import Path

from qscan_cli.places import DataDirectory
from qscan_cli.up import guardian
from qscan_cli.up.minimal import MARK


def kill_leftovers(data: DataDirectory) -> bool:
    """Kill all process groups that were started for this directory; True if there were some. For who holds its lock."""
    mark = f"{MARK}={data.root}".encode()
    groups: set[int] = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            # Somebody else's, or gone in the meantime.
            with suppress(OSError):
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    groups.add(os.getpgid(int(entry.name)))
    groups.discard(os.getpgrp())
    return bool(groups) and guardian.kill_until_gone(groups)
