"""Fuzzing of what opens containers: mutated archives and documents through the real sandbox.

Whatever a container is, the dissection ends and keeps the invariant, and the service lives. A parser that gives up in a
way that nobody thought of is caught by the sandbox, and the message is deferred; so that counts as a finding as well:
the same file would come again and again.
"""

import hashlib
import tempfile
import time
import traceback
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from qscan_contracts.ids import Sha256
from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.dissection.budget import Budget, Limits
from qscan_unpacker.dissection.dissector import Dissector
from qscan_unpacker.dissection.holding import HeldContent, Holding, MemoryContent
from qscan_unpacker.opening.kinds import recognise
from qscan_unpacker.opening.members import OpenRequest
from qscan_unpacker.sandbox.sandbox import Sandbox
from qscan_unpacker.sandbox.session import Session
from qscan_unpacker.sandbox.wire import Done, Reply
from tests.corpus.bombs.messages import attached
from tests.corpus.fuzzing.containers import small_containers
from tests.corpus.fuzzing.invariant import breaches
from tests.corpus.fuzzing.run import Check
from tests.corpus.fuzzing.seeds import CORPUS

LIMITS = Limits(max_dissection_s=5.0, max_decoded_bytes=100_000_000)
_MEMORY_BYTES = 512 * 1024 * 1024
_OPENING_TIMEOUT_S = 15.0
_MAX_SEED_BYTES = 65_536
_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF)


class _Listening:
    """A session that remembers how each container ended."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.ended: list[Done] = []

    @property
    def cpu_s_used(self) -> float:
        return self._session.cpu_s_used

    def open(self, content: HeldContent, request: OpenRequest, cpu_s: float) -> Generator[Reply]:
        for reply in self._session.open(content, request, cpu_s):
            if isinstance(reply, Done):
                self.ended.append(reply)
            yield reply


@contextmanager
def checking() -> Iterator[Check]:
    """The check of one container, as long as the sandbox runs."""
    with Sandbox(
        memory_bytes=_MEMORY_BYTES, max_children=1, opening_timeout_s=_OPENING_TIMEOUT_S, require_seccomp=False
    ) as sandbox:
        yield lambda content: findings(attached(content), sandbox)


def findings(message: bytes, sandbox: Sandbox) -> list[str]:
    """What is wrong with how the containers of a message are opened."""
    digest = Sha256(hashlib.sha256(message).hexdigest())
    with Holding(Path(tempfile.gettempdir())) as holding, sandbox.session() as session:
        listening = _Listening(session)
        budget = Budget(LIMITS, time.thread_time)
        dissector = Dissector(message, digest, holding, budget, MemoryContent(message))
        try:
            dissection = dissector.dissect()
            if dissector.has_containers:
                dissector.open_containers(listening)
        except Exception as error:  # lint: allow-broad-except because whatever is raised is a finding
            where = traceback.extract_tb(error.__traceback__)[-1]
            return [f"{type(error).__name__} in {Path(where.filename).name}:{where.lineno}: {error}"]
        found = breaches(dissection, message, max_depth=LIMITS.max_depth, max_components=LIMITS.max_components)
    found += [
        f"{done.detail} in {done.where or 'the sandbox'}"
        for done in listening.ended
        if done.reason is UnscannedReason.UNPACKER_FAILED
    ]
    return found


def container_seeds() -> list[bytes]:
    """Containers that can be written here, and those in the messages of the corpus."""
    files = sorted(CORPUS.rglob("*")) if CORPUS.is_dir() else []
    stored = [content for file in files if file.suffix == ".eml" for content in _containers_of(file.read_bytes())]
    return list(dict.fromkeys([*small_containers().values(), *stored]))


def _containers_of(message: bytes) -> list[bytes]:
    digest = Sha256(hashlib.sha256(message).hexdigest())
    with Holding(Path(tempfile.gettempdir())) as holding:
        dissection = Dissector(message, digest, holding, Budget(LIMITS, lambda: 0.0), MemoryContent(message)).dissect()
        return [
            one.content.read(0, one.content.size)
            for one in dissection.found[1:]
            if one.content.size <= _MAX_SEED_BYTES
            and recognise(one.content.view(), declared="", names=[name.text for name in one.component.names])
        ]


def mutated_container(content: bytes, others: list[bytes], chance: Random) -> bytes:
    """Bytes and numbers changed, stretches moved, two containers joined."""
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        kind, at = chance.randrange(7), chance.randrange(len(changed) + 1)
        size = chance.choice((1, 2, 4, 8, 32, 512))
        if kind == 0:
            changed[at : at + 1] = bytes([chance.randrange(256)])
        elif kind == 1:
            width = chance.choice((1, 2, 4, 8))
            changed[at : at + width] = bytes([chance.choice(_NUMBERS)]) * width
        elif kind == 2:  # one of seven
            del changed[at : at + size]
        elif kind == 3:
            start = chance.randrange(len(changed) + 1)
            changed[at:at] = changed[start : start + size]
        elif kind == 4:
            other = chance.choice(others)
            start = chance.randrange(len(other) + 1)
            changed[at:at] = other[start : start + size]
        elif kind == 5:
            changed += chance.choice(others)
        else:
            del changed[at:]
    return bytes(changed)
