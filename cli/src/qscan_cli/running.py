"""What runs: the file that `qscan up` keeps in its data directory, for doctor, selftest, tests and people."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

FORMAT_VERSION = 1


@dataclass(frozen=True)
class RunningService:
    """One child. `pid` is None between two starts; `starts` counts them.

    `address` is where it does its work (``HOST:PORT``, URL or socket path), `health` the base URL of its ``/readyz``.
    """

    pid: int | None
    starts: int
    log: str
    address: str = ""
    health: str = ""


@dataclass(frozen=True)
class RunningSystem:
    """Everything that one `qscan up` runs."""

    pid: int
    guardian_pid: int
    data: str
    http: str
    ingress_socket: str
    signatures: str
    """Which signatures clamd uses, for people."""
    own_signatures: bool
    """Whether these are qscan's own, which know the EICAR test file only."""
    ready: bool = False
    services: dict[str, RunningService] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Replace the file at once, so that a reader never sees half of it."""
        unfinished = path.with_suffix(".new")
        unfinished.write_text(json.dumps({"version": FORMAT_VERSION} | asdict(self), indent=2) + "\n", encoding="utf-8")
        unfinished.chmod(0o644)
        unfinished.replace(path)

    @classmethod
    def read(cls, path: Path) -> "RunningSystem | None":
        """What the file says, or None when there is none or its `qscan up` is gone."""
        try:
            content = json.loads(path.read_bytes())
            if content.pop("version") != FORMAT_VERSION:
                return None
            services = {name: RunningService(**entry) for name, entry in content.pop("services").items()}
            system = cls(services=services, **content)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None
        return system if _is_there(system.pid) else None


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
