"""Each state of a message from the connection to the answer: whoever holds it is killed. docs/states.md has the rows.

What is after the hand-off (D…) has its tests beside archiver and notifier.
"""

import http.client
import json
import os
import random
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from qscan_testkit.journal import Kind
from qscan_testkit.mail_load import envelope_of, message
from qscan_testkit.polling import poll_until
from qscan_testkit.qmail_callers import QmailCaller, QueueCall
from qscan_testkit.running_system import FORKSERVER, RunningSystem, Signalled

MakeSystem = Callable[..., RunningSystem]

SMALL, LARGE = 2_000, 3_000_000
UNREACHABLE = "Zmail scanner cannot be reached, please try again later (#4.4.2)"
NO_ANSWER = "Zmail scanner gave no answer, please try again later (#4.3.0)"
NOT_AVAILABLE = "Zmail scanner is not available, please try again later (#4.3.0)"
NOT_OPENED = "Zmessage could not be taken apart (#4.3.0)"
NOT_STORED = "Zmessage could not be stored now, try again later (#4.3.0)"
CRASHED = "Zqq crashed (#4.3.0)"
CALLER_TIMEOUT_S = 60.0
"""Above the deadline of these systems and 15 s."""
LONGEST_HANG_S = 60
STORE_DISK_BYTES = 48_000_000
SETTLE_TIMEOUT_S = 40.0
"""An event that was delivered to an archiver that died comes again after 15 s."""

pytestmark = pytest.mark.timeout(120)


class StoreDisk:
    """A disk of its own under NATS that can be made to hang."""

    def __init__(self, image: Path, path: Path) -> None:
        """Mount it at `path`. Raises subprocess.CalledProcessError where that is not allowed."""
        self._path = path
        path.mkdir(parents=True, exist_ok=True)
        with image.open("wb") as file:
            file.truncate(STORE_DISK_BYTES)
        for command in (["mkfs.ext4", "-q", "-F", str(image)], ["mount", "-o", "loop", str(image), str(path)]):
            subprocess.run(command, check=True, capture_output=True)

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Whoever writes waits until the end of the block."""
        # Nobody can end a process that waits for a frozen disk, so somebody else thaws it if this one is killed.
        thaw = ["fsfreeze", "--unfreeze", str(self._path)]
        subprocess.run(["fsfreeze", "--freeze", str(self._path)], check=True, capture_output=True)
        watchdog = subprocess.Popen(
            ["/bin/sh", "-c", f'sleep {LONGEST_HANG_S}; exec "$@"', "sh", *thaw], process_group=0
        )
        try:
            yield
        finally:
            subprocess.run(thaw, check=True, capture_output=True)
            os.killpg(watchdog.pid, signal.SIGKILL)
            watchdog.wait()

    def unmount(self) -> None:
        """At the end of the tests."""
        subprocess.run(["umount", "--lazy", str(self._path)], check=False)


@dataclass(frozen=True)
class Running:
    """The system of these tests; `store` is None where no disk can be mounted."""

    system: RunningSystem
    store: StoreDisk | None


@pytest.fixture(scope="module")
def running(make_system: MakeSystem) -> Iterator[Running]:
    """One system for all tests here."""
    system = make_system({"up": {"restart_delay_s": 0.1, "restart_delay_max_s": 0.5}})
    store = None
    with ExitStack() as stack:
        with suppress(subprocess.CalledProcessError, FileNotFoundError):
            store = StoreDisk(system.directory / "store.img", system.data / "nats")
            stack.callback(store.unmount)
        stack.enter_context(system)
        yield Running(system, store)


@pytest.fixture
def system(running: Running) -> RunningSystem:
    """The system, with all of it ready."""
    running.system.await_ready()
    return running.system


@dataclass(frozen=True)
class Mail:
    """One message that is made to stop in a certain state."""

    system: RunningSystem
    kind: Kind
    token: str
    content: bytes

    @classmethod
    def new(
        cls, system: RunningSystem, kind: Kind = Kind.CLEAN, size: int = SMALL, *, in_archive: bool = False
    ) -> "Mail":
        """A message that there was none like before."""
        token = os.urandom(8).hex()
        content = message(kind, token, size, random.Random(token), in_archive=in_archive)
        return cls(system, kind, token, content)

    def write_to(self, call: QueueCall) -> None:
        """All that a caller writes."""
        call.write_message(self.content)
        call.end_message()
        call.write_envelope(envelope_of(self.token))

    @contextmanager
    def sent(self, caller: QmailCaller | None = None) -> Iterator[QueueCall]:
        """It is on its way, and its caller waits for the answer."""
        with (caller or self.system.caller()).open(timeout_s=CALLER_TIMEOUT_S) as call:
            self.write_to(call)
            yield call

    @property
    def is_delivered(self) -> bool:
        """It is at the recorder, byte for byte."""
        found = [
            one for one in self.system.recorder.messages() if one.rcpt_to == (f"{self.token}@example.net".encode(),)
        ]
        assert all(one.message == self.content for one in found)
        assert len(found) < 2
        return bool(found)

    @property
    def is_kept(self) -> bool:
        """It is in the quarantine, byte for byte."""
        files = (path.read_bytes() for path in (self.system.data / "quarantine").glob("*/new/*"))
        return sum(content.endswith(self.content) for content in files) == 1

    @property
    def is_nowhere(self) -> bool:
        """Nothing became of it."""
        return not self.is_delivered and not self.is_kept


def kill(system: RunningSystem, *parts: str) -> None:
    """SIGKILL to each."""
    for part in parts:
        system.signal(part, signal.SIGKILL).close()


def spooled_files(system: RunningSystem) -> list[Path]:
    """What has a name in the spool."""
    return list((system.data / "spool").iterdir())


def in_flight(system: RunningSystem) -> int:
    """How many messages the unpacker has in hand."""
    return gauge(system, "qscan_messages_in_flight")


def gauge(system: RunningSystem, name: str) -> int:
    """One of the unpacker's metrics without labels."""
    host, _, port = system.url.removeprefix("http://").rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=5)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    finally:
        connection.close()
    (line,) = (line for line in text.splitlines() if line.startswith(f"{name} "))
    return int(float(line.split()[1]))


def unread_bytes(port: int) -> int:
    """What waits in the sockets of a port of this host for a process that does not read."""
    total = 0
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        if int(fields[1].partition(":")[2], 16) == port and fields[3] == "01":
            total += int(fields[4].partition(":")[2], 16)
    return total


def has_reached_unpacker(system: RunningSystem) -> bool:
    """The unpacker is stopped, and the request waits for it."""
    return unread_bytes(int(system.url.rpartition(":")[2])) > 0


def is_handed_over(system: RunningSystem, call: QueueCall) -> bool:
    """ingressd is done with the message of this call."""
    for line in system.log("ingress").splitlines():
        with suppress(ValueError):
            entry = json.loads(line)
            if entry.get("event") == "message" and entry.get("pid") == call.pid:
                return bool(entry["outcome"] == "handed_over")
    return False


@contextmanager
def asked(system: RunningSystem, mail: Mail) -> Iterator[QueueCall]:
    """The unpacker has asked av-gateway, which is stopped until the end of the block."""
    with system.signal("av-gateway", signal.SIGSTOP), mail.sent() as call:
        poll_until(lambda: in_flight(system) == 1)
        yield call


# ------------------------------------------------------------------------------------------------------- ingressd


def test_u0_connected(system: RunningSystem) -> None:
    """ingressd dies before it has looked at the caller."""
    mail = Mail.new(system)
    with system.signal("ingress", signal.SIGSTOP), mail.sent() as call:
        kill(system, "ingress")
        assert call.finish().answer == UNREACHABLE
    assert mail.is_nowhere


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["in memory", "on disk"])
def test_u1_receiving(system: RunningSystem, size: int) -> None:
    """ingressd dies while the message is read; what it had of it is gone with it."""
    mail = Mail.new(system, size=size)
    with system.caller().open() as call:
        call.write_message(mail.content[:-1])
        poll_until(lambda: call.untaken_bytes() == 0)
        kill(system, "ingress")
        assert call.finish().answer == UNREACHABLE
    assert mail.is_nowhere
    assert not spooled_files(system)


def test_u1_receiving_and_the_caller_dies(system: RunningSystem) -> None:
    """ingressd forgets the message."""
    mail = Mail.new(system)
    with system.caller().open() as call:
        call.write_message(mail.content)
        poll_until(lambda: call.untaken_bytes() == 0)
    poll_until(lambda: "caller_gone" in system.log("ingress"))
    assert mail.is_nowhere


def test_u2_posted_and_ingressd_dies(system: RunningSystem) -> None:
    """The message is received, and nobody has answered."""
    mail = Mail.new(system, Kind.VIRUS)
    with system.signal("unpacker", signal.SIGSTOP), mail.sent() as call:
        poll_until(lambda: has_reached_unpacker(system))
        kill(system, "ingress")
        assert call.finish().answer == NO_ANSWER
    # The unpacker finds a request whose sender is gone.
    poll_until(lambda: in_flight(system) == 0)
    assert mail.is_nowhere


def test_u2_posted_and_the_unpacker_dies(system: RunningSystem) -> None:
    """ingressd asks again, finds nobody, and says so."""
    mail = Mail.new(system)
    with system.signal("unpacker", signal.SIGSTOP), mail.sent() as call:
        poll_until(lambda: has_reached_unpacker(system))
        kill(system, "unpacker")
        assert call.finish().answer == NOT_AVAILABLE
    assert mail.is_nowhere


# ------------------------------------------------------------------------------------------------------- unpacker


def test_u3_received_by_the_unpacker_in_part(system: RunningSystem) -> None:
    """It dies while the body arrives, which is on its disk already; nothing of that stays."""
    host, _, port = system.url.removeprefix("http://").rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    connection.putrequest("POST", "/v1/scan")
    connection.putheader("Content-Type", "message/rfc822")
    connection.putheader("Content-Length", str(2 * LARGE))
    connection.endheaders(b"Subject: half\n\n" + bytes(LARGE))
    poll_until(lambda: in_flight(system) == 1 and unread_bytes(int(port)) == 0)
    kill(system, "unpacker")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        connection.getresponse()
    connection.close()
    assert not spooled_files(system)


@contextmanager
def opening(system: RunningSystem, mail: Mail) -> Iterator[tuple[QueueCall, int, Signalled]]:
    """A process of the sandbox is in the middle of the message's archive; which one it is; the unpacker, stopped."""
    with ExitStack() as stack:
        with system.signal(FORKSERVER, signal.SIGSTOP):
            call = stack.enter_context(mail.sent())
            poll_until(lambda: gauge(system, "qscan_sandbox_children_living") == 1)
            unpacker = system.signal("unpacker", signal.SIGSTOP)
        # Nobody takes what it finds, so it cannot come to its end.
        (opener,) = poll_until(system.openers)
        yield call, opener, unpacker


def is_gone(pid: int) -> bool:
    """Nothing is left of a process."""
    return not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("part", ["opener", FORKSERVER])
def test_u3a_opening_and_a_process_of_the_sandbox_dies(system: RunningSystem, part: str) -> None:
    """What it had not told is not known, so the sender keeps the message; when it comes again all is there again."""
    mail = Mail.new(system, size=LARGE, in_archive=True)
    before = system.pid(FORKSERVER)
    with opening(system, mail) as (call, opener, unpacker):
        with unpacker:
            os.kill(opener if part == "opener" else before, signal.SIGKILL)
        assert call.finish().answer == NOT_OPENED
        poll_until(lambda: is_gone(opener))
    assert mail.is_nowhere
    with mail.sent() as again:
        assert again.finish().accepted
    assert mail.is_delivered
    assert (system.pid(FORKSERVER) == before) == (part == "opener")


def test_u3a_opening_and_the_unpacker_dies(system: RunningSystem) -> None:
    """Its sandbox goes with it, and what was decoded so far."""
    mail = Mail.new(system, Kind.VIRUS, LARGE, in_archive=True)
    forkserver = system.pid(FORKSERVER)
    with opening(system, mail) as (call, opener, unpacker):
        with unpacker:
            kill(system, "unpacker")
        assert call.finish().answer == NOT_AVAILABLE
        poll_until(lambda: is_gone(opener) and is_gone(forkserver))
    assert mail.is_nowhere
    assert not spooled_files(system)


def test_u4_asked_and_the_unpacker_dies(system: RunningSystem) -> None:
    """The questions are asked; nobody waits for the answers any more."""
    mail = Mail.new(system, Kind.VIRUS)
    with asked(system, mail) as call:
        kill(system, "unpacker")
        assert call.finish().answer == NOT_AVAILABLE
    system.await_ready()
    assert mail.is_nowhere


def test_u4_asked_and_ingressd_dies(system: RunningSystem) -> None:
    """The unpacker sees that nobody waits, and cancels."""
    mail = Mail.new(system, Kind.VIRUS)
    with asked(system, mail) as call:
        kill(system, "ingress")
        assert call.finish().answer == NO_ANSWER
        poll_until(lambda: in_flight(system) == 0)
    assert mail.is_nowhere


def test_u4_asked_and_the_caller_dies(system: RunningSystem) -> None:
    """The same, all the way from qscan-queue to the unpacker."""
    mail = Mail.new(system, Kind.VIRUS)
    with asked(system, mail) as call:
        call.kill()
        poll_until(lambda: in_flight(system) == 0)
    assert mail.is_nowhere


def test_u4_asked_and_every_worker_dies(system: RunningSystem) -> None:
    """After 6 s of silence the same is asked once more, of those that were started meanwhile."""
    mail, workers = Mail.new(system, Kind.VIRUS), ("av-gateway", "policy", "spam")
    with ExitStack() as stack:
        for worker in workers:
            stack.enter_context(system.signal(worker, signal.SIGSTOP))
        call = stack.enter_context(mail.sent(system.caller(relay_client=False)))
        poll_until(lambda: in_flight(system) == 1)
        kill(system, *workers)
        assert call.finish().accepted
    poll_until(lambda: mail.is_kept)
    assert not mail.is_delivered


def test_u4_asked_and_the_bus_dies(system: RunningSystem) -> None:
    """Questions and answers are gone with it; the same is asked once more when it is back."""
    mail = Mail.new(system)
    with ExitStack() as stack:
        with system.signal("av-gateway", signal.SIGSTOP):
            call = stack.enter_context(mail.sent())
            poll_until(lambda: in_flight(system) == 1)
            kill(system, "nats")
        assert call.finish().accepted
    assert mail.is_delivered


def test_u4_asked_and_clamd_dies(system: RunningSystem) -> None:
    """The scan ends without a word: another try if clamd is back in time, else the message is deferred; never clean."""
    mail = Mail.new(system, Kind.VIRUS)
    with system.signal("clamd", signal.SIGSTOP), mail.sent() as call:
        poll_until(lambda: in_flight(system) == 1)
        kill(system, "clamd")
        result = call.finish()
    assert result.accepted or result.answer.startswith("Zvirus scanner")
    if result.accepted:
        poll_until(lambda: mail.is_kept)
    assert not mail.is_delivered


# ------------------------------------------------------------------------------------------------------- hand-off


@pytest.fixture
def store(running: Running) -> StoreDisk:
    """The disk under NATS."""
    if running.store is None:
        pytest.skip("no disk can be mounted under NATS here, which needs root and a loop device")
    return running.store


def is_writing(pid: int) -> bool:
    """Whether some thread of a process waits for a disk, uninterruptibly."""
    states = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            states.append((task / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0])
    return "D" in states


def test_u5_storing_and_the_unpacker_dies(system: RunningSystem, store: StoreDisk) -> None:
    """The message is decided, and its object is on the way to the disk: no event, no effect."""
    mail, clean = Mail.new(system, Kind.VIRUS), Mail.new(system)
    with store.hanging(), mail.sent() as call:
        poll_until(lambda: is_writing(system.pid("nats")))
        with clean.sent() as other:
            assert other.finish().accepted, "what needs no store does not wait for its disk"
        kill(system, "unpacker")
        assert call.finish().answer == NOT_AVAILABLE
    system.await_ready()
    assert mail.is_nowhere


def test_u5_storing_and_the_bus_dies(system: RunningSystem, store: StoreDisk) -> None:
    """The acknowledgement never comes, so the sender keeps the message."""
    mail = Mail.new(system, Kind.VIRUS)
    with ExitStack() as stack:
        with store.hanging():
            call = stack.enter_context(mail.sent())
            poll_until(lambda: is_writing(system.pid("nats")))
            kill(system, "nats")  # it ends when the disk lets it
        assert call.finish().answer == NOT_STORED
    system.await_ready()
    assert mail.is_nowhere


# -------------------------------------------------------------------------------------------------------- answer


@contextmanager
def answered(system: RunningSystem, mail: Mail) -> Iterator[QueueCall]:
    """The unpacker has answered, and ingressd, stopped until the end of the block, has not seen it."""
    with ExitStack() as stack:
        worker = stack.enter_context(ExitStack())
        worker.enter_context(system.signal("av-gateway", signal.SIGSTOP))
        call = stack.enter_context(mail.sent())
        poll_until(lambda: in_flight(system) == 1)
        stack.enter_context(system.signal("ingress", signal.SIGSTOP))
        worker.close()
        poll_until(lambda: in_flight(system) == 0)
        yield call


def test_u6_stored_and_ingressd_dies(system: RunningSystem) -> None:
    """The message is kept, and its sender does not know: it sends again. This is counted in the chaos run."""
    mail = Mail.new(system, Kind.VIRUS)
    with answered(system, mail) as call:
        kill(system, "ingress")
        assert call.finish().answer == NO_ANSWER
    poll_until(lambda: mail.is_kept)
    assert not mail.is_delivered


def test_u7_answered_and_ingressd_dies(system: RunningSystem) -> None:
    """To be delivered, and not yet handed over: the sender keeps it, and nothing else is there."""
    mail = Mail.new(system)
    with answered(system, mail) as call:
        kill(system, "ingress")
        assert call.finish().answer == NO_ANSWER
    assert mail.is_nowhere


@contextmanager
def handed_over(system: RunningSystem, mail: Mail) -> Iterator[QueueCall]:
    """The descriptors are on their way to qscan-queue, which is stopped."""
    with ExitStack() as stack:
        with system.signal("av-gateway", signal.SIGSTOP):
            call = stack.enter_context(mail.sent())
            poll_until(lambda: in_flight(system) == 1)
            assert call.pid is not None
            os.kill(call.pid, signal.SIGSTOP)
        poll_until(lambda: is_handed_over(system, call))
        yield call


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["in memory", "on disk"])
def test_u8_handed_over_and_ingressd_dies(system: RunningSystem, size: int) -> None:
    """The descriptors live on in the socket, and so does the message."""
    mail = Mail.new(system, size=size)
    with handed_over(system, mail) as call:
        kill(system, "ingress")
        os.kill(call.pid or 0, signal.SIGCONT)
        assert call.finish().accepted
    assert mail.is_delivered


def test_u8_handed_over_and_the_caller_dies(system: RunningSystem) -> None:
    """It has not become qmail-queue, so nothing is queued."""
    mail = Mail.new(system)
    with handed_over(system, mail) as call:
        os.kill(call.pid or 0, signal.SIGKILL)
        assert call.finish().answer == CRASHED
    assert mail.is_nowhere


@contextmanager
def executed(system: RunningSystem, mail: Mail, tmp_path: Path) -> Iterator[tuple[QueueCall, Path]]:
    """The real qmail-queue has it, and takes its time until a file is made."""
    begun, go_on = tmp_path / "begun", tmp_path / "go on"
    program = tmp_path / "slow-qmail-queue"
    recorder = system.recorder.program
    program.write_text(f'#!/bin/sh\n: > "{begun}"\nwhile [ ! -e "{go_on}" ]; do sleep 0.02; done\nexec {recorder}\n')
    program.chmod(0o755)
    with mail.sent(system.caller(QSCAN_QMAIL_QUEUE=str(program))) as call:
        poll_until(begun.exists)
        yield call, go_on


def test_u9_executed_and_all_of_qscan_dies(system: RunningSystem, tmp_path: Path) -> None:
    """qmail-queue needs nobody of us any more."""
    mail = Mail.new(system, size=LARGE)
    with executed(system, mail, tmp_path) as (call, go_on):
        system.kill()
        go_on.touch()
        assert call.finish().accepted
    assert mail.is_delivered
    system.start()


def test_u9_executed_and_qmail_queue_dies(system: RunningSystem, tmp_path: Path) -> None:
    """Its caller notices that, and what it has begun is qmail-clean's to remove."""
    mail = Mail.new(system)
    with executed(system, mail, tmp_path) as (call, _):
        os.kill(call.pid or 0, signal.SIGKILL)
        assert call.finish().answer == CRASHED
    assert mail.is_nowhere


def test_u10_accepted_and_all_of_qscan_dies(system: RunningSystem) -> None:
    """What was accepted is there after a new start on the same directory: delivered, or on the bus for the archiver."""
    clean, virus = Mail.new(system), Mail.new(system, Kind.VIRUS, LARGE)
    with system.signal("archiver", signal.SIGSTOP):
        for mail in (clean, virus):
            with mail.sent() as call:
                assert call.finish().accepted
        assert not virus.is_kept
        system.kill()
    system.start()
    poll_until(lambda: virus.is_kept, SETTLE_TIMEOUT_S, pause_s=0.1)
    assert clean.is_delivered
    assert not virus.is_delivered
