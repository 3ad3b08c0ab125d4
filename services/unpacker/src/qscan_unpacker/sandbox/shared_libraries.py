"""The system's shared libraries that the sandbox stands on: what pip cannot install."""

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
