"""Both ends of the private protocol against an end that does not keep to it (ingress/PROTOCOL.md)."""

import array
import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from qscan_ingress.adapters.descriptors import sealed
from qscan_testkit.fake_unpacker import FakeUnpacker
from qscan_testkit.ingress_process import Ingressd
from qscan_testkit.polling import poll_until
from qscan_testkit.qmail_callers import ErrorDescriptor, smtpd
from qscan_testkit.queue_answers import QueueResult
from qscan_testkit.recording import RecordingQmailQueue

MESSAGE = b"Subject: test\n\nbody\n"
MAGIC = b"qscan1\0"
Speak = Callable[[socket.socket], None]


@pytest.fixture
def against(
    tmp_path: Path, queue_program: Path, recorder: RecordingQmailQueue
) -> Iterator[Callable[[Speak], QueueResult]]:
    """Run qscan-queue against an ingressd that the test plays."""
    path = tmp_path / "played.sock"
    environ = {"QSCAN_INGRESS_SOCKET": str(path), **recorder.environment}
    caller = smtpd(queue_program, environ, error_descriptor=ErrorDescriptor.NONE)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening, ThreadPoolExecutor(1) as pool:
        listening.bind(str(path))
        listening.listen()
        listening.settimeout(10)

        def run(speak: Speak) -> QueueResult:
            result = pool.submit(caller.send, MESSAGE, timeout_s=10)
            connection, _ = listening.accept()
            with connection:
                connection.settimeout(10)
                _, descriptors, _, _ = socket.recv_fds(connection, 65536, 2)
                speak(connection)
                for descriptor in descriptors:
                    os.close(descriptor)
                return result.result(timeout=15)

        yield run


def say(*packets: bytes) -> Speak:
    """Send these packets."""

    def speak(connection: socket.socket) -> None:
        for packet in packets:
            connection.send(packet)

    return speak


def hand(*descriptors: int, ended: bool = True) -> Speak:
    """Deliver these descriptors."""

    def speak(connection: socket.socket) -> None:
        if ended:
            connection.send(b"E10")
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors).tobytes())]
        connection.sendmsg([b"D"], rights if descriptors else [])
        for descriptor in descriptors:
            os.close(descriptor)

    return speak


@pytest.mark.parametrize(
    ("packets", "code"),
    [
        ((b"E10", b"X0\0"), 0),
        ((b"E10", b"X31\0Dno (#5.7.1)"), 31),
        ((b".", b".", b"X71\0"), 71),
        ((b"E10", b"X255\0"), 255),
        ((b"X0\0",), 71),
        ((b"E10", b"X256\0"), 71),
        ((b"E10", b"X\0"), 71),
        ((b"E10", b"X31"), 71),
        ((b"E10", b"X-1\0"), 71),
        ((b"E10", b"X3 1\0"), 71),
        ((b"E10", b"E10"), 71),
        ((b"E0",), 71),
        ((b"E",), 71),
        ((b"E3601",), 71),
        ((b"E99999999999999999999",), 71),
        ((b"Ex",), 71),
        ((b"D",), 71),
        ((b"E10", b"D"), 71),
        ((b"E10", b"Dx"), 71),
        ((b"..",), 71),
        ((b"?",), 71),
        ((b"\0",), 71),
        ((b"E10", b"x" * 5000), 71),
        ((b"E1",), 71),
    ],
)
def test_what_qscan_queue_makes_of_packets(
    against: Callable[[Speak], QueueResult], packets: tuple[bytes, ...], code: int
) -> None:
    """Only what the protocol has is believed; everything else is temporary, and success needs the E."""
    assert against(say(*packets)).exit_code == code


def test_good_descriptors_are_executed_on(
    against: Callable[[Speak], QueueResult], recorder: RecordingQmailQueue
) -> None:
    """The counterpart of the refusals below: the played ingressd can deliver at all."""
    assert against(hand(sealed("m", b"hello"), sealed("e", b"Fa\0Tb\0\0"))).exit_code == 0
    assert recorder.messages()[0].message == b"hello"


def _writable(tmp_path: Path) -> int:
    return os.open(tmp_path / "rw", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)


def _read_on(_: Path) -> int:
    descriptor = sealed("m", b"hello")
    os.read(descriptor, 1)
    return descriptor


def _pipe(_: Path) -> int:
    reader, writer = os.pipe2(os.O_CLOEXEC)
    os.close(writer)
    return reader


def _folder(tmp_path: Path) -> int:
    return os.open(tmp_path, os.O_RDONLY | os.O_CLOEXEC)


@pytest.mark.parametrize("bad", [_writable, _read_on, _pipe, _folder])
@pytest.mark.parametrize("position", [0, 1])
def test_bad_descriptors_are_refused(
    against: Callable[[Speak], QueueResult],
    recorder: RecordingQmailQueue,
    tmp_path: Path,
    bad: Callable[[Path], int],
    position: int,
) -> None:
    """Writable, not at the beginning, no plain file: qmail-queue is never started on it."""
    descriptors = [sealed("m", b"hello"), sealed("e", b"Fa\0Tb\0\0")]
    os.close(descriptors[position])
    descriptors[position] = bad(tmp_path)
    assert against(hand(*descriptors)).exit_code == 71
    assert recorder.count() == 0


@pytest.mark.parametrize("count", [0, 1, 3, 50])
def test_a_wrong_number_of_descriptors_is_refused(
    against: Callable[[Speak], QueueResult], recorder: RecordingQmailQueue, count: int
) -> None:
    """Two, no more and no less."""
    assert against(hand(*(sealed("x", b"Fa\0Tb\0\0") for _ in range(count)))).exit_code == 71
    assert recorder.count() == 0


def test_an_answer_before_the_introduction_is_heard(
    tmp_path: Path, queue_program: Path, recorder: RecordingQmailQueue
) -> None:
    """A busy ingressd answers and hangs up at once, before or after the introduction was sent."""
    path = tmp_path / "played.sock"
    environ = {"QSCAN_INGRESS_SOCKET": str(path), **recorder.environment}
    caller = smtpd(queue_program, environ, error_descriptor=ErrorDescriptor.NONE)
    codes = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening, ThreadPoolExecutor(1) as pool:
        listening.bind(str(path))
        listening.listen()
        listening.settimeout(10)
        for _ in range(50):
            result = pool.submit(caller.send, MESSAGE, timeout_s=10)
            connection, _ = listening.accept()
            connection.send(b"X71\0Zbusy (#4.3.0)")
            connection.close()
            codes.append(result.result(timeout=15).exit_code)
    assert codes == [71] * 50


def test_nothing_is_delivered_before_the_envelopes_end(
    against: Callable[[Speak], QueueResult], recorder: RecordingQmailQueue
) -> None:
    """A D without an E is no delivery."""
    assert against(hand(sealed("m", b"hello"), sealed("e", b"Fa\0Tb\0\0"), ended=False)).exit_code == 71
    assert recorder.count() == 0


@pytest.mark.parametrize(
    ("packet", "descriptors"),
    [
        *product([b"", b"nonsense", MAGIC[:-1], MAGIC + b"A", b"x" * 70_000], [0, 2]),
        *product([MAGIC], [0, 1, 3, 200]),
    ],
)
def test_ingressd_hangs_up_on_strangers(ingressd: Ingressd, packet: bytes, descriptors: int) -> None:
    """No introduction, no two descriptors: closed, nothing leaks, and the next caller is served."""
    before = ingressd.open_descriptors()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stranger:
        stranger.settimeout(10)
        stranger.connect(str(ingressd.socket))
        with Path("/dev/null").open("rb") as nothing:
            socket.send_fds(stranger, [packet], [nothing.fileno()] * descriptors)
        assert set(iter(lambda: stranger.recv(100), b"")) == {b"."}
    poll_until(lambda: ingressd.open_descriptors() <= before)
    assert ingressd.caller().send(MESSAGE).accepted


def test_a_caller_that_says_nothing_is_hung_up_on(start_ingressd: Any, unpacker: FakeUnpacker) -> None:
    """After introduction_timeout_s."""
    ingressd = start_ingressd(unpacker, introduction_timeout_s="0.3")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as silent:
        silent.settimeout(10)
        silent.connect(str(ingressd.socket))
        assert set(iter(lambda: silent.recv(100), b"")) == {b"."}


def test_a_caller_that_says_more_is_hung_up_on(ingressd: Ingressd) -> None:
    """It has nothing to say after its introduction; its message is forgotten."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as talker:
        talker.settimeout(10)
        talker.connect(str(ingressd.socket))
        socket.send_fds(talker, [MAGIC], [reader, reader])
        talker.send(b"and another thing")
        ingressd.logged("caller_gone")
    os.close(reader)
    os.close(writer)
