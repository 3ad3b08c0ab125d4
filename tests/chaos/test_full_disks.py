"""Full disks under every part that writes: each message is deferred or safe, and with room again all is well."""

import os
import random
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from qscan_testkit.journal import Answered, Journal, Kind
from qscan_testkit.judging import Judge
from qscan_testkit.mail_load import MailLoad
from qscan_testkit.polling import poll_until
from qscan_testkit.running_system import RunningSystem

MakeSystem = Callable[..., RunningSystem]

KILOBYTE, MEGABYTE = 1_000, 1_000_000
MEMORY_SPOOL_BYTES = 64 * KILOBYTE
SMALL, LARGE = 5 * KILOBYTE, 2 * MEGABYTE
MAIL_STORE_BYTES = 6 * MEGABYTE
EVENTS_BYTES = 60 * KILOBYTE
BACK_WITHIN_S = 120

pytestmark = pytest.mark.timeout(180)


class SmallDisk:
    """A file system of its own with little room."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        """Mount it at `path`; the test is skipped where that is not allowed."""
        path.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=0755", "qscan-test", str(path)]
        result = subprocess.run(command, check=False, capture_output=True, text=True)
        if result.returncode != 0:
            pytest.skip(f"no disk of its own can be mounted here, which needs root: {result.stderr.strip()}")
        self.path = path
        self._filler = path / "filler"

    def unmount(self) -> None:
        """At the end of the tests."""
        subprocess.run(["umount", "--lazy", str(self.path)], check=False)

    @property
    def free_bytes(self) -> int:
        """Room for anybody."""
        status = os.statvfs(self.path)
        return status.f_bavail * status.f_frsize

    def fill(self, *, but_bytes: int) -> None:
        """Leave only so much room."""
        with self._filler.open("ab", buffering=0) as filler:
            while (much := self.free_bytes - but_bytes) > 0:
                filler.write(bytes(min(much, MEGABYTE)))

    def make_room(self) -> None:
        """As it was before `fill`."""
        self._filler.unlink(missing_ok=True)


class Scene:
    """A system with a small disk under each part that writes, and a client with a journal."""

    def __init__(self, system: RunningSystem, journal: Journal) -> None:
        """The system is not started yet; its directories are mounted here."""
        self.system = system
        self.ingress = SmallDisk(system.directory / "ingress", 8 * MEGABYTE)
        self.unpacker = SmallDisk(system.directory / "unpacker", 16 * MEGABYTE)
        self.quarantine = SmallDisk(system.data / "quarantine", 32 * MEGABYTE)
        self.bus = SmallDisk(system.data / "nats", 64 * MEGABYTE)
        longest_wait_s = system.deadline_s + 15
        self._load = MailLoad(lambda _: system.caller(), journal, callers=0, give_up_after_s=longest_wait_s + 5, seed=1)
        self._judge = Judge(journal, system.recorder, system.data / "quarantine", longest_wait_s=longest_wait_s)
        self._random = random.Random(1)
        self._count = 0

    def unmount(self) -> None:
        """At the end of the tests."""
        for disk in (self.ingress, self.unpacker, self.quarantine, self.bus):
            disk.unmount()

    def send(self, kind: Kind, size: int) -> Answered:
        """Send a message of about `size` bytes."""
        self._count += 1
        return self._load.send(kind, f"disk-{self._count}", size, self._random)

    def send_until_refused(self, kind: Kind, size: int, *, at_most: int) -> Answered:
        """Send until one is not accepted, and return that answer."""
        for _ in range(at_most):
            answered = self.send(kind, size)
            if not answered.accepted:
                return answered
        pytest.fail(f"{at_most} messages of {size} bytes were all accepted: nothing was full")

    def accepts(self, kind: Kind, size: int) -> bool:
        """Whether a message is accepted now."""
        return self.send(kind, size).accepted

    def kept(self) -> int:
        """How many messages are in the quarantine."""
        return len(list(self.quarantine.path.glob("*/new/*")))

    def assert_nothing_is_lost(self) -> None:
        """Everything that was accepted so far gets to where it belongs."""
        judgement = self._judge.settled(BACK_WITHIN_S)
        assert not judgement.broken, judgement.broken
        assert not judgement.missing, judgement.missing
        assert not judgement.unanswered


@pytest.fixture(scope="module")
def scene(make_system: MakeSystem) -> Iterator[Scene]:
    """One running system for all tests here; each leaves it with room on every disk."""
    system = make_system()
    system.tables = {
        **system.tables,
        "ingress": {
            **system.tables["ingress"],
            "spool_dir": str(system.directory / "ingress"),
            "spool_may_be_in_memory": True,
            "memory_spool_max_bytes": MEMORY_SPOOL_BYTES,
        },
        "unpacker": {
            **system.tables["unpacker"],
            "spool_dir": str(system.directory / "unpacker"),
            "mail_max_bytes": MAIL_STORE_BYTES,
            "events_max_bytes": EVENTS_BYTES,
        },
        "archiver": {"min_free_bytes": 0},
    }
    with Journal(system.directory / "journal") as journal, ExitStack() as stack:
        scene = Scene(system, journal)
        stack.callback(scene.unmount)
        stack.enter_context(system)
        yield scene


def test_the_spool_of_ingressd(scene: Scene) -> None:
    """A message that does not fit is deferred; a small one needs no disk."""
    scene.ingress.fill(but_bytes=LARGE // 2)
    try:
        refused = scene.send(Kind.CLEAN, LARGE)
        assert refused.text == "Zmail scanner has no room, please try again later (#4.3.0)"
        assert scene.send(Kind.VIRUS, LARGE).text == refused.text
        assert scene.accepts(Kind.CLEAN, SMALL)
        assert scene.accepts(Kind.CLEAN, LARGE // 4)
    finally:
        scene.ingress.make_room()
    assert scene.accepts(Kind.CLEAN, LARGE)
    scene.assert_nothing_is_lost()


@pytest.mark.parametrize(
    "room_bytes", [LARGE // 2, LARGE * 5 // 4], ids=["for the message", "for what is decoded from it"]
)
def test_the_spool_of_the_unpacker(scene: Scene, room_bytes: int) -> None:
    """A message that does not fit, itself or with its parts, is deferred."""
    scene.unpacker.fill(but_bytes=room_bytes)
    try:
        refused = scene.send(Kind.VIRUS, LARGE)
        assert refused.text == "Zmail scanner is not available, please try again later (#4.3.0)"
        assert scene.accepts(Kind.CLEAN, SMALL)
        assert scene.accepts(Kind.VIRUS, SMALL)
    finally:
        scene.unpacker.make_room()
    assert scene.accepts(Kind.VIRUS, LARGE)
    scene.assert_nothing_is_lost()


def test_the_quarantine(scene: Scene) -> None:
    """What is to be kept waits on the bus, and nothing half of it is in the maildir."""
    before = scene.kept()
    scene.quarantine.fill(but_bytes=0)
    try:
        assert scene.accepts(Kind.VIRUS, LARGE)
        assert scene.accepts(Kind.POLICY, SMALL)
        assert scene.accepts(Kind.CLEAN, SMALL)
        poll_until(lambda: not scene.system.is_ready("archiver"))
        assert scene.kept() == before
    finally:
        scene.quarantine.make_room()
    scene.assert_nothing_is_lost()
    assert scene.kept() == before + 2


def test_the_limit_of_the_mail_store(scene: Scene) -> None:
    """While nobody takes mail out of it, what does not fit is deferred, and what needs no store is not."""
    with scene.system.signal("archiver", signal.SIGSTOP):
        refused = scene.send_until_refused(Kind.VIRUS, LARGE // 4, at_most=MAIL_STORE_BYTES // LARGE * 4)
        assert refused.text == "Zmessage could not be stored now, try again later (#4.3.0)"
        assert scene.accepts(Kind.CLEAN, LARGE)
    poll_until(lambda: scene.accepts(Kind.VIRUS, LARGE), BACK_WITHIN_S, pause_s=0.5)
    scene.assert_nothing_is_lost()


def test_the_limit_of_the_event_stream(scene: Scene) -> None:
    """The same for events: here it is full of small messages."""
    with scene.system.signal("archiver", signal.SIGSTOP), scene.system.signal("notifier", signal.SIGSTOP):
        refused = scene.send_until_refused(Kind.POLICY, SMALL, at_most=EVENTS_BYTES // 200)
        assert refused.text == "Zmessage could not be stored now, try again later (#4.3.0)"
        assert scene.accepts(Kind.CLEAN, SMALL)
    poll_until(lambda: scene.accepts(Kind.POLICY, SMALL), BACK_WITHIN_S, pause_s=0.5)
    scene.assert_nothing_is_lost()


@pytest.mark.skip(reason="passes alone, and fails behind the others of this file since the load has zips: to be mended")
def test_the_disk_of_the_bus(scene: Scene) -> None:
    """nats-server must be started anew after that, which happens by itself when there is room; meanwhile mail flows."""
    starts = scene.system.starts("nats")
    with scene.system.signal("archiver", signal.SIGSTOP):
        scene.bus.fill(but_bytes=MEGABYTE)
        try:
            refused = scene.send_until_refused(Kind.VIRUS, LARGE // 4, at_most=8)
            assert refused.text == "Zmessage could not be stored now, try again later (#4.3.0)"
            assert scene.accepts(Kind.CLEAN, SMALL)
        finally:
            scene.bus.make_room()
    poll_until(lambda: scene.system.starts("nats") > starts, BACK_WITHIN_S)
    poll_until(lambda: scene.accepts(Kind.VIRUS, LARGE), BACK_WITHIN_S, pause_s=0.5)
    scene.assert_nothing_is_lost()
