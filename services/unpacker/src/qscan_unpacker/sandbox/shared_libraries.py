"""The system's shared libraries that the sandbox stands on: what pip cannot install."""

import ctypes
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True)
class SharedLibrary:
    """One of them, such as ``libarchive.so.13``; `package` is Debian's."""

    file: str
    package: str


def needed() -> tuple[SharedLibrary, ...]:
    """All of them, by the list that set-up and image go by, too."""
    lines = files(__package__).joinpath("shared_libraries.txt").read_text("utf-8").splitlines()
    return tuple(SharedLibrary(*line.split()) for line in lines if not line.startswith("#"))


def missing() -> tuple[SharedLibrary, ...]:
    """Those that cannot be loaded on this machine."""
    return tuple(library for library in needed() if not _loads(library.file))


def _loads(file: str) -> bool:
    try:
        ctypes.CDLL(file)
    except OSError:
        return False
    return True
