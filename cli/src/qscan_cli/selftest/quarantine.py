"""Looking for a message in the quarantine's maildirs."""

import time
from dataclasses import dataclass
from pathlib import Path

WAIT_S = 15.0
"""The archiver takes messages from the stream after the sender has had the answer."""
_POLL_S = 0.05


@dataclass(frozen=True)
class Quarantined:
    """A message in a maildir: which one (``viruses``, ``policy``, ``spam``) and its file."""

    maildir: str
    file: Path
    content: bytes


def find(quarantine: Path, message_id: str, *, wait_s: float = WAIT_S) -> Quarantined | None:
    """The file with this Message-ID in any of the maildirs, waited for; None when it does not come."""
    until = time.monotonic() + wait_s
    seen: set[Path] = set()
    while True:
        for folder in ("new", "cur"):
            for file in quarantine.glob(f"*/{folder}/*"):
                if file in seen:
                    continue
                seen.add(file)
                content = file.read_bytes()
                if message_id.encode("ascii") in content:
                    return Quarantined(file.parent.parent.name, file, content)
        if time.monotonic() > until:
            return None
        time.sleep(_POLL_S)
