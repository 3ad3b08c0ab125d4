"""Real children that crash, hang, lie and take all they can get: the message is answered, and nobody else waits."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.dissection.holding import FileContent, Holding, MemoryContent
from qscan_unpacker.opening.members import OpenRequest
from qscan_unpacker.sandbox.sandbox import OPENERS as OUR_OPENERS
from qscan_unpacker.sandbox.sandbox import Sandbox, SandboxError
from qscan_unpacker.sandbox.session import MAX_CHILDREN, MAX_LOG_LINES, Session
from qscan_unpacker.sandbox.wire import Begun, Done, Ended, Piece, Reply, Unopened

ROOT = Path(__file__).parents[3]
OPENERS = "services.unpacker.tests.sandbox_doubles:OPENERS"
CPU_S = 10.0
PATIENCE_S = 20.0
"""Longer than anything here takes on a busy machine, and shorter than pytest's own."""
FAILED, OVER_BUDGET = UnscannedReason.UNPACKER_FAILED, UnscannedReason.OVER_BUDGET
CONTENT = MemoryContent(b"content")


@pytest.fixture(autouse=True)
def _doubles_can_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def doubles(timeout_s: float = PATIENCE_S, openers: str = OPENERS, max_children: int = 8) -> Sandbox:
    """A sandbox that is not started."""
    return Sandbox(
        memory_bytes=400_000_000,
        max_children=max_children,
        opening_timeout_s=timeout_s,
        require_seccomp=True,
        openers=openers,
    )


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A sandbox with doubles for openers; nothing may be left of it."""
    descriptors = open_descriptors()
    with doubles() as started:
        yield started
        forkserver = pid_of(started)
        eventually(lambda: not children(forkserver), "children are left")
    assert not alive(forkserver)
    assert open_descriptors() == descriptors


def asking(kind: str, *, max_bytes: int = 100_000_000) -> OpenRequest:
    """A request for a double."""
    return OpenRequest(kind, (), max_members=1_000, max_member_bytes=max_bytes, max_bytes=max_bytes)


def opened(session: Session, kind: str, cpu_s: float = CPU_S) -> list[Reply]:
    """All replies about one container."""
    return list(session.open(CONTENT, asking(kind), cpu_s))


def fact(reply: Reply) -> str:
    """What a double tells."""
    assert isinstance(reply, Unopened)
    return reply.names[0]


def pid_of(sandbox: Sandbox) -> int:
    """The forkserver's, as readiness tells it."""
    return int(asyncio.run(sandbox.health()).detail.split("forkserver pid ")[1].split(",")[0])


def children(pid: int) -> list[int]:
    """Children of a process, zombies among them."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    """Whether there is such a process, other than as a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def open_descriptors() -> int:
    """How many there are in this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


def eventually(condition: Callable[[], bool], otherwise: str) -> None:
    """Wait until something is so."""
    until_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until_s, otherwise
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("double", "reason", "detail"),
    [
        ("abort", FAILED, "unpacker killed by SIGABRT"),
        ("leave", FAILED, "unpacker ended with status 0"),
        ("garbage", FAILED, "unpacker said nonsense"),
        ("huge_frame", FAILED, "unpacker said nonsense: length"),
        ("flood", FAILED, "unpacker said nonsense: too many members"),
        ("spin", OVER_BUDGET, "budget.seconds"),
    ],
)
def test_whatever_a_child_does_the_container_gets_its_end(
    sandbox: Sandbox, double: str, reason: UnscannedReason, detail: str
) -> None:
    """One `Done`, what came before it is kept, and the message's next container is opened by a fresh child."""
    with sandbox.session() as session:
        replies = opened(session, double, cpu_s=1)
        assert isinstance(replies[0], Unopened)
        assert [reply for reply in replies if isinstance(reply, Done)] == replies[-1:]
        done = replies[-1]
        assert isinstance(done, Done)
        assert done.reason is reason
        assert done.detail.startswith(detail)
        assert opened(session, "echo")[-1] == Done()


@pytest.mark.parametrize(
    ("double", "reason", "detail"),
    [
        ("crash", FAILED, "unpacker killed by SIGSEGV"),
        ("allocate", OVER_BUDGET, "budget.memory"),
        ("abort_without_memory", OVER_BUDGET, "budget.memory"),
        ("raises", FAILED, "KeyError"),
    ],
)
def test_an_open_member_gets_its_end_first(sandbox: Sandbox, double: str, reason: UnscannedReason, detail: str) -> None:
    """Begun, the bytes so far, and why there are no more of them."""
    with sandbox.session() as session:
        replies = opened(session, double)
    assert replies[0] == Begun(("a",))
    assert replies[-2] == Ended(reason, detail)
    done = replies[-1]
    assert isinstance(done, Done)
    assert (done.reason, done.detail) == (reason, detail)
    assert all(isinstance(reply, Piece) for reply in replies[1:-2])


def test_a_child_that_hangs_is_killed_in_time() -> None:
    """It uses no processor time, so the clock on the wall has to do it; the whole message has no more than that."""
    with doubles(timeout_s=2) as sandbox, sandbox.session() as session:
        told, done = opened(session, "hang")
        assert done == Done(FAILED, "opening took longer than allowed")
        assert not alive(int(fact(told)))
        assert opened(session, "echo") == [Done(FAILED, "opening took longer than allowed")]


def test_a_message_beside_does_not_wait(sandbox: Sandbox) -> None:
    """While one child hangs, one spins and one crashes, another message's container is opened."""
    with sandbox.session() as hanging, sandbox.session() as spinning, sandbox.session() as crashing:
        for session, double in ((hanging, "hang"), (spinning, "spin")):
            assert alive(int(fact(next(session.open(CONTENT, asking(double), CPU_S)))))
        assert opened(crashing, "crash")[-1] != Done()
        with sandbox.session() as beside:
            started_s = time.monotonic()
            assert opened(beside, "echo")[-1] == Done()
            assert time.monotonic() - started_s < 1


def test_no_more_children_than_there_is_room_for() -> None:
    """Memory is bounded for all messages together: a message that gets no turn in its time is unscanned."""
    with doubles(timeout_s=2, max_children=1) as sandbox, sandbox.session() as first, sandbox.session() as second:
        replies = first.open(CONTENT, asking("hang"), CPU_S)
        next(replies)
        assert opened(second, "echo") == [Done(FAILED, "too many messages are opened at a time")]


def test_a_message_waits_for_its_turn() -> None:
    """And goes on as soon as another one has come to its end, in whatever way."""
    answers: list[Reply] = []
    with doubles(max_children=1) as sandbox, sandbox.session() as first, sandbox.session() as second:
        for double in ("who", "abort", "echo"):
            opened(first, double)
        waiting = threading.Thread(target=lambda: answers.extend(opened(second, "echo")))
        waiting.start()
        assert not answers
        first.__exit__()
        waiting.join(PATIENCE_S)
    assert answers[-1] == Done()


def test_threads_of_the_service_live_on(sandbox: Sandbox) -> None:
    """Eight messages at a time that crash in turn with such as do not."""
    answers: list[tuple[str, Reply]] = []

    def scan(double: str) -> None:
        for _ in range(5):
            with sandbox.session() as session:
                answers.append((double, opened(session, double)[-1]))

    threads = [threading.Thread(target=scan, args=(double,)) for double in ("echo", "crash", "abort", "garbage") * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert len(answers) == 40
    for double, done in answers:
        assert isinstance(done, Done)
        assert (done.reason is None) == (double == "echo")


def test_one_child_serves_all_containers_of_a_message(sandbox: Sandbox) -> None:
    """Forked at the first one; gone at the end of the message."""
    with sandbox.session() as session:
        assert not children(pid_of(sandbox))
        pids = {fact(opened(session, "who")[0]) for _ in range(50)}
        assert len(pids) == 1
        assert children(pid_of(sandbox)) == [int(pids.pop())]
    assert not children(pid_of(sandbox))


def test_what_kills_four_children_gets_no_fifth(sandbox: Sandbox) -> None:
    """The rest of the message is unscanned at once."""
    with sandbox.session() as session:
        for _ in range(MAX_CHILDREN):
            assert len(opened(session, "abort")) == 2
        assert opened(session, "echo") == [Done(FAILED, f"{MAX_CHILDREN} unpackers died of this message")]


def test_the_log_says_it_a_few_times(sandbox: Sandbox) -> None:
    """By kind, size and place in the code; whoever sends many containers does not fill the log."""
    with capture_logs() as lines, sandbox.session() as session:
        for double in ("raises", "abort", *["raises"] * 20, *["abort"] * 20):
            opened(session, double)
    assert len(lines) == MAX_LOG_LINES
    assert lines[0]["event"] == "opener failed"
    assert "sandbox_doubles.py" in lines[0]["where"]
    assert (lines[1]["event"], lines[1]["detail"]) == ("container not opened", "unpacker killed by SIGABRT")
    assert "secret" not in str(lines)


def test_an_abandoned_iterator_ends_the_child(sandbox: Sandbox) -> None:
    """As when the message's budget ran out meanwhile; another container can be opened."""
    with sandbox.session() as session:
        replies = session.open(CONTENT, asking("endless_bytes", max_bytes=10**12), CPU_S)
        for _ in range(5):
            next(replies)
        (pid,) = children(pid_of(sandbox))
        del replies
        assert not alive(pid)
        assert fact(opened(session, "who")[0]) != str(pid)


def test_an_answer_that_was_sent_before_the_question_is_not_believed(sandbox: Sandbox) -> None:
    """A child that speaks out of turn is replaced before the next container."""
    with sandbox.session() as session:
        liar, done = opened(session, "answers_twice")
        assert done == Done()
        assert opened(session, "echo")[0] == Begun(("whole",))
        assert fact(opened(session, "who")[0]) != fact(liar)


def test_processor_time_is_counted_by_the_kernel(sandbox: Sandbox) -> None:
    """Of living children and of ended ones, so that the message's budget can be charged."""
    with sandbox.session() as session:
        assert session.cpu_s_used == 0
        opened(session, "half_a_second")
        assert 0.5 <= session.cpu_s_used < 1.5
        opened(session, "half_a_second")
        assert 1 <= session.cpu_s_used < 2.5
        opened(session, "abort")
        opened(session, "who")
        assert 1 < session.cpu_s_used < 3
        before_s = session.cpu_s_used
        opened(session, "spin", cpu_s=0.1)
        assert session.cpu_s_used >= before_s + 0.5


def test_a_child_gets_only_the_time_that_is_left(sandbox: Sandbox) -> None:
    """Processor time that other work of the message has used meanwhile is not the child's any more."""
    with sandbox.session() as session:
        pid = fact(opened(session, "who", cpu_s=60)[0])
        replies = opened(session, "spin", cpu_s=1)
        assert fact(replies[0]) == pid
        assert replies[-1] == Done(OVER_BUDGET, "budget.seconds")
        assert session.cpu_s_used < 10


def test_without_time_nothing_is_forked(sandbox: Sandbox) -> None:
    """The budget ran out before."""
    with sandbox.session() as session:
        assert opened(session, "echo", cpu_s=0) == [Done(OVER_BUDGET, "budget.seconds")]
        assert not children(pid_of(sandbox))


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 1_000_000, 9_000_001])
def test_content_of_any_size_arrives_whole(sandbox: Sandbox, tmp_path: Path, size: int) -> None:
    """From memory, and from the message's file at any place in it."""
    data = os.urandom(size)
    with Holding(tmp_path) as holding, sandbox.session() as session:
        holding.keep([bytes(300_007)])
        held, _ = holding.keep([data])
        assert isinstance(held, FileContent) == (size > 300_000)
        for content in (held, MemoryContent(memoryview(data))):
            replies = list(session.open(content, asking("echo"), CPU_S))
            assert b"".join(bytes(reply.data) for reply in replies if isinstance(reply, Piece)) == data
            assert replies[-2:] == [Ended(), Done()]


def test_a_forkserver_that_dies_is_started_anew(sandbox: Sandbox) -> None:
    """What was being opened is lost, its child does not live on, and the next message is scanned."""
    forkserver = pid_of(sandbox)
    with sandbox.session() as session:
        replies = session.open(CONTENT, asking("hang"), CPU_S)
        child = int(fact(next(replies)))
        os.kill(forkserver, signal.SIGKILL)
        assert list(replies) == [Done(FAILED, "unpacker and its forkserver have gone")]
        eventually(lambda: not alive(child), "the child outlives its forkserver")
        assert opened(session, "echo")[-1] == Done()
    assert pid_of(sandbox) != forkserver


def test_a_forkserver_that_hangs_does_not_hang_the_message() -> None:
    """A stopped forkserver forks nothing; the message is answered soon after its time is over."""
    with doubles(timeout_s=2) as sandbox:
        forkserver = pid_of(sandbox)
        os.kill(forkserver, signal.SIGSTOP)
        with sandbox.session() as session:
            assert opened(session, "echo") == [Done(FAILED, "opening took longer than allowed")]
        os.kill(forkserver, signal.SIGCONT)
        with sandbox.session() as another:
            assert opened(another, "echo")[-1] == Done()


def test_readiness_revives_the_forkserver(sandbox: Sandbox) -> None:
    """A service that is not ready gets no messages, so a message is not what it can wait for."""
    forkserver = pid_of(sandbox)
    os.kill(forkserver, signal.SIGKILL)
    eventually(lambda: not alive(forkserver), "SIGKILL kills")
    health = asyncio.run(sandbox.health())
    assert health.ok
    assert "seccomp on" in health.detail
    assert "starts 2" in health.detail


def test_after_the_stop_there_is_no_sandbox() -> None:
    """A message that comes too late is unscanned, and readiness says why."""
    sandbox = doubles()
    with sandbox:
        pass
    with sandbox.session() as session:
        assert opened(session, "echo") == [Done(FAILED, "stopped")]
    assert not asyncio.run(sandbox.health()).ok


def test_a_stop_takes_every_child_along() -> None:
    """Whatever they do at that moment."""
    with doubles() as sandbox, sandbox.session() as session:
        replies = session.open(CONTENT, asking("hang"), CPU_S)
        child = int(fact(next(replies)))
        sandbox.stop()
        assert not alive(child)
        assert list(replies) == [Done(FAILED, "unpacker and its forkserver have gone")]


SERVICE = """
import sys, time
from services.unpacker.tests.test_sandbox import CONTENT, CPU_S, asking, children, doubles, fact, pid_of
with doubles() as sandbox, sandbox.session() as hanging, sandbox.session() as idle:
    replies = hanging.open(CONTENT, asking("hang"), CPU_S)
    one = fact(next(replies))
    other = fact(list(idle.open(CONTENT, asking("who"), CPU_S))[0])
    print(pid_of(sandbox), one, other, flush=True)
    time.sleep(1_000)
"""


def test_nothing_outlives_a_service_that_is_killed() -> None:
    """SIGKILL leaves the service no moment; the forkserver and its children, at work or idle, go all the same."""
    service = subprocess.Popen([sys.executable, "-c", SERVICE], stdout=subprocess.PIPE, text=True)
    with service:
        assert service.stdout is not None
        pids = [int(pid) for pid in service.stdout.readline().split()]
        assert len(pids) == 3
        assert all(map(alive, pids))
        service.kill()
    eventually(lambda: not any(map(alive, pids)), "something outlives the service")


@pytest.mark.parametrize(
    ("openers", "text"),
    [
        ("no.such.module:OPENERS", "ModuleNotFoundError"),
        ("services.unpacker.tests.sandbox_doubles:NOT", "AttributeError"),
    ],
)
def test_what_cannot_start_says_why(openers: str, text: str) -> None:
    """And leaves nothing behind; messages are not kept waiting by one start after the other."""
    before = open_descriptors()
    sandbox = doubles(openers=openers)
    with pytest.raises(SandboxError, match=text):
        sandbox.start()
    with sandbox.session() as session:
        (done,) = opened(session, "echo")
    assert isinstance(done, Done)
    assert done.reason is FAILED
    assert open_descriptors() == before


def test_openers_that_start_threads_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork of a process with threads copies locks that nobody will ever release."""
    (tmp_path / "threaded.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\nOPENERS = {}\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    with pytest.raises(SandboxError, match="threads"):
        doubles(openers="threaded:OPENERS").start()


def test_our_own_openers_load() -> None:
    """The table of the service, in a real forkserver."""
    with doubles(openers=OUR_OPENERS) as sandbox:
        assert asyncio.run(sandbox.health()).ok
