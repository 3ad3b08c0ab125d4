"""How children end, as an operator sees it: each end is counted once, under the name that says what to do."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from qscan_unpacker.dissection.holding import MemoryContent
from qscan_unpacker.opening.members import OpenRequest
from qscan_unpacker.sandbox.sandbox import Sandbox
from qscan_unpacker.sandbox.session import ChildEnd, Session
from qscan_unpacker.sandbox.wire import Reply, Unopened

ROOT = Path(__file__).parents[3]
CONTENT = MemoryContent(b"content")


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """With doubles for openers, and little patience."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    openers = "services.unpacker.tests.sandbox_doubles:OPENERS"
    with Sandbox(
        memory_bytes=400_000_000, max_children=2, opening_timeout_s=4, require_seccomp=True, openers=openers
    ) as started:
        yield started


def opening(session: Session, double: str) -> Iterator[Reply]:
    """Replies about one container."""
    request = OpenRequest(double, (), max_members=1_000, max_member_bytes=10**8, max_bytes=10**8)
    return session.open(CONTENT, request, 1)


def counted() -> dict[str, float]:
    """How many children have ended in which way so far, and how many there are."""
    ends = {end.value: REGISTRY.get_sample_value("qscan_sandbox_children_total", {"end": end}) or 0 for end in ChildEnd}
    return ends | {"living": REGISTRY.get_sample_value("qscan_sandbox_children_living") or 0}


def grown_since(before: dict[str, float]) -> dict[str, float]:
    """What has been counted since then."""
    return {name: count - before[name] for name, count in counted().items() if count != before[name]}


@pytest.mark.parametrize(
    ("double", "end"),
    [
        ("echo", ChildEnd.DONE),
        ("raises", ChildEnd.DONE),
        ("crash", ChildEnd.CRASHED),
        ("abort_without_memory", ChildEnd.MEMORY),
        ("leave", ChildEnd.LEFT),
        ("garbage", ChildEnd.NONSENSE),
        ("answers_twice", ChildEnd.NONSENSE),
        ("spin", ChildEnd.PROCESSOR_TIME),
        ("hang", ChildEnd.TOOK_TOO_LONG),
    ],
)
def test_an_end_is_counted_once(sandbox: Sandbox, double: str, end: ChildEnd) -> None:
    """At the next container of the message at the latest, or at the message's end; then nobody lives any more."""
    before = counted()
    with sandbox.session() as session:
        list(opening(session, double))
        if double == "answers_twice":
            assert grown_since(before) == {"living": 1}
            list(opening(session, "echo"))
            assert grown_since(before) == {end: 1, "living": 1}
    assert grown_since(before) == ({end: 1} if double != "answers_twice" else {end: 1, ChildEnd.DONE: 1})


def test_who_killed_it(sandbox: Sandbox) -> None:
    """The kernel or a person, the forkserver's end, or we: three different things to look at."""
    before = counted()
    with sandbox.session() as stopped, sandbox.session() as killed:
        replies = opening(stopped, "hang")
        next(replies)
        del replies
        victim = opening(killed, "hang")
        told = next(victim)
        assert isinstance(told, Unopened)
        os.kill(int(told.names[0]), signal.SIGKILL)
        list(victim)
    with sandbox.session() as orphaned:
        victim = opening(orphaned, "hang")
        told = next(victim)
        assert isinstance(told, Unopened)
        parent = Path(f"/proc/{told.names[0]}/stat").read_text().rpartition(")")[2].split()[1]
        os.kill(int(parent), signal.SIGKILL)
        list(victim)
    assert grown_since(before) == {ChildEnd.STOPPED: 1, ChildEnd.KILLED: 1, ChildEnd.NO_FORKSERVER: 1}
