"""What a bomb costs: processor time, memory, and what is said of it in the end."""

import hashlib
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from qscan_contracts.ids import Sha256
from qscan_contracts.reports import Unscanned
from qscan_unpacker.dissection.budget import Budget, Limits
from qscan_unpacker.dissection.dissector import Dissector
from qscan_unpacker.dissection.holding import Holding, MemoryContent
from qscan_unpacker.sandbox.sandbox import Sandbox
from tests.corpus.fuzzing.invariant import breaches

_MEMORY_BYTES = 512 * 1024 * 1024
_OPENING_TIMEOUT_S = 30.0
_SAMPLE_S = 0.01


@dataclass(frozen=True)
class Cost:
    """What it took.

    Attributes:
        cpu_s: of processor time, in the service and in the sandbox.
        resident_bytes: by how much the resident memory of this process grew at most; files that are mapped count, too.
        sandbox_bytes: the largest resident memory of a child of the sandbox, as far as it was seen.
        components: how many there are, the raw message included.
        decoded_bytes: of all of them, which are in memory or in the spool.
        said: ids of defects, reasons and details of reports.
        breaches: of the invariant.
    """

    cpu_s: float
    resident_bytes: int
    sandbox_bytes: int
    components: int
    decoded_bytes: int
    said: frozenset[str]
    breaches: tuple[str, ...]


@contextmanager
def sandbox() -> Iterator[Sandbox]:
    """As the service has it, but for the seccomp filter, which is not everywhere."""
    with Sandbox(
        memory_bytes=_MEMORY_BYTES, max_children=1, opening_timeout_s=_OPENING_TIMEOUT_S, require_seccomp=False
    ) as running:
        yield running


def cost(message: bytes, opening: Sandbox, limits: Limits | None = None) -> Cost:
    """Dissect `message` with the limits that are shipped, or others. Raises what the dissector raises: a bug."""
    limits = limits or Limits()
    digest = Sha256(hashlib.sha256(message).hexdigest())
    before = _restarted_peak()
    started_s = time.thread_time()
    with Holding(Path(tempfile.gettempdir())) as holding, _watching_children() as seen:
        dissector = Dissector(message, digest, holding, Budget(limits, time.thread_time), MemoryContent(message))
        dissection = dissector.dissect()
        with opening.session() as session:
            if dissector.has_containers:
                dissector.open_containers(session)
            cpu_s = time.thread_time() - started_s + session.cpu_s_used
        resident = _status_bytes("self", "VmHWM") - before
        outcomes = [report.outcome for report in dissection.reports if isinstance(report.outcome, Unscanned)]
        return Cost(
            cpu_s,
            resident,
            max(seen, default=0),
            len(dissection.components()),
            sum(one.content.size for one in dissection.found[1:]),
            frozenset(
                [str(defect.id) for defect in dissection.defects]
                + [str(outcome.reason) for outcome in outcomes]
                + [outcome.detail for outcome in outcomes]
            ),
            tuple(breaches(dissection, message, max_depth=limits.max_depth, max_components=limits.max_components)),
        )


def _restarted_peak() -> int:
    """The resident memory now, from which on the kernel keeps its peak (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5", "ascii")
    return _status_bytes("self", "VmHWM")


def _status_bytes(process: str, key: str) -> int:
    for line in Path(f"/proc/{process}/status").read_text("ascii", "replace").splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return int(value.split()[0]) * 1024
    return 0


@contextmanager
def _watching_children() -> Iterator[list[int]]:
    """The peaks of resident memory of grandchildren, as they are seen: the sandbox forks at a child of this process."""
    peaks: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_SAMPLE_S):
            for process in [grandchild for child in _children("self") for grandchild in _children(child)]:
                try:
                    peaks.append(_status_bytes(process, "VmHWM"))
                except (FileNotFoundError, ProcessLookupError):
                    continue

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peaks
    finally:
        over.set()
        thread.join()


def _children(process: str) -> list[str]:
    try:
        return [
            child
            for task in Path(f"/proc/{process}/task").iterdir()
            for child in (task / "children").read_text("ascii").split()
        ]
    except (FileNotFoundError, ProcessLookupError):
        return []
