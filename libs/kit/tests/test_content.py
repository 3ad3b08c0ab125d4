"""Content: a reader that has seen the end has seen the right bytes, and little of them at a time."""

import hashlib
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import pytest

from qscan_contracts import subjects
from qscan_contracts.components import ByReference, Chunk, ChunkRequest, Inline
from qscan_contracts.ids import Sha256
from qscan_contracts.scanning import CHUNK_BYTES
from qscan_contracts.subjects import Service
from qscan_kit.bus import Bus, BusMessage, decode, encode
from qscan_kit.content import CHUNKS_AHEAD, ContentSource, InlineSource, PulledSource, read_all, source
from qscan_kit.errors import ContentUnavailableError
from qscan_testkit.nats_server import NatsServer

pytestmark = pytest.mark.anyio

SOME = bytes(range(256)) * 1024 * 3 + b"tail"  # three chunks and a bit
NOTHING = Sha256(hashlib.sha256(b"").hexdigest())
PATTERN = bytes(range(256)) * (CHUNK_BYTES // 256)


def sha256(data: bytes) -> Sha256:
    """The digest of some bytes."""
    return Sha256(hashlib.sha256(data).hexdigest())


class Holder:
    """An unpacker that hands out what `give` gives, and counts what it was asked for."""

    def __init__(self, bus: Bus, give: Callable[[ChunkRequest], Chunk | bytes | None]) -> None:
        """Serve over `bus`, a connection of the unpacker."""
        self._bus, self._give = bus, give
        self.asked: list[ChunkRequest] = []

    async def start(self) -> None:
        """Listen."""
        await self._bus.listen(subjects.chunks("holder"), self._on_request)
        await self._bus.client.flush()

    async def _on_request(self, message: BusMessage) -> None:
        request = decode(message.data, ChunkRequest)
        self.asked.append(request)
        given = self._give(request)
        if given is not None:
            await self._bus.publish(message.reply, given if isinstance(given, bytes) else encode(given))


def of(data: bytes) -> Callable[[ChunkRequest], Chunk]:
    """Holds `data`."""
    return lambda request: Chunk(True, data[request.offset : request.offset + request.length])


@pytest.fixture
async def unpacker(nats_server: NatsServer) -> AsyncIterator[Bus]:
    """The connection of a holder."""
    bus = await nats_server.bus(Service.UNPACKER)
    yield bus
    await bus.close()


@pytest.fixture
async def worker(nats_server: NatsServer) -> AsyncIterator[Bus]:
    """The connection of a reader."""
    bus = await nats_server.bus(Service.AV_GATEWAY)
    yield bus
    await bus.close()


@pytest.fixture
def holds(unpacker: Bus) -> Callable[..., object]:
    """Makes a holder that listens."""

    async def holds(give: Callable[[ChunkRequest], Chunk | bytes | None]) -> Holder:
        holder = Holder(unpacker, give)
        await holder.start()
        return holder

    return holds


def pulled(worker: Bus, data: bytes, *, size: int | None = None, digest: Sha256 | None = None) -> ContentSource:
    """The way to `data` for a worker, or to what is promised instead."""
    reference = ByReference(subjects.chunks("holder"), "token")
    return source(worker, reference, size=len(data) if size is None else size, sha256=digest or sha256(data))


async def refused(content: ContentSource) -> str:
    """Why it cannot be read to its end."""
    with pytest.raises(ContentUnavailableError) as caught:
        async for _ in content.chunks():
            pass
    return str(caught.value)


async def test_inline(worker):
    """It came with the request; again and again."""
    content = source(worker, Inline(SOME), size=len(SOME), sha256=sha256(SOME))
    assert isinstance(content, InlineSource)
    assert (content.size, content.sha256) == (len(SOME), sha256(SOME))
    assert await read_all(content, len(SOME)) == await read_all(content, len(SOME)) == SOME


async def test_inline_that_is_not_what_was_promised(worker):
    """The digest is checked there, too."""
    assert "SHA-256" in await refused(source(worker, Inline(SOME), size=len(SOME), sha256=sha256(b"other")))


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, len(SOME)])
async def test_pulled(worker, holds, size):
    """In order and complete, and a second time from the start; at most a chunk at a time, no byte asked for twice."""
    data = SOME[:size]
    holder = await holds(of(data))
    content = pulled(worker, data)
    assert isinstance(content, PulledSource)
    for _ in range(2):
        holder.asked.clear()
        chunks = [chunk async for chunk in content.chunks()]
        assert b"".join(chunks) == data
        assert all(0 < len(chunk) <= CHUNK_BYTES for chunk in chunks)
        assert [request.offset for request in holder.asked] == list(range(0, size, CHUNK_BYTES))
        assert sum(request.length for request in holder.asked) == size
        assert {request.token for request in holder.asked} <= {"token"}


async def test_two_readings_side_by_side(worker, holds):
    """Two engines read the same content."""
    await holds(of(SOME))
    content = pulled(worker, SOME)
    one, other = content.chunks(), content.chunks()
    both = [(await anext(one), await anext(other)) for _ in range(4)]
    assert [first for first, _ in both] == [second for _, second in both]
    assert b"".join(first for first, _ in both) == SOME
    for chunks in (one, other):
        with pytest.raises(StopAsyncIteration):
            await anext(chunks)


async def test_other_bytes_than_promised(worker, holds):
    """The reader sees them, but never the end."""
    await holds(of(SOME[:-1] + b"!"))
    assert "SHA-256" in await refused(pulled(worker, SOME))


async def test_promised_empty_but_is_not(worker):
    """A digest that is not the one of nothing."""
    assert "SHA-256" in await refused(pulled(worker, b"", digest=sha256(SOME)))
    assert await read_all(pulled(worker, b"", digest=NOTHING), 0) == b""


async def test_shorter_than_promised(worker, holds):
    """The last chunk has not the length that was asked for."""
    await holds(of(SOME))
    assert "no longer holds" in await refused(pulled(worker, SOME, size=len(SOME) + 1))


async def test_longer_than_promised(worker, holds):
    """Only what was promised is read, and has another digest."""
    await holds(of(SOME))
    assert "SHA-256" in await refused(pulled(worker, SOME, size=len(SOME) - 1))


async def test_a_chunk_that_is_too_long(worker, holds):
    """A holder that says more than it was asked is not believed."""
    await holds(lambda request: Chunk(True, b"x" * (request.length + 1)))
    assert "no longer holds" in await refused(pulled(worker, SOME))


async def test_the_holder_no_longer_has_it(worker, holds):
    """The message was given up meanwhile: known at once."""
    await holds(lambda request: Chunk(False) if request.offset else of(SOME)(request))
    assert "no longer holds" in await refused(pulled(worker, SOME))


@pytest.mark.parametrize("garbage", [b"", b"\xc1", b"\x92\xc3\xa1\xff"])
async def test_garbage_instead_of_a_chunk(worker, holds, garbage):
    """Whatever it is."""
    await holds(lambda _: garbage)
    assert "no chunk" in await refused(pulled(worker, SOME))


async def test_nobody_holds_it(worker):
    """The unpacker is gone: the server says so at once, nobody waits for a time-out."""
    assert "no chunk at offset 0" in await refused(pulled(worker, SOME))


async def test_the_holder_goes_away_half_way(worker, unpacker, holds):
    """What was read is of no use then."""
    await holds(of(SOME * 10))
    chunks = pulled(worker, SOME * 10).chunks()
    assert await anext(chunks) == SOME[:CHUNK_BYTES]
    await unpacker.close()
    with pytest.raises(ContentUnavailableError, match="no chunk"):
        async for _ in chunks:
            pass


async def test_a_holder_that_says_nothing(worker, holds, monkeypatch):
    """It is waited for a bounded time."""
    monkeypatch.setattr("qscan_kit.content.CHUNK_TIMEOUT_S", 0.05)
    await holds(lambda _: None)
    assert "no chunk at offset 0" in await refused(pulled(worker, SOME))


async def test_the_bus_goes_away_half_way(tmp_path, monkeypatch):
    """Whether the connection is lost for a while or ended for good."""
    monkeypatch.setattr("qscan_kit.content.CHUNK_TIMEOUT_S", 1)
    with NatsServer(tmp_path) as server:
        unpacker, worker = await server.bus(Service.UNPACKER), await server.bus(Service.AV_GATEWAY)
        await Holder(unpacker, of(SOME * 10)).start()
        interrupted, ended = pulled(worker, SOME * 10).chunks(), pulled(worker, SOME * 10).chunks()
        assert await anext(interrupted) == await anext(ended)
        server.kill()
        with pytest.raises(ContentUnavailableError):
            async for _ in interrupted:
                pass
        await worker.close()
        with pytest.raises(ContentUnavailableError):
            async for _ in ended:
                pass
        assert await refused(pulled(worker, SOME))
        await unpacker.close()


async def test_leaving_early_listens_no_longer(worker, holds):
    """An engine that found something reads no further; nothing of it stays behind."""
    await holds(of(SOME))
    before = worker.client._subs.copy()  # noqa: SLF001  # it has no other word for this
    content = pulled(worker, SOME)
    assert isinstance(content, PulledSource)
    async with aclosing(content.chunks()) as chunks:
        await anext(chunks)
        assert len(worker.client._subs) == len(before) + 1  # noqa: SLF001  # as above
    assert worker.client._subs == before  # noqa: SLF001  # as above


async def test_thirty_megabytes_a_few_chunks_at_a_time(worker, holds):
    """However large: no more chunks are asked for than are used up, and no more are in memory."""
    count = 120
    holder = await holds(lambda request: Chunk(True, PATTERN[: request.length]))
    digest = hashlib.sha256()
    for _ in range(count):
        digest.update(PATTERN)
    content = pulled(worker, b"", size=count * CHUNK_BYTES, digest=Sha256(digest.hexdigest()))
    used = 0
    tracemalloc.start()
    try:
        async for _ in content.chunks():
            used += 1
            assert len(holder.asked) <= used + CHUNKS_AHEAD
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used == len(holder.asked) == count
    assert peak_bytes < 8 * 1024 * 1024


async def test_read_all_has_a_limit(worker):
    """Asked before anything is read."""
    with pytest.raises(ContentUnavailableError, match="larger than the limit of 9"):
        await read_all(pulled(worker, b"0123456789"), 9)
