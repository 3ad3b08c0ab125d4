"""Spam as a process on a real NATS with production's rights, in front of a spamd that comes and goes."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from qscan_contracts.envelope import Envelope
from qscan_contracts.scanning import Busy, Refused, SpamAnswer, SpamRequest, SpamScore
from qscan_contracts.subjects import ScanRole, Service
from qscan_spam.unscored import Unscored, reason
from qscan_testkit.fake_spamd import Behaviour, FakeSpamd
from qscan_testkit.nats_server import NatsServer
from qscan_testkit.scan_asker import ScanAsker
from qscan_testkit.service_process import ServiceProcess
from qscan_testkit.waiting import wait_until

pytestmark = pytest.mark.anyio
MESSAGE = b"Subject: x\n\nhello\n"


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A server with production's rights."""
    with NatsServer(tmp_path / "nats") as server:
        yield server


@pytest.fixture
def spamd_socket(tmp_path: Path) -> Path:
    """Where the service looks for spamd; nobody is there before a test wants it."""
    return tmp_path / "spamd"


@pytest.fixture
def spam(tmp_path: Path, nats_server: NatsServer, spamd_socket: Path) -> Iterator[ServiceProcess]:
    """The service with two places at spamd and one to wait in."""
    settings = {
        "QSCAN_SPAM_ADDRESS": str(spamd_socket),
        "QSCAN_SPAM_MAX_MESSAGE_BYTES": "400000",
        "QSCAN_SPAM_MAX_IN_FLIGHT": "2",
        "QSCAN_SPAM_MAX_WAITING": "1",
    }
    with ServiceProcess("qscan_spam", tmp_path, {**nats_server.environment(Service.SPAM), **settings}) as running:
        yield running


@pytest.fixture
async def asker(nats_server: NatsServer, spam: ServiceProcess) -> AsyncIterator[ScanAsker]:
    """An unpacker, once the service listens."""
    bus = await nats_server.bus(Service.UNPACKER)
    async with ScanAsker(bus) as asking:
        await asking.ask_when_there(ScanRole.SPAM, lambda: request(asking, MESSAGE))
        yield asking
    await bus.close()


def request(asker: ScanAsker, message: bytes, *, inline: bool = True, timeout_ms: int = 10_000) -> SpamRequest:
    """A request about a message."""
    content, size, sha256 = asker.lend(message, inline=inline)
    return SpamRequest(asker.job(timeout_ms=timeout_ms), content, size, sha256, Envelope())


async def score_of(asker: ScanAsker, asked: SpamRequest) -> SpamScore:
    """The score in the answer."""
    answer = await asker.ask(ScanRole.SPAM, asked)
    assert isinstance(answer, SpamAnswer), answer
    return answer.score


async def test_without_spamd_the_answer_is_unknown_at_once_and_it_comes_back_by_itself(asker, spam, spamd_socket):
    """The worker listens whether or not spamd is up; /readyz says what to do."""
    started = time.monotonic()
    missing = await score_of(asker, request(asker, MESSAGE))
    assert time.monotonic() - started < 1
    assert (missing.score, missing.required, reason(missing)) == (None, None, Unscored.NOT_RUNNING)
    ready = spam.readiness()
    assert not ready["ready"]
    assert ready["checks"]["bus"]["ok"]
    assert "start spamd, or correct address" in ready["checks"]["spamd"]["detail"]
    async with FakeSpamd(socket_path=spamd_socket):
        assert (await score_of(asker, request(asker, MESSAGE))).score == 1.0
        assert (await asyncio.to_thread(spam.readiness))["ready"]
    assert reason(await score_of(asker, request(asker, MESSAGE))) == Unscored.NOT_RUNNING


async def test_large_messages_are_pulled_and_too_large_ones_are_not(asker, spamd_socket):
    """What spamd gets is the message byte for byte."""
    async with FakeSpamd(socket_path=spamd_socket) as fake:
        message = bytes(range(256)) * 1500
        assert (await score_of(asker, request(asker, message, inline=False))).score == 1.0
        assert fake.requests[-1].body == message
        too_big = await score_of(asker, request(asker, message + b"x" * 17_000, inline=False))
        assert reason(too_big) == Unscored.TOO_BIG
        assert len(fake.requests) == 1


async def test_a_full_service_says_busy_and_the_waiting_are_answered(asker, spam, spamd_socket):
    """Two at spamd, one waiting; the fourth is told at once. Those with spamd are answered before their deadline."""
    async with FakeSpamd(Behaviour(stalls=True), socket_path=spamd_socket) as fake:
        at_spamd = [
            asyncio.create_task(asker.ask(ScanRole.SPAM, request(asker, MESSAGE, timeout_ms=2000))) for _ in range(2)
        ]
        await wait_until(lambda: fake.open_connections == 2)
        late = [asker.ask(ScanRole.SPAM, request(asker, MESSAGE, timeout_ms=2000)) for _ in range(2)]
        answers = await asyncio.gather(*at_spamd, *late)
    assert sum(isinstance(answer, Busy) for answer in answers) == 1
    scores = [answer.score for answer in answers if isinstance(answer, SpamAnswer)]
    assert len(scores) == 3
    assert {reason(score) for score in scores} <= {Unscored.TIMED_OUT, Unscored.NO_SLOT}
    assert len(spam.said("no spam score")) >= 3


async def test_what_is_no_request_is_refused_and_a_signal_ends_it(asker, spam):
    """In order: exit status 0."""
    assert isinstance(await asker.ask(ScanRole.SPAM, b"no request"), Refused)
    spam.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(spam.process.wait, 10) == 0


async def test_a_wrong_address_stops_it_at_the_start(tmp_path, nats_server):
    """Exit status 78, and the name of the variable."""
    environment = {**nats_server.environment(Service.SPAM), "QSCAN_SPAM_ADDRESS": "run/spamd.sock"}
    with ServiceProcess("qscan_spam", tmp_path, environment) as broken:
        assert broken.process.wait(20) == 78
        assert "QSCAN_SPAM_ADDRESS: Value error, must be an absolute path of a unix socket, or host:port" in broken.log
