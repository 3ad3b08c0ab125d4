"""The system's shared libraries that the sandbox stands on: what pip cannot install."""

import ctypes
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True)
class SharedLibrary:
    """One of them, such as ``libarchive.so.13``; `package` is Debian's."""

    file: str
    package: str

    @property
    def name(self) -> str:
        """``libarchive``."""
        return self.file.partition(".")[0]

    def loads(self) -> bool:
        """Whether it can be loaded on this machine."""
        try:
            ctypes.CDLL(self.file)
        except OSError:
            return False
        return True


def needed() -> tuple[SharedLibrary, ...]:
    """All of them, by the list that set-up and image go by, too."""
    lines = files(__package__).joinpath("shared_libraries.txt").read_text("utf-8").splitlines()
    return tuple(SharedLibrary(*line.split()) for line in lines if not line.startswith("#"))


def missing() -> tuple[SharedLibrary, ...]:
    """Those that cannot be loaded on this machine."""
    return tuple(library for library in needed() if not library.loads())
