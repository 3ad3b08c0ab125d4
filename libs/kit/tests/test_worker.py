"""The worker's side of scanning: every request gets exactly one answer, whatever happens to it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from qscan_contracts.components import Inline
from qscan_contracts.ids import ScanId
from qscan_contracts.scanning import (
    PROGRESS_EVERY_S,
    Busy,
    Job,
    PolicyAnswer,
    PolicyRequest,
    Refused,
    SpamRequest,
)
from qscan_contracts.subjects import ScanRole, Service
from qscan_kit.bus import Bus, encode
from qscan_kit.errors import ContentUnavailableError
from qscan_kit.worker import ScanWorker
from qscan_testkit.nats_server import NatsServer
from qscan_testkit.scan_asker import NoWorkerError, ScanAsker

pytestmark = pytest.mark.anyio

ROLE = ScanRole.POLICY
Handle = Callable[[PolicyRequest], Awaitable[PolicyAnswer]]


def answer(words: str = "1") -> PolicyAnswer:
    """An answer that can be told from another."""
    return PolicyAnswer(words, ())


class Gate:
    """A handler that waits until it is let go, and counts who waits."""

    def __init__(self) -> None:
        """Closed."""
        self.open = asyncio.Event()
        self.entered: asyncio.Queue[ScanId] = asyncio.Queue()

    async def handle(self, request: PolicyRequest) -> PolicyAnswer:
        """Answer with the scan id."""
        self.entered.put_nowait(request.job.scan_id)
        await self.open.wait()
        return answer(request.job.scan_id)


@pytest.fixture
async def unpacker(nats_server: NatsServer) -> AsyncIterator[Bus]:
    """The connection of an unpacker."""
    bus = await nats_server.bus(Service.UNPACKER)
    yield bus
    await bus.close()


@pytest.fixture
async def asker(unpacker: Bus) -> AsyncIterator[ScanAsker]:
    """Asks over that connection."""
    async with ScanAsker(unpacker) as asker:
        yield asker


@pytest.fixture
async def serve(nats_server: NatsServer) -> AsyncIterator[Callable[..., Awaitable[ScanWorker[PolicyRequest]]]]:
    """Starts workers, each on a connection of its own."""

    @asynccontextmanager
    async def serving(handle: Handle, max_in_flight: int) -> AsyncIterator[ScanWorker[PolicyRequest]]:
        bus = await nats_server.bus(Service.POLICY)
        worker = ScanWorker(bus, ROLE, PolicyRequest, handle, max_in_flight=max_in_flight)
        await worker.resume()
        await bus.client.flush()
        yield worker
        await worker.stop()
        await bus.close()

    async with AsyncExitStack() as stack:

        async def serve(handle: Handle, *, max_in_flight: int = 4) -> ScanWorker[PolicyRequest]:
            return await stack.enter_async_context(serving(handle, max_in_flight))

        yield serve


def request(asker: ScanAsker, *, timeout_ms: int = 10_000) -> PolicyRequest:
    """A request with a job of its own."""
    content, size, digest = asker.lend(b"", inline=True)
    return PolicyRequest(asker.job(timeout_ms=timeout_ms), content, size, digest)


async def ask(asker: ScanAsker, **job: int) -> object:
    """Ask once."""
    return await asker.ask(ROLE, request(asker, **job))


async def test_an_answer(asker, serve):
    """To the one who asked, about what was asked."""
    gate = Gate()
    gate.open.set()
    await serve(gate.handle)
    asked = request(asker)
    assert await asker.ask(ROLE, asked) == answer(asked.job.scan_id)


async def test_full_is_busy(asker, serve):
    """Said at once, and no longer when there is room again."""
    gate = Gate()
    await serve(gate.handle, max_in_flight=2)
    working = [asyncio.create_task(ask(asker)) for _ in range(2)]
    for _ in working:
        await gate.entered.get()
    assert await ask(asker) == Busy()
    gate.open.set()
    assert [type(reply) for reply in await asyncio.gather(*working)] == [PolicyAnswer] * 2
    assert isinstance(await ask(asker), PolicyAnswer)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xc1",
        b"hello",
        encode({}),
        encode({"job": {"id": 1}}),
        encode(["array"]),
        b"\x81\xa1\xff\xc0",
        b"\x91" * 10_000,
        encode(SpamRequest(Job("j", "s", 1), Inline(b""), 0, "0", {})),  # type: ignore[arg-type]  # of another role
    ],
    ids=["reserved byte", "text", "empty", "half", "array", "not UTF-8", "endless nesting", "another request"],
)
async def test_garbage_is_refused(asker, serve, garbage):
    """At once, and the next request is answered."""
    gate = Gate()
    gate.open.set()
    await serve(gate.handle)
    refused = await asker.ask(ROLE, garbage)
    assert isinstance(refused, Refused)
    assert "cannot be decoded" in refused.detail
    assert gate.entered.empty()
    assert isinstance(await ask(asker), PolicyAnswer)


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (KeyError("ann@example.org"), "internal error: KeyError"),
        (TimeoutError("ann@example.org"), "internal error: TimeoutError"),
        (RecursionError(), "internal error: RecursionError"),
        (ExceptionGroup("ann@example.org", [OSError()]), "internal error: ExceptionGroup"),
        (ContentUnavailableError("no chunk at offset 0"), "no chunk at offset 0"),
    ],
)
async def test_an_error_is_refused(asker, serve, capsys, error, detail):
    """Nobody waits for it; a bug is told by its type only, as its text may quote the mail."""

    async def fail(_: PolicyRequest) -> PolicyAnswer:
        raise error

    await serve(fail)
    assert await ask(asker) == Refused(detail)


@pytest.mark.parametrize(
    ("cannot", "detail"),
    [
        (PolicyAnswer("x" * 2_000_000, ()), "internal error: AnswerTooLargeError"),
        (PolicyAnswer("\ud800", ()), "internal error: UnicodeEncodeError"),
    ],
    ids=["too large", "half a character"],
)
async def test_an_answer_that_cannot_be_sent_is_refused(asker, serve, capsys, cannot, detail):
    """Instead of silence, which would look like a dead worker and send the request to the next one."""

    async def answer_so(_: PolicyRequest) -> PolicyAnswer:
        assert isinstance(cannot, PolicyAnswer)
        return cannot

    await serve(answer_so)
    assert await ask(asker) == Refused(detail)


async def test_the_deadline_of_the_request(asker, serve):
    """Nothing is worked on for longer than somebody waits for it."""
    await serve(Gate().handle)
    started = time.monotonic()
    refused = await ask(asker, timeout_ms=50)
    assert isinstance(refused, Refused)
    assert "deadline" in refused.detail
    assert time.monotonic() - started < 2


async def test_progress_while_it_takes_long(asker, serve):
    """Every two seconds; a fast answer has none before it."""
    gate = Gate()
    await serve(gate.handle)
    asyncio.get_running_loop().call_later(PROGRESS_EVERY_S + 0.2, gate.open.set)
    assert isinstance(await ask(asker), PolicyAnswer)
    assert asker.progress_count == 1
    assert isinstance(await ask(asker), PolicyAnswer)
    assert asker.progress_count == 1


async def test_members_share_the_work(asker, serve):
    """A request goes to one of them, and not to both."""
    gate = Gate()
    await serve(gate.handle)
    await serve(gate.handle)
    tasks = [asyncio.create_task(ask(asker)) for _ in range(4)]
    scans = {await gate.entered.get() for _ in tasks}
    gate.open.set()
    replies = await asyncio.gather(*tasks)
    assert {reply.rules_version for reply in replies if isinstance(reply, PolicyAnswer)} == scans
    assert len(scans) == 4
    assert gate.entered.empty()


async def test_paused_hands_requests_to_another(asker, serve):
    """What is in flight is still answered; nobody listens when all are paused; and it comes back."""
    paused, other = Gate(), Gate()
    other.open.set()
    worker = await serve(paused.handle)
    in_flight = asyncio.create_task(ask(asker))
    await paused.entered.get()
    colleague = await serve(other.handle)
    await worker.pause()
    assert not worker.is_listening
    for _ in range(10):
        assert isinstance(await ask(asker), PolicyAnswer)
    assert paused.entered.empty()
    await colleague.pause()
    with pytest.raises(NoWorkerError):
        await ask(asker)
    paused.open.set()
    assert isinstance(await in_flight, PolicyAnswer)
    await worker.resume()
    await worker.resume()
    assert worker.is_listening
    assert isinstance(await asker.ask_when_there(ROLE, lambda: request(asker)), PolicyAnswer)


async def test_pausing_loses_nothing(asker, serve):
    """Requests that the server has already sent to a worker that leaves are answered, too."""

    async def at_once(_: PolicyRequest) -> PolicyAnswer:
        return answer()

    worker = await serve(at_once, max_in_flight=1000)
    tasks = [asyncio.create_task(ask(asker)) for _ in range(50)]
    for _ in range(3):  # until they are written
        await asyncio.sleep(0)
    time.sleep(0.05)  # noqa: ASYNC251  # this process stands still, and the server sends them to the worker meanwhile
    await worker.pause()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(result) for result in results} == {PolicyAnswer}


async def test_stop_drains(asker, serve):
    """What is in flight is answered before it ends."""
    gate = Gate()
    worker = await serve(gate.handle)
    in_flight = asyncio.create_task(ask(asker))
    await gate.entered.get()
    stopping = asyncio.create_task(worker.stop())
    await asyncio.sleep(0.05)
    assert not stopping.done()
    with pytest.raises(NoWorkerError):
        await ask(asker)
    gate.open.set()
    await stopping
    assert isinstance(await in_flight, PolicyAnswer)


async def test_stop_does_not_wait_for_ever(asker, serve, monkeypatch):
    """What does not end is cancelled."""
    monkeypatch.setattr("qscan_kit.worker.DRAIN_S", 0.05)
    gate = Gate()
    worker = await serve(gate.handle)
    in_flight = asyncio.create_task(ask(asker))
    await gate.entered.get()
    started = time.monotonic()
    await worker.stop()
    assert time.monotonic() - started < 2
    in_flight.cancel()


async def test_a_request_without_a_reply_subject_is_ignored(asker, unpacker, serve):
    """Nobody could be answered."""
    gate = Gate()
    gate.open.set()
    await serve(gate.handle)
    await unpacker.publish("scan.v1.policy", encode(request(asker)))
    assert isinstance(await ask(asker), PolicyAnswer)
    assert gate.entered.qsize() == 1
