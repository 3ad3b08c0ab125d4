"""The unpacker's asker on a real nats-server: silence, busy workers, forged and wrong answers (DESIGN §6)."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from qscan_contracts import subjects
from qscan_contracts.ids import ScanId
from qscan_contracts.scanning import (
    SILENCE_S,
    AvAnswer,
    AvRequest,
    Busy,
    Job,
    PolicyAnswer,
    Progress,
    Refused,
    Reply,
    SpamAnswer,
    SpamScore,
)
from qscan_contracts.subjects import ScanRole, Service
from qscan_contracts.vocabulary import EngineRole, UnscannedReason
from qscan_kit.bus import Bus, BusMessage, decode, encode
from qscan_testkit.nats_server import NatsServer
from qscan_testkit.scripted_gateway import CARD
from qscan_unpacker.asking import Asker
from qscan_unpacker.domain.aggregation import Failure

pytestmark = pytest.mark.anyio

ANSWER = AvAnswer((CARD,), ())
INSTANCE = "0123456789abcdef"
Worker = Callable[[BusMessage, Bus], Awaitable[None]]


async def ask(server: NatsServer, *workers: Worker, timeout_s: float = 20, busy_retries: int = 4) -> AvAnswer | Failure:
    """Ask av-gateway once, with these workers in its queue group."""
    async with AsyncExitStack() as stack:
        for worker in workers:
            bus = await server.bus(Service.AV_GATEWAY)
            stack.push_async_callback(bus.close)

            async def handle(message: BusMessage, worker: Worker = worker, bus: Bus = bus) -> None:
                await worker(message, bus)

            await bus.listen(subjects.scan(ScanRole.AV), handle, queue="av")
            await bus.client.flush()
        unpacker = await server.bus(Service.UNPACKER)
        stack.push_async_callback(unpacker.close)
        asker = Asker(unpacker, INSTANCE, max_busy_retries=busy_retries)
        await asker.start()
        deadline = asyncio.get_running_loop().time() + timeout_s
        return await asker.ask(
            ScanRole.AV,
            AvAnswer,
            ScanId("scan"),
            lambda job: AvRequest(job, (EngineRole.VIRUS,), ()),
            deadline=deadline,
        )


def says(*replies: Reply) -> Worker:
    """A worker that answers every request so."""

    async def worker(message: BusMessage, bus: Bus) -> None:
        for reply in replies:
            await bus.publish(message.reply, encode(reply))

    return worker


async def is_silent(_: BusMessage, __: Bus) -> None:
    """A worker that was stopped or killed."""


async def test_answer(nats_server: NatsServer) -> None:
    """The ordinary case; progress before it is no answer."""
    assert await ask(nats_server, says(Progress(), Progress(), ANSWER)) == ANSWER


async def test_nobody_listens(nats_server: NatsServer) -> None:
    """Known at once."""
    started = time.monotonic()
    answer = await ask(nats_server)
    assert isinstance(answer, Failure)
    assert answer.reason is UnscannedReason.NO_RESPONDERS
    assert time.monotonic() - started < 2


async def test_silence_means_another_worker(nats_server: NatsServer) -> None:
    """After `SILENCE_S` the job goes once more, with the time that is left then; a second silence ends it."""
    asked: list[Job] = []

    async def silent_once(message: BusMessage, bus: Bus) -> None:
        asked.append(decode(message.data, AvRequest).job)
        if len(asked) > 1:
            await bus.publish(message.reply, encode(ANSWER))

    started = time.monotonic()
    assert await ask(nats_server, silent_once) == ANSWER
    assert SILENCE_S <= time.monotonic() - started < SILENCE_S + 3
    assert asked[0].id == asked[1].id
    assert asked[1].timeout_ms < asked[0].timeout_ms - SILENCE_S * 900


async def test_silence_twice_is_timed_out(nats_server: NatsServer) -> None:
    """Not a third time."""
    started = time.monotonic()
    answer = await ask(nats_server, is_silent, timeout_s=60)
    assert isinstance(answer, Failure)
    assert answer.reason is UnscannedReason.TIMED_OUT
    assert time.monotonic() - started < 2 * SILENCE_S + 3


async def test_progress_keeps_a_job_alive(nats_server: NatsServer) -> None:
    """A worker that is at it longer than `SILENCE_S` is not given up."""

    async def slow(message: BusMessage, bus: Bus) -> None:
        for _ in range(4):
            await bus.publish(message.reply, encode(Progress()))
            await asyncio.sleep(2)
        await bus.publish(message.reply, encode(ANSWER))

    async def in_background(message: BusMessage, bus: Bus) -> None:
        tasks.append(asyncio.create_task(slow(message, bus)))

    tasks: list[asyncio.Task[None]] = []
    assert await ask(nats_server, in_background) == ANSWER
    assert len(tasks) == 1


async def test_the_deadline_ends_it(nats_server: NatsServer) -> None:
    """Whatever the worker says."""

    async def forever(message: BusMessage, bus: Bus) -> None:
        await bus.publish(message.reply, encode(Progress()))

    started = time.monotonic()
    answer = await ask(nats_server, forever, timeout_s=1)
    assert isinstance(answer, Failure)
    assert answer.reason is UnscannedReason.TIMED_OUT
    assert time.monotonic() - started < 3


async def test_busy_workers_are_asked_again(nats_server: NatsServer) -> None:
    """With growing pauses; the one that is free answers."""
    count = 0

    async def busy_three_times(message: BusMessage, bus: Bus) -> None:
        nonlocal count
        count += 1
        await bus.publish(message.reply, encode(ANSWER if count > 3 else Busy()))

    assert await ask(nats_server, busy_three_times) == ANSWER


async def test_always_busy_is_busy(nats_server: NatsServer) -> None:
    """After the last retry."""
    answer = await ask(nats_server, says(Busy()), busy_retries=2)
    assert isinstance(answer, Failure)
    assert answer.reason is UnscannedReason.BUSY


@pytest.mark.parametrize(
    "reply",
    [
        Refused("not now"),
        PolicyAnswer("1", ()),
        SpamAnswer(SpamScore("x", 1.0, 5.0)),
    ],
)
async def test_another_kind_of_answer_is_none(nats_server: NatsServer, reply: Reply) -> None:
    """An answer counts for the role that was asked."""
    answer = await ask(nats_server, says(reply))
    assert isinstance(answer, Failure)
    assert answer.reason is UnscannedReason.ENGINE_FAILED


@pytest.mark.parametrize("payload", [b"", b"\xff\xff", b"\x81\xa4type\xa2av", b"\x93\x01\x02\x03", b"\x91" * 5_000])
async def test_garbage_is_no_answer(nats_server: NatsServer, payload: bytes) -> None:
    """Also an empty message without the server's status header."""

    async def garbage(message: BusMessage, bus: Bus) -> None:
        await bus.publish(message.reply, payload)

    answer = await ask(nats_server, garbage)
    assert isinstance(answer, Failure)
    assert answer.reason is UnscannedReason.ENGINE_FAILED


async def test_policy_cannot_answer_for_an_engine(nats_server: NatsServer) -> None:
    """NATS itself drops what policy publishes as av-gateway; the real answer is the one that counts."""
    forger = await nats_server.bus(Service.POLICY)

    async def forged_first(message: BusMessage, bus: Bus) -> None:
        await forger.publish(message.reply, encode(AvAnswer((), ())))
        await forger.client.flush()
        await bus.publish(message.reply, encode(ANSWER))

    assert await ask(nats_server, forged_first) == ANSWER
    await forger.close()


async def test_late_and_unknown_answers_are_ignored(nats_server: NatsServer) -> None:
    """An answer after the answer, and one for a job that was never asked."""

    async def talkative(message: BusMessage, bus: Bus) -> None:
        await bus.publish(message.reply.rpartition(".")[0] + ".unknown", encode(ANSWER))
        for _ in range(3):
            await bus.publish(message.reply, encode(ANSWER))

    assert await ask(nats_server, talkative) == ANSWER
