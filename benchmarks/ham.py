"""The load: ordinary mail of shared/corpus, and what qscan scans of each."""

import tempfile
import time
from pathlib import Path

from qscan_unpacker.dissection.budget import Budget, Limits
from qscan_unpacker.dissection.dissector import Dissector
from qscan_unpacker.dissection.holding import Holding, content_of

CORPUS = Path(__file__).parents[2] / "shared" / "corpus" / "sa-corpus"


class NoCorpusError(Exception):
    """The corpus is not beside this checkout."""


def messages() -> list[bytes]:
    """All ham of the corpus, in order. Raises NoCorpusError."""
    found = sorted(path for folder in CORPUS.glob("*-ham-*") for path in folder.iterdir() if path.is_file())
    if not found:
        raise NoCorpusError(f"no messages in {CORPUS}: put the corpus there")
    return [path.read_bytes() for path in found]


def scanned_contents(message: bytes, *, raw: bool) -> list[bytes]:
    """What engines are given of a message: its parts, and the raw message with redundant scanning."""
    content, digest = content_of(message)
    with Holding(Path(tempfile.gettempdir())) as holding:
        dissector = Dissector(message, digest, holding, Budget(Limits(), time.thread_time), content)
        found = [one.content.read(0, one.content.size) for one in dissector.dissect().found]
    return found if raw or len(found) == 1 else found[1:]
