"""Folders of tests that another account must get through."""

import os
from pathlib import Path

_THROUGH = 0o111


def let_others_through(folder: Path) -> None:
    """Let every account pass `folder` and our own folders above it; they still cannot be listed.

    Call it right before it is needed: every pytest that starts closes the folder that all its runs share.
    """
    for each in (folder, *folder.parents):
        status = each.stat()
        if status.st_uid == os.geteuid() and status.st_mode & _THROUGH != _THROUGH:
            each.chmod(status.st_mode | _THROUGH)
