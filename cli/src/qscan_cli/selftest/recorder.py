"""The recorder: where delivered test messages go instead of into the mail system, and how to read them back."""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from qscan_cli.selftest import recording


@dataclass(frozen=True)
class Recorder:
    """A folder with recorded messages, one folder each."""

    folder: Path

    def environment(self, program: Path) -> dict[str, str]:
        """What makes qscan-queue execute `program`, and that one write to the folder."""
        return {"QSCAN_QMAIL_QUEUE": str(program), "QSCAN_RECORDER_DIR": str(self.folder)}

    def find(self, message_id: str) -> bytes | None:
        """The recorded message with this Message-ID."""
        for entry in self.folder.iterdir():
            if not entry.name.startswith("."):
                message = (entry / "message").read_bytes()
                if message_id.encode("ascii") in message:
                    return message
        return None


def write_program(folder: Path) -> Path:
    """Write a program that records, to be executed in the place of qmail-queue; returns its path."""
    program = folder / ".recording-qmail-queue"
    # A shell in between, because a path with a blank cannot stand after #!.
    script = shlex.join([sys.executable, "-I", "-S", str(Path(recording.__file__))])
    program.write_text(f"#!/bin/sh\nexec {script}\n", encoding="utf-8")
    program.chmod(0o755)
    return program
