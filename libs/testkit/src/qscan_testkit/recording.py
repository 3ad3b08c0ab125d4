"""A recording qmail-queue: stands in for the real one and keeps every message it is handed."""

import shutil
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from qscan_testkit.compiling import compile_c

_SOURCE = Path(__file__).with_name("recording_qmail_queue.c")


@dataclass(frozen=True)
class RecordedMessage:
    """One message that was handed over, as bytes, and what the program was started with.

    `facts` maps names such as ``argc``, ``cwd``, ``fds`` (numbers, blank-separated), ``uid``,
    ``alarm_s`` to text; `environ` is the whole environment.
    """

    name: str
    message: bytes
    envelope: bytes
    facts: dict[str, str]
    environ: dict[str, str]

    @property
    def mail_from(self) -> bytes:
        """The sender in the envelope."""
        return self.envelope.split(b"\0", 1)[0][1:]

    @property
    def rcpt_to(self) -> tuple[bytes, ...]:
        """The recipients in the envelope, in order."""
        return tuple(entry[1:] for entry in self.envelope.split(b"\0")[1:] if entry)


@dataclass(frozen=True)
class RecordingQmailQueue:
    """The program and the folder that it writes to.

    Give `environment` to whoever starts qscan-queue, so that it reaches the program through the
    exec.
    """

    program: Path
    directory: Path
    fsync: bool = True

    @classmethod
    def build(cls, directory: Path, *, programs: Path, fsync: bool = True) -> "RecordingQmailQueue":
        """Compile it into the folder `programs`, to record into `directory` (made if missing).

        `directory` is made writable for everybody: qmail-queue runs as whoever runs its caller
        here.
        """
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o777)
        return cls(compile_c(_SOURCE, programs), directory, fsync)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make qscan-queue execute it and make it record."""
        return {
            "QSCAN_QMAIL_QUEUE": str(self.program),
            "QSCAN_RECORDER_DIR": str(self.directory),
            "QSCAN_RECORDER_FSYNC": "1" if self.fsync else "0",
        }

    def messages(self, *, skipping: Container[str] = ()) -> list[RecordedMessage]:
        """What was recorded so far, oldest first, without unfinished ones (leading dot) and the names in `skipping`."""
        folders = [
            entry for entry in self.directory.iterdir() if not entry.name.startswith(".") and entry.name not in skipping
        ]
        return [_read(folder) for folder in sorted(folders, key=_age)]

    def clear(self) -> None:
        """Forget them all."""
        for entry in self.directory.iterdir():
            shutil.rmtree(entry)

    def count(self) -> int:
        """How many messages were recorded so far."""
        return sum(1 for entry in self.directory.iterdir() if not entry.name.startswith("."))


def _age(folder: Path) -> tuple[int, int]:
    nanoseconds, pid = folder.name.split(".")
    return int(nanoseconds), int(pid)


def _read(folder: Path) -> RecordedMessage:
    text = (folder / "facts").read_bytes().decode("utf-8", errors="surrogateescape")
    entries = [entry.partition(" ") for entry in text.split("\0") if entry]
    variables = [value.partition("=") for name, _, value in entries if name == "env"]
    return RecordedMessage(
        name=folder.name,
        message=(folder / "message").read_bytes(),
        envelope=(folder / "envelope").read_bytes(),
        facts={name: value for name, _, value in entries if name != "env"},
        environ={name: value for name, _, value in variables},
    )
