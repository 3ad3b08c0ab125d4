"""Several unpackers: the next one is asked, with the same scan_id, from the spool."""

import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from qscan_contracts.vocabulary import Disposition
from qscan_testkit.fake_unpacker import FakeUnpacker, Reply, ScanCall, answer, problem
from qscan_testkit.ingress_process import TOKEN, Ingressd
from qscan_testkit.polling import poll_until

MESSAGE = b"Subject: test\n\nbody\n"


@pytest.fixture
def second() -> Iterator[FakeUnpacker]:
    """Another unpacker."""
    with FakeUnpacker() as fake:
        yield fake


FAILING = {
    "hangs up": lambda _: Reply(hang_up=True),
    "503": lambda _: problem(503, {"Retry-After": "1"}),
    "500": lambda _: problem(500),
    "401": lambda _: problem(401),
    "garbage": lambda _: Reply(body=b"garbage"),
    "other sha256": lambda call: answer(call, raw_sha256="0" * 64),
}


@pytest.mark.parametrize("size", [20, 3_000_000])
@pytest.mark.parametrize("script", FAILING.values(), ids=FAILING.keys())
def test_the_next_one_is_asked(
    start_ingressd: Any, unpacker: FakeUnpacker, second: FakeUnpacker, script: Any, size: int
) -> None:
    """The whole message again under the same scan_id; then it stays with the one that works."""
    unpacker.script = script
    message = b"x" * size
    ingressd = start_ingressd(unpacker, second)
    assert ingressd.caller().send(message).accepted
    assert ingressd.caller().send(message).accepted
    assert len(unpacker.calls) == 1
    assert len(second.calls) == 2
    assert second.calls[0].message == message
    assert second.calls[0].envelope.scan_id == unpacker.calls[0].envelope.scan_id
    assert second.calls[1].envelope.scan_id != second.calls[0].envelope.scan_id
    assert ingressd.messages()[0]["tries"] == 2


def test_one_that_is_not_there(start_ingressd: Any, unpacker: FakeUnpacker, second: FakeUnpacker) -> None:
    """A refused connection costs nothing."""
    unpacker.stop()
    ingressd = start_ingressd(unpacker, second)
    assert ingressd.caller().send(MESSAGE).accepted


def test_answers_do_not_fail_over(start_ingressd: Any, unpacker: FakeUnpacker, second: FakeUnpacker) -> None:
    """A decision is a decision, a 413 and a 400 too: the second one is not asked for a better one."""
    ingressd = start_ingressd(unpacker, second)
    for disposition in (Disposition.DEFER, Disposition.REJECT, Disposition.QUARANTINE):
        unpacker.script = partial(answer, disposition=disposition)
        ingressd.caller().send(MESSAGE)
    for refusal in (problem(400), problem(413)):
        unpacker.script = partial(_say, refusal)
        ingressd.caller().send(MESSAGE)
    assert len(unpacker.calls) == 5
    assert second.calls == []


def _say(reply: Reply, _: ScanCall) -> Reply:
    return reply


def test_a_lone_unpacker_is_asked_twice(start_ingressd: Any, unpacker: FakeUnpacker) -> None:
    """It may just have been restarted, or have closed an idle connection at the wrong moment."""
    replies = iter([Reply(hang_up=True)])
    unpacker.script = lambda call: next(replies, None) or answer(call)
    ingressd = start_ingressd(unpacker)
    assert ingressd.caller().send(MESSAGE).accepted
    assert len(unpacker.calls) == 2


def test_the_deadline_holds_over_all_of_them(start_ingressd: Any, unpacker: FakeUnpacker, second: FakeUnpacker) -> None:
    """What is left is told to the second one, and the end is the same."""
    never, late = threading.Event(), threading.Event()
    unpacker.script = lambda _: Reply(status=500, wait_for=late)
    second.script = lambda call: Reply(body=answer(call).body, wait_for=never)
    ingressd = start_ingressd(unpacker, second, deadline_s="3")
    timer = threading.Timer(1.5, late.set)
    timer.start()
    result = ingressd.caller().send(MESSAGE)
    assert result.answer == "Zmail scanner took too long, please try again later (#4.3.0)"
    assert 3 <= result.elapsed_s < 5
    told = second.calls[0].envelope.deadline_ms
    assert told is not None
    assert told < 2_000
    timer.join()


def test_an_answer_without_end_is_not_read_to_its_end(start_ingressd: Any, unpacker: FakeUnpacker) -> None:
    """Memory is bounded against our own unpackers, too."""
    ingressd = start_ingressd(unpacker, max_answer_bytes="10000")
    unpacker.script = lambda call: answer(call, reason="x" * 20_000)
    assert ingressd.caller().send(MESSAGE).answer.startswith("Z")
    assert "max_answer_bytes" in ingressd.logged("unpacker_unavailable")["detail"]
    unpacker.script = answer
    assert ingressd.caller().send(MESSAGE).accepted


def test_back_by_itself(start_ingressd: Any, unpacker: FakeUnpacker) -> None:
    """An unpacker that comes back at its address is used again, without anybody's doing."""
    port = unpacker.port
    ingressd = start_ingressd(unpacker)
    unpacker.stop()
    assert ingressd.caller().send(MESSAGE).answer.endswith("(#4.3.0)")
    with FakeUnpacker(port=port):
        assert ingressd.caller().send(MESSAGE).accepted


def test_a_new_token_is_used_at_once(start_ingressd: Any, unpacker: FakeUnpacker) -> None:
    """The file is read again when it changes; one that is open to others is refused until it is mended."""
    ingressd: Ingressd = start_ingressd(unpacker)
    token = ingressd.folder / "token"
    ingressd.caller().send(MESSAGE)
    token.write_text("another\n")
    ingressd.caller().send(MESSAGE)
    assert [call.headers["Authorization"] for call in unpacker.calls] == [f"Bearer {TOKEN}", "Bearer another"]
    token.chmod(0o644)
    assert ingressd.caller().send(MESSAGE).answer.startswith("Z")
    assert "chmod 600" in ingressd.logged("unpacker_unavailable")["detail"]
    token.chmod(0o600)
    assert ingressd.caller().send(MESSAGE).accepted


def test_readiness_asks_the_unpackers(start_ingressd: Any, unpacker: FakeUnpacker, second: FakeUnpacker) -> None:
    """One ready unpacker is enough, none is not, and the metrics count."""
    ingressd: Ingressd = start_ingressd(unpacker, second)
    ingressd.caller().send(MESSAGE)
    assert ingressd.http("/healthz")[0] == 200
    assert ingressd.http("/readyz")[0] == 200
    unpacker.stop()
    status, body = ingressd.http("/readyz")
    assert status == 200
    assert "1 of 2" in body
    second.stop()
    assert ingressd.http("/readyz")[0] == 503
    poll_until(lambda: 'qscan_ingress_messages_total{outcome="handed_over"} 1.0' in ingressd.http("/metrics")[1])
