"""The environment of children: what they need, and nothing of whoever started `qscan up`."""

import os
import pwd
from collections.abc import Iterable
from pathlib import Path

from qscan_cli.places import DataDirectory

_KEPT = ("TZ", "TMPDIR", "LD_LIBRARY_PATH")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


MARK = "QSCAN_UP"
"""Names the data directory in the environment of everything that `qscan up` starts."""


def minimal_environment(data: DataDirectory, passed: Iterable[str] = ()) -> dict[str, str]:
    """PATH and language are fixed, so that the same configuration does the same everywhere; `passed` names more."""
    kept = {name: os.environ[name] for name in (*_KEPT, *passed) if name in os.environ}
    return {"PATH": _PATH, "LANG": "C.UTF-8", MARK: str(data.root)} | kept


def account(*names: str) -> pwd.struct_passwd | None:
    """The first of these accounts that exists."""
    for name in names:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None


def own_folder(path: Path, owner: pwd.struct_passwd | None) -> Path:
    """A folder that belongs to `owner` (None: to us) and is closed to others; returns it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if owner is not None:
        os.chown(path, owner.pw_uid, owner.pw_gid)
    return path
