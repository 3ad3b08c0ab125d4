"""A client's own record of what it sent and what it was told, by which qscan is judged.

Every line is on disk before what it announces happens (`sent`) or right after it happened (`answered`), so the record
also survives the end of the client.
"""

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self


class Kind(StrEnum):
    """What a message is meant to become."""

    CLEAN = "clean"
    VIRUS = "virus"
    POLICY = "policy"

    @property
    def has_payload(self) -> bool:
        """Whether it must never be delivered."""
        return self is not Kind.CLEAN


@dataclass(frozen=True)
class Sent:
    """A message that is about to be sent; `token` stands in the message and names it."""

    token: str
    kind: Kind
    size: int
    sha256: str


@dataclass(frozen=True)
class Answered:
    """What its sender was told.

    Attributes:
        exit_code: of the queue program; negative: the signal that ended it. None: no answer before the client gave up.
        text: as qmail's library renders it; empty for success.
        waited_s: from the envelope's end to the answer.
    """

    token: str
    exit_code: int | None
    text: str
    waited_s: float

    @property
    def accepted(self) -> bool:
        """Whether the sender was told that the message is now ours."""
        return self.exit_code == 0 and not self.text


class Journal:
    """The file; a context manager. May be used from many threads."""

    def __init__(self, path: Path) -> None:
        """Append to the file at `path`."""
        self._path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """It is open from the start."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        os.close(self._descriptor)

    def write(self, entry: Sent | Answered) -> None:
        """Add an entry; on return it is on disk."""
        line = json.dumps({"entry": type(entry).__name__, **asdict(entry)}) + "\n"
        with self._lock:
            os.write(self._descriptor, line.encode())
        os.fsync(self._descriptor)

    def entries(self) -> Iterator[Sent | Answered]:
        """Everything in the file so far, in order."""
        for line in self._path.read_text(encoding="utf-8").splitlines():
            values = json.loads(line)
            if values.pop("entry") == Sent.__name__:
                yield Sent(**values | {"kind": Kind(values["kind"])})
            else:
                yield Answered(**values)
