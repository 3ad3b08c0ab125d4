"""The store for whole messages with the rights of production: put by the unpacker, read and deleted by the archiver."""

import asyncio
import hashlib
import io
import os
import signal
import time

import pytest
from nats.js.object_store import ObjectStore

from qscan_contracts.events import ObjectReference
from qscan_contracts.ids import Sha256
from qscan_contracts.subjects import MAIL_BUCKET, Service
from qscan_kit.errors import BusUnavailableError, ContentUnavailableError
from qscan_kit.mail_store import CLEAN_UP_TIMEOUT_S, OBJECT_CHUNK_BYTES, MailStore
from qscan_kit.stream import MAIL_STREAM, StreamLimits, ensure_streams

pytestmark = pytest.mark.anyio

TIMEOUT_S = 1.0
LIMITS = StreamLimits(events_max_bytes=10_000_000, mail_max_bytes=100_000_000)


class Stores:
    """One store, as the unpacker and as the archiver have it."""

    def __init__(self, unpacker, archiver):
        self.unpacker, self.archiver = unpacker, archiver
        self.putting, self.reading = MailStore(unpacker, timeout_s=TIMEOUT_S), MailStore(archiver)

    async def put(self, name: str, data: bytes) -> ObjectReference:
        """Store bytes, and what an event would say of them."""
        size = await self.putting.put(name, io.BufferedReader(io.BytesIO(data)))
        return ObjectReference(name, size, Sha256(hashlib.sha256(data).hexdigest()))

    async def read(self, reference: ObjectReference) -> bytes:
        """The object's bytes."""
        file = io.BytesIO()
        await self.reading.read_into(reference, file)
        return file.getvalue()

    async def kept_messages(self) -> int:
        """How many messages the stream below the store holds."""
        info = await self.archiver.client.jetstream().stream_info(MAIL_STREAM)
        return int(info.state.messages)


@pytest.fixture
async def stores(nats_server):
    """An empty store."""
    unpacker, archiver = await nats_server.bus(Service.UNPACKER), await nats_server.bus(Service.ARCHIVER)
    await ensure_streams(unpacker, LIMITS)
    yield Stores(unpacker, archiver)
    await unpacker.close()
    await archiver.close()


@pytest.mark.parametrize("size", [0, 1, OBJECT_CHUNK_BYTES - 1, OBJECT_CHUNK_BYTES, OBJECT_CHUNK_BYTES + 1])
async def test_an_object_reads_back(stores, size):
    """Around the size of a chunk, and empty."""
    data = os.urandom(size)
    reference = await stores.put("s1", data)
    assert reference.size == size
    assert await stores.read(reference) == data


async def test_a_message_of_30_mb_goes_through_in_seconds(stores, record_property):
    """Both ways are linear in the size (nats-py's reading into memory is not)."""
    data = os.urandom(30_000_000)
    started = time.monotonic()
    reference = await stores.put("s1", data)
    put_s = time.monotonic() - started
    assert await stores.read(reference) == data
    read_s = time.monotonic() - started - put_s
    record_property("seconds", {"put": put_s, "read": read_s})
    assert put_s + read_s < 20


async def test_objects_do_not_mix(stores):
    """Stored at the same time, their chunks lie between each other in the stream."""
    contents = {f"s{index}": os.urandom(3 * OBJECT_CHUNK_BYTES + index) for index in range(5)}
    references = await asyncio.gather(*(stores.put(name, data) for name, data in contents.items()))
    read = await asyncio.gather(*(stores.read(reference) for reference in references))
    assert read == list(contents.values())


async def test_a_deleted_object_leaves_nothing(stores):
    """Nor does deleting what is not there do harm."""
    reference = await stores.put("s1", b"x" * 10)
    other = await stores.put("s2", b"y" * 10)
    for _ in range(2):
        await stores.reading.delete("s1")
    with pytest.raises(ContentUnavailableError, match="no object s1"):
        await stores.read(reference)
    assert await stores.read(other) == b"y" * 10
    await stores.reading.delete("s2")
    assert await stores.kept_messages() == 0


async def test_an_object_that_was_deleted_half_way_is_gone_and_can_be_deleted(stores):
    """What a crash of the archiver leaves between its two steps: the description without chunks."""
    reference = await stores.put("s1", b"x" * 10)
    await stores.archiver.client.jetstream().purge_stream(MAIL_STREAM, subject=f"$O.{MAIL_BUCKET}.C.>")
    with pytest.raises(ContentUnavailableError, match="not complete"):
        await stores.read(reference)
    await stores.reading.delete("s1")
    assert await stores.kept_messages() == 0


async def test_an_object_that_is_put_again_is_the_new_one(stores):
    """Failover between unpackers may hand the same message over twice."""
    await stores.put("s1", b"first")
    reference = await stores.put("s1", b"second")
    assert await stores.read(reference) == b"second"


async def test_a_damaged_object_is_not_handed_out(stores):
    """The digest that was kept with it is verified."""
    reference = await stores.put("s1", b"x" * (OBJECT_CHUNK_BYTES + 10))
    info = await ObjectStore(MAIL_BUCKET, MAIL_STREAM, stores.archiver.client.jetstream()).get_info("s1")
    jetstream = stores.unpacker.client.jetstream()
    await jetstream.purge_stream(MAIL_STREAM, subject=f"$O.{MAIL_BUCKET}.C.{info.nuid}")
    for chunk in (b"x" * OBJECT_CHUNK_BYTES, b"y" * 10):
        await jetstream.publish(f"$O.{MAIL_BUCKET}.C.{info.nuid}", chunk)
    with pytest.raises(ContentUnavailableError, match="digest"):
        await stores.read(reference)


async def test_the_format_is_that_of_nats_s_own_object_store(stores):
    """So that a person can look into it with NATS's tools."""
    data = os.urandom(OBJECT_CHUNK_BYTES + 10)
    await stores.put("s1", data)
    info = await ObjectStore(MAIL_BUCKET, MAIL_STREAM, stores.archiver.client.jetstream()).get_info("s1")
    assert (info.name, info.bucket, info.size, info.chunks) == ("s1", MAIL_BUCKET, len(data), 2)


async def test_a_full_store_refuses_and_loses_nothing(nats_server):
    """`discard: new`: the caller sees it and defers, the old stays, the unfinished is given back at once."""
    unpacker, archiver = await nats_server.bus(Service.UNPACKER), await nats_server.bus(Service.ARCHIVER)
    await ensure_streams(unpacker, StreamLimits(events_max_bytes=1_000_000, mail_max_bytes=4_000_000))
    stores = Stores(unpacker, archiver)
    kept = await stores.put("s1", b"x" * 2_500_000)
    messages = await stores.kept_messages()
    with pytest.raises(BusUnavailableError, match="maximum bytes exceeded"):
        await stores.put("s2", b"y" * 2_500_000)
    assert await stores.kept_messages() == messages
    assert await stores.read(kept) == b"x" * 2_500_000
    await stores.reading.delete("s1")
    await stores.put("s2", b"y" * 2_500_000)
    await ensure_streams(unpacker, LIMITS)  # and a larger limit helps too
    await stores.put("s3", b"y" * 2_500_000)
    await unpacker.close()
    await archiver.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_server_that_fails_while_an_object_is_stored_is_an_error_in_time(nats_server, stores, number):
    """Never a success, never a wait for ever; the deadline of a message is minutes, this takes seconds."""

    class Data(io.BytesIO):
        """Hits the server when the third chunk is read."""

        reads = 0

        def readinto(self, buffer):
            """Read, and at the third time do it."""
            self.reads += 1
            if self.reads == 3:
                os.kill(nats_server.pid, number)
            return super().readinto(buffer)

    started = time.monotonic()
    with pytest.raises(BusUnavailableError):
        await stores.putting.put("s1", Data(b"x" * (5 * OBJECT_CHUNK_BYTES)))
    assert time.monotonic() - started < 2 * TIMEOUT_S + CLEAN_UP_TIMEOUT_S
    nats_server.kill()


async def test_streams_are_made_once_and_kept(nats_server, stores):
    """Any number of unpackers may set them up at once; what is in them stays."""
    reference = await stores.put("s1", b"x")
    others = [await nats_server.bus(Service.UNPACKER) for _ in range(3)]
    await asyncio.gather(*(ensure_streams(bus, LIMITS) for bus in others))
    assert await stores.read(reference) == b"x"
    for bus in others:
        await bus.close()


async def test_unpackers_that_start_at_the_same_time_make_the_streams_together(nats_server):
    """Nobody fails because another was first."""
    buses = [await nats_server.bus(Service.UNPACKER) for _ in range(4)]
    await asyncio.gather(*(ensure_streams(bus, LIMITS) for bus in buses))
    for bus in buses:
        await bus.close()


async def test_without_a_server_setting_up_is_an_error_that_may_be_retried(nats_server, stores):
    """And not a hang."""
    nats_server.kill()
    with pytest.raises(BusUnavailableError):
        await ensure_streams(stores.unpacker, LIMITS, timeout_s=TIMEOUT_S)


async def test_what_was_stored_survives_a_crash_of_the_server(nats_server, stores):
    """Stored means on disk."""
    reference = await stores.put("s1", b"x" * 1000)
    nats_server.kill()
    nats_server.start()
    bus = await nats_server.bus(Service.ARCHIVER)
    file = io.BytesIO()
    await MailStore(bus).read_into(reference, file)
    assert file.getvalue() == b"x" * 1000
    await bus.close()


async def test_leftovers_are_whole_objects_and_unfinished_ones(stores):
    """What a crash of the unpacker leaves is found when it is old enough, and only then; the rest is not touched."""
    await stores.put("s1", b"x" * 10)
    kept = await stores.put("s2", b"y" * 10)
    await stores.unpacker.client.jetstream().publish(f"$O.{MAIL_BUCKET}.C.unfinished", b"z")
    assert await stores.reading.leftovers(older_than_s=60) == ()
    left = await stores.reading.leftovers(older_than_s=0)
    assert {leftover.name for leftover in left} == {"s1", "s2", None}
    for leftover in left:
        if leftover.name != "s2":
            await stores.reading.discard(leftover)
    assert await stores.read(kept) == b"y" * 10
    await stores.reading.delete("s2")
    assert await stores.kept_messages() == 0
