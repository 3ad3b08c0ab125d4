"""ingressd stopped or killed at each moment, the caller killed, nobody answering: all end, and end safely."""

import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from qscan_testkit.compiling import compile_c
from qscan_testkit.fake_unpacker import FakeUnpacker, Reply, ScanCall, answer
from qscan_testkit.ingress_process import Ingressd
from qscan_testkit.polling import poll_until
from qscan_testkit.qmail_callers import ErrorDescriptor, QmailCaller, QueueCall, envelope

MESSAGE = b"Subject: test\n\nbody\n"
ENVELOPE = envelope(b"a@x", [b"b@x"])
UNREACHABLE = "Zmail scanner cannot be reached, please try again later (#4.4.2)"
NO_ANSWER = "Zmail scanner gave no answer, please try again later (#4.3.0)"
SILENCE_S = 2
"""What the qscan-queue of these tests was compiled with instead of 30 s."""


@pytest.fixture
def ingressd(start_ingressd: Any, unpacker: FakeUnpacker) -> Ingressd:
    """One that may be harmed."""
    ingressd: Ingressd = start_ingressd(unpacker)
    return ingressd


def held(unpacker: FakeUnpacker) -> threading.Event:
    """Have the unpacker hold back its answers until the event is set."""
    event = threading.Event()
    unpacker.script = lambda call: Reply(body=answer(call).body, wait_for=event)
    return event


def is_connected(ingressd: Ingressd, before: int) -> bool:
    """Whether ingressd has a caller's three descriptors more than `before`."""
    return ingressd.open_descriptors() >= before + 3


def send_all(call: QueueCall) -> None:
    """Everything that a caller writes."""
    call.write_message(MESSAGE)
    call.end_message()
    call.write_envelope(ENVELOPE)


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_before_the_caller_connects(ingressd: Ingressd, number: signal.Signals) -> None:
    """Killed: at once. Stopped: the backlog accepts, then silence until the limit."""
    ingressd.process.send_signal(number)
    if number == signal.SIGKILL:
        ingressd.process.wait()
    result = ingressd.caller().send(MESSAGE)
    assert result.answer == UNREACHABLE
    assert result.elapsed_s < SILENCE_S + 3
    assert (result.elapsed_s >= SILENCE_S) == (number == signal.SIGSTOP)


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_while_the_message_is_read(ingressd: Ingressd, number: signal.Signals) -> None:
    """Before the envelope's end it counts as «cannot be reached»."""
    before = ingressd.open_descriptors()
    with ingressd.caller().open() as call:
        call.write_message(MESSAGE)
        poll_until(lambda: is_connected(ingressd, before))
        ingressd.process.send_signal(number)
        result = call.finish()
    assert result.answer == UNREACHABLE
    assert result.elapsed_s < SILENCE_S + 3


def test_killed_while_the_unpacker_thinks(ingressd: Ingressd) -> None:
    """After the envelope's end it is a failure of ours; without an error descriptor 71."""
    held(ingressd.unpacker)
    with ingressd.caller().open() as call, ingressd.caller(ErrorDescriptor.NONE).open() as other:
        for each in (call, other):
            send_all(each)
            assert ingressd.unpacker.called.acquire(timeout=10)
        ingressd.process.kill()
        assert call.finish().answer == NO_ANSWER
        assert other.finish().exit_code == 71
    assert ingressd.recorder.count() == 0


@pytest.mark.slow
def test_stopped_while_the_unpacker_thinks(start_ingressd: Any, unpacker: FakeUnpacker) -> None:
    """qscan-queue ends by itself: the deadline and 15 s after the envelope's end."""
    held(unpacker)
    ingressd: Ingressd = start_ingressd(unpacker, deadline_s="1")
    with ingressd.caller().open(timeout_s=40) as call:
        send_all(call)
        assert unpacker.called.acquire(timeout=10)
        ended = time.monotonic()
        ingressd.process.send_signal(signal.SIGSTOP)
        result = call.finish()
    assert result.answer == NO_ANSWER
    assert 15 <= time.monotonic() - ended < 19


def test_a_slow_sender_is_waited_for(ingressd: Ingressd) -> None:
    """As long as ingressd says that it is alive there is no limit below qmail-queue's own."""
    with ingressd.caller().open() as call:
        for _ in range(4):
            call.write_message(MESSAGE)
            time.sleep(SILENCE_S / 2)  # the time itself is what is tested
        call.end_message()
        call.write_envelope(ENVELOPE)
        assert call.finish().accepted
    assert ingressd.recorder.messages()[0].message == MESSAGE * 4


def test_an_unpacker_that_never_answers(start_ingressd: Any, unpacker: FakeUnpacker) -> None:
    """The deadline ends it, and the request is cancelled."""
    held(unpacker)
    ingressd = start_ingressd(unpacker, deadline_s="2")
    result = ingressd.caller().send(MESSAGE)
    assert result.answer == "Zmail scanner took too long, please try again later (#4.3.0)"
    assert 2 <= result.elapsed_s < 4
    poll_until(lambda: unpacker.gone == 1)
    told = unpacker.calls[0].envelope.deadline_ms
    assert told is not None
    assert 1_000 < told <= 2_000


@pytest.mark.parametrize("size", [100, 3_000_000])
def test_a_killed_caller_cancels_the_request(ingressd: Ingressd, size: int) -> None:
    """Nobody waits for the answer any more, so nobody works for it, and nothing stays open."""
    ingressd.caller().send(MESSAGE)  # the connection to the unpacker is there now
    before = ingressd.open_descriptors()
    held(ingressd.unpacker)
    with ingressd.caller().open() as call:
        call.write_message(b"x" * size)
        call.end_message()
        call.write_envelope(ENVELOPE)
        poll_until(lambda: len(ingressd.unpacker.calls) == 2)
        call.kill()
        poll_until(lambda: ingressd.unpacker.gone == 1)
    ingressd.logged("caller_gone")
    poll_until(lambda: ingressd.open_descriptors() <= before)
    assert ingressd.recorder.count() == 1


def test_a_caller_that_is_killed_while_it_writes(ingressd: Ingressd) -> None:
    """The program is gone with its message; nothing is asked and nothing stays open."""
    before = ingressd.open_descriptors()
    with ingressd.caller().open() as call:
        call.write_message(b"x" * 2_000_000)
        call.kill()
        ingressd.logged("caller_gone")
    poll_until(lambda: ingressd.open_descriptors() <= before)
    assert ingressd.unpacker.calls == []


def test_a_message_is_not_delivered_after_the_caller_gave_up(ingressd: Ingressd) -> None:
    """A stopped ingressd that wakes up late finds its caller gone, and hands over to nobody."""
    release = held(ingressd.unpacker)
    with ingressd.caller().open() as call:
        send_all(call)
        assert ingressd.unpacker.called.acquire(timeout=10)
        ingressd.process.send_signal(signal.SIGSTOP)
        release.set()
        call.kill()
        ingressd.process.send_signal(signal.SIGCONT)
        poll_until(ingressd.messages)
    assert ingressd.recorder.count() == 0


def test_killed_between_the_answers_parts_loses_nothing(start_ingressd: Any, unpacker: FakeUnpacker) -> None:
    """ingressd is killed again and again under load: what was accepted is at the recorder, byte for byte."""

    def slowly(call: ScanCall) -> Reply:
        time.sleep(0.005)  # a scan takes its time, so that the kill finds messages in all states
        return answer(call)

    unpacker.script = slowly
    accepted: dict[bytes, bool] = {}

    def work(ingressd: Ingressd, worker: int) -> None:
        for number in range(15):
            message = b"Subject: %d.%d.%d\n\n" % (ingressd.process.pid, worker, number) + b"x" * 5000
            accepted[message] = ingressd.caller().send(message, timeout_s=20).accepted

    ingressd: Ingressd = start_ingressd(unpacker)
    for restart in range(4):
        if restart:
            ingressd = start_ingressd(unpacker)
        workers = [threading.Thread(target=work, args=(ingressd, worker)) for worker in range(4)]
        for worker in workers:
            worker.start()
        asked = len(unpacker.calls)
        poll_until(lambda: len(unpacker.calls) >= asked + 12)  # noqa: B023  # called at once
        ingressd.kill()
        for worker in workers:
            worker.join()
    recorded = {message.message for message in ingressd.recorder.messages()}
    assert any(accepted.values())
    assert not all(accepted.values())
    assert {message for message, was in accepted.items() if was} <= recorded
    assert recorded <= set(accepted)


def test_ending_in_order_finishes_what_is_in_hand(start_ingressd: Any, unpacker: FakeUnpacker) -> None:
    """SIGTERM: nobody new is accepted, what is asked for is waited for, exit status 0, no socket left."""
    release = held(unpacker)
    ingressd = start_ingressd(unpacker, drain_timeout_s="20")
    with ingressd.caller().open() as call:
        send_all(call)
        assert unpacker.called.acquire(timeout=10)
        ingressd.process.terminate()
        poll_until(lambda: not ingressd.socket.exists())
        assert ingressd.caller().send(MESSAGE).answer == UNREACHABLE
        release.set()
        assert call.finish().accepted
    assert ingressd.process.wait(timeout=10) == 0


def test_ending_in_order_does_not_wait_for_ever(ingressd: Ingressd) -> None:
    """After the drain time those in hand are hung up on, and defer."""
    held(ingressd.unpacker)
    with ingressd.caller().open() as call:
        send_all(call)
        assert ingressd.unpacker.called.acquire(timeout=10)
        assert ingressd.stop() == 0
        assert call.finish().answer == NO_ANSWER


def test_the_longest_wait_is_bounded(ingressd: Ingressd, programs: Path) -> None:
    """qscan-queue refuses to wait longer than it was compiled for, whatever ingressd asks for."""
    source = Path(__file__).parents[1] / "qscan-queue" / "qscan-queue.c"
    strict = compile_c(source, programs, {"QSCAN_MAX_WAIT_S": "2"})
    caller = ingressd.caller()
    assert QmailCaller(strict, caller.environ).send(MESSAGE).answer == NO_ANSWER
    assert ingressd.recorder.count() == 0
