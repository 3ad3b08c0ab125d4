"""Events with the rights of production: stored once, handled at least once, settled after their effect."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest
from nats.js.api import ConsumerConfig
from nats.js.errors import APIError

from qscan_contracts.events import NoticeEvent, ObjectReference, QuarantineEvent
from qscan_contracts.ids import ScanId, Sha256
from qscan_contracts.subjects import (
    ARCHIVER_CONSUMER,
    BURIED_STREAM,
    EVENTS_STREAM,
    NOTIFIER_CONSUMER,
    EventKind,
    Service,
    event,
)
from qscan_contracts.vocabulary import Disposition, QuarantineClass, Verdict
from qscan_kit.consumer import EventConsumer
from qscan_kit.errors import BusUnavailableError
from qscan_kit.stream import EventPublisher, StreamLimits, ensure_streams
from qscan_testkit.waiting import wait_until

pytestmark = pytest.mark.anyio

ACK_WAIT_S = 1.0
LIMITS = StreamLimits(events_max_bytes=10_000_000, mail_max_bytes=10_000_000, ack_wait_s=ACK_WAIT_S)
SOON_S = 15.0


def quarantine(scan_id: str) -> QuarantineEvent:
    """An event without an object."""
    return QuarantineEvent(
        ScanId(scan_id), QuarantineClass.VIRUSES, held=False, object=ObjectReference(scan_id, 1, Sha256("0" * 64))
    )


def notice(scan_id: str) -> NoticeEvent:
    """A notice about nothing."""
    return NoticeEvent(
        ScanId(scan_id), Verdict.VIRUS, Disposition.QUARANTINE, "r", "a@b", (), 0, "", "", "", None, "now", b""
    )


class Handler:
    """Remembers what it was given, and does with it what the test says."""

    def __init__(self):
        self.handled: list[str] = []
        self.failures = 0
        self.hold: asyncio.Event | None = None

    async def __call__(self, given):
        """One event."""
        self.handled.append(given.scan_id)
        if self.hold is not None:
            await self.hold.wait()
        if self.failures:
            self.failures -= 1
            raise OSError(28, "No space left on device")

    async def has(self, *scan_ids: str, timeout_s: float = SOON_S) -> None:
        """Wait until exactly these were handled, in any order."""
        await wait_until(lambda: sorted(self.handled) == sorted(scan_ids), timeout_s)


@asynccontextmanager
async def consuming(bus, handler, *, kind=EventKind.QUARANTINE):
    """A consumer that runs until the end of the block, then is cancelled as a killed process ends: without a word."""
    durable, event_type = {
        EventKind.QUARANTINE: (ARCHIVER_CONSUMER, QuarantineEvent),
        EventKind.NOTICE: (NOTIFIER_CONSUMER, NoticeEvent),
    }[kind]
    consumer = EventConsumer(bus, kind=kind, durable=durable, event_type=event_type, handle=handler)
    running = asyncio.create_task(consumer.run())
    try:
        yield consumer
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
async def buses(nats_server):
    """Connections of those who deal with events, and the streams."""
    made = {
        service: await nats_server.bus(service) for service in (Service.UNPACKER, Service.ARCHIVER, Service.NOTIFIER)
    }
    await ensure_streams(made[Service.UNPACKER], LIMITS)
    yield made
    for bus in made.values():
        await bus.close()


async def stored_events(buses) -> int:
    """How many events are in the stream."""
    info = await buses[Service.UNPACKER].client.jetstream().stream_info(EVENTS_STREAM)
    return int(info.state.messages)


async def drained(buses) -> None:
    """Wait until every event is acknowledged (which is sent without waiting)."""

    async def is_empty() -> bool:
        return await stored_events(buses) == 0

    await wait_until(is_empty, SOON_S)


async def test_each_kind_goes_to_its_consumer_and_is_gone_when_handled(buses):
    """A work queue with two filtered durables."""
    publisher = EventPublisher(buses[Service.UNPACKER])
    archiver, notifier = Handler(), Handler()
    await publisher.publish(EventKind.QUARANTINE, ScanId("s1"), quarantine("s1"))
    await publisher.publish(EventKind.NOTICE, ScanId("s1"), notice("s1"))
    await publisher.publish(EventKind.QUARANTINE, ScanId("s2"), quarantine("s2"))
    async with consuming(buses[Service.ARCHIVER], archiver):
        await archiver.has("s1", "s2")
        assert await stored_events(buses) >= 1  # the notice waits for a notifier that is not there yet
        async with consuming(buses[Service.NOTIFIER], notifier, kind=EventKind.NOTICE):
            await notifier.has("s1")
            await drained(buses)
    assert archiver.handled == ["s1", "s2"]


async def test_an_event_that_is_published_twice_is_stored_once(buses):
    """Failover hands over twice; `Nats-Msg-Id` is scan id and kind."""
    publisher, handler = EventPublisher(buses[Service.UNPACKER]), Handler()
    for _ in range(3):
        await publisher.publish(EventKind.QUARANTINE, ScanId("s1"), quarantine("s1"))
    await publisher.publish(EventKind.QUARANTINE, ScanId("s2"), quarantine("s2"))
    assert await stored_events(buses) == 2
    async with consuming(buses[Service.ARCHIVER], handler):
        await handler.has("s1", "s2")
        await drained(buses)
        # Also after it was handled: a late retry of the sender is still inside the window.
        await publisher.publish(EventKind.QUARANTINE, ScanId("s1"), quarantine("s1"))
        assert await stored_events(buses) == 0


async def test_an_event_whose_consumer_dies_comes_again(buses):
    """To whoever consumes next, after `ack_wait_s`."""
    dying, next_one = Handler(), Handler()
    dying.hold = asyncio.Event()
    await EventPublisher(buses[Service.UNPACKER]).publish(EventKind.QUARANTINE, ScanId("s1"), quarantine("s1"))
    async with consuming(buses[Service.ARCHIVER], dying):
        await dying.has("s1")
    async with consuming(buses[Service.ARCHIVER], next_one):
        await next_one.has("s1")
        await drained(buses)


async def test_an_event_whose_handling_fails_comes_again_and_keeps_nobody_waiting(buses):
    """Others are handled in the meantime."""
    handler = Handler()
    handler.failures = 2
    publisher = EventPublisher(buses[Service.UNPACKER])
    started = time.monotonic()
    async with consuming(buses[Service.ARCHIVER], handler):
        await publisher.publish(EventKind.QUARANTINE, ScanId("s1"), quarantine("s1"))
        await handler.has("s1")
        handler.failures = 1
        await publisher.publish(EventKind.QUARANTINE, ScanId("s2"), quarantine("s2"))
        await handler.has("s1", "s2")
        assert time.monotonic() - started < 0.9  # not behind the first one's delay
        await handler.has("s1", "s1", "s2", "s2")
        await drained(buses)


async def test_a_long_handling_is_not_taken_for_a_death(buses):
    """The consumer says that it is at it, so the event does not come twice."""
    handler = Handler()
    handler.hold = asyncio.Event()
    await EventPublisher(buses[Service.UNPACKER]).publish(EventKind.QUARANTINE, ScanId("s1"), quarantine("s1"))
    async with consuming(buses[Service.ARCHIVER], handler), consuming(buses[Service.ARCHIVER], handler):
        await handler.has("s1")
        await asyncio.sleep(2.5 * ACK_WAIT_S)  # what must not happen can only be waited for
        handler.hold.set()
        await drained(buses)
    assert handler.handled == ["s1"]


async def test_what_cannot_be_decoded_is_buried_with_its_bytes(buses):
    """It holds up nobody and is not lost."""
    handler = Handler()
    jetstream = buses[Service.UNPACKER].client.jetstream()
    await jetstream.publish(event(EventKind.QUARANTINE), b"\xc1 no event")
    await EventPublisher(buses[Service.UNPACKER]).publish(EventKind.QUARANTINE, ScanId("s1"), quarantine("s1"))
    async with consuming(buses[Service.ARCHIVER], handler):
        await handler.has("s1")
        await drained(buses)
    buried = await jetstream.stream_info(BURIED_STREAM)
    assert (buried.state.messages, buried.state.bytes > len(b"\xc1 no event")) == (1, True)


@pytest.mark.parametrize("ending", ["kill", "stop"])
async def test_a_consumer_goes_on_after_the_server_was_away(nats_server, buses, ending):
    """Also one that was waiting for an event when it went; what was acknowledged before is not lost."""
    handler = Handler()
    async with consuming(buses[Service.ARCHIVER], handler) as consumer:
        publisher = EventPublisher(buses[Service.UNPACKER])
        await publisher.publish(EventKind.QUARANTINE, ScanId("s1"), quarantine("s1"))
        await handler.has("s1")
        await drained(buses)
        getattr(nats_server, ending)()
        with pytest.raises(BusUnavailableError):
            await EventPublisher(buses[Service.UNPACKER], timeout_s=1).publish(
                EventKind.QUARANTINE, ScanId("s2"), quarantine("s2")
            )
        assert not (await consumer.health()).ok
        nats_server.start()
        async with asyncio.timeout(SOON_S):
            while True:
                try:
                    await publisher.publish(EventKind.QUARANTINE, ScanId("s2"), quarantine("s2"))
                except BusUnavailableError:
                    await asyncio.sleep(0.1)
                else:
                    break
        await handler.has("s1", "s2")
        await drained(buses)

        async def is_ready() -> bool:
            return bool((await consumer.health()).ok)

        await wait_until(is_ready, SOON_S)


async def test_events_that_wait_survive_a_crash_of_the_server(nats_server, buses):
    """Stored means on disk."""
    publisher, handler = EventPublisher(buses[Service.UNPACKER]), Handler()
    for index in range(20):
        await publisher.publish(EventKind.QUARANTINE, ScanId(f"s{index}"), quarantine(f"s{index}"))
    nats_server.kill()
    nats_server.start()
    async with consuming(buses[Service.ARCHIVER], handler):
        await handler.has(*(f"s{index}" for index in range(20)))


async def test_a_consumer_waits_for_streams_that_are_not_there_yet(nats_server):
    """Archiver and notifier may start before the first unpacker, which makes them."""
    handler = Handler()
    archiver, unpacker = await nats_server.bus(Service.ARCHIVER), await nats_server.bus(Service.UNPACKER)
    async with consuming(archiver, handler) as consumer:
        await asyncio.sleep(0.2)
        health = await consumer.health()
        assert (health.ok, "unpacker" in health.detail) == (False, True)
        await ensure_streams(unpacker, LIMITS)
        await EventPublisher(unpacker).publish(EventKind.QUARANTINE, ScanId("s1"), quarantine("s1"))
        await handler.has("s1")
        assert (await consumer.health()).ok
    await archiver.close()
    await unpacker.close()


async def test_a_full_stream_refuses_and_loses_nothing(nats_server):
    """`discard: new`: the caller sees it and defers."""
    unpacker, archiver = await nats_server.bus(Service.UNPACKER), await nats_server.bus(Service.ARCHIVER)
    await ensure_streams(unpacker, StreamLimits(events_max_bytes=3_000, mail_max_bytes=1_000_000))
    publisher, handler = EventPublisher(unpacker), Handler()
    stored: list[str] = []

    async def publish_until_refused() -> None:
        for index in range(100):
            await publisher.publish(EventKind.QUARANTINE, ScanId(f"s{index}"), quarantine(f"s{index}"))
            stored.append(f"s{index}")

    with pytest.raises(BusUnavailableError, match="maximum bytes exceeded"):
        await publish_until_refused()
    assert stored
    async with consuming(archiver, handler):
        await handler.has(*stored)
    await archiver.close()
    await unpacker.close()


async def test_the_consumer_of_one_service_is_closed_to_the_other(buses):
    """The notifier can neither make itself a consumer nor pull from the archiver's."""
    jetstream = buses[Service.NOTIFIER].client.jetstream(timeout=0.5)
    with pytest.raises((TimeoutError, APIError)):
        await jetstream.consumer_info(EVENTS_STREAM, ARCHIVER_CONSUMER)
    with pytest.raises((TimeoutError, APIError)):
        await jetstream.add_consumer(EVENTS_STREAM, ConsumerConfig(name="mine", filter_subject="event.v1.quarantine"))
