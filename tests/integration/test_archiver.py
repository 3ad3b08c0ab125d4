"""archiver on a real NATS: what was handed over is in the quarantine once, whatever happens in between."""

import asyncio
import hashlib
import io
import os
import re
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from qscan_archiver.adapters.maildir import Maildir
from qscan_archiver.bootstrap import main
from qscan_archiver.domain.header_block import LAST_FIELD
from qscan_archiver.keeping import Keeping, Step
from qscan_archiver.lost import LostMessages
from qscan_archiver.settings import ArchiverSettings
from qscan_archiver.sweeping import Sweeper
from qscan_contracts.envelope import Envelope
from qscan_contracts.events import ObjectReference, QuarantineEvent, StoredMessage
from qscan_contracts.ids import ScanId, Sha256
from qscan_contracts.stored import write_head
from qscan_contracts.subjects import EVENTS_STREAM, EventKind, Service, event
from qscan_contracts.vocabulary import Disposition, QuarantineClass, Verdict
from qscan_kit.bus import encode
from qscan_kit.consumer import EventConsumer
from qscan_kit.errors import BusUnavailableError, ContentUnavailableError
from qscan_kit.mail_store import MailStore
from qscan_kit.stream import MAIL_STREAM, EventPublisher, StreamLimits, buried_events, ensure_streams
from qscan_testkit import messages
from qscan_testkit.waiting import wait_until

pytestmark = pytest.mark.anyio

LIMITS = StreamLimits(events_max_bytes=10_000_000, mail_max_bytes=100_000_000, ack_wait_s=1.0)
RAW = messages.eicar()


class Upstream:
    """What an unpacker does, and a look at what is left to do."""

    def __init__(self, bus):
        self.bus = bus
        self.store, self.events = MailStore(bus), EventPublisher(bus)

    async def store_message(self, scan_id: str, raw: bytes) -> ObjectReference:
        """The first half of the hand-off."""
        head = write_head(
            StoredMessage(
                scan_id=ScanId(scan_id),
                envelope=Envelope(mail_from="a@example.org", rcpt_to=("b@example.net",)),
                received_at="2026-01-02T03:04:05.678+00:00",
                verdict=Verdict.VIRUS,
                disposition=Disposition.QUARANTINE,
                reason="Eicar-Signature",
                rules_version="1",
                raw_size=len(raw),
                raw_sha256=Sha256(hashlib.sha256(raw).hexdigest()),
                quarantined_for=("b@example.net",),
            )
        )
        data = head + raw
        await self.store.put(scan_id, io.BytesIO(data))
        return ObjectReference(scan_id, len(data), Sha256(hashlib.sha256(data).hexdigest()))

    async def hand_over(self, scan_id: str, raw: bytes = RAW) -> QuarantineEvent:
        """All of it."""
        event = QuarantineEvent(
            ScanId(scan_id), QuarantineClass.VIRUSES, held=False, object=await self.store_message(scan_id, raw)
        )
        await self.events.publish(EventKind.QUARANTINE, ScanId(scan_id), event)
        return event

    async def publish_again(self, given: QuarantineEvent) -> None:
        """As a retry does that comes after the deduplication window."""
        await self.bus.client.jetstream().publish(event(EventKind.QUARANTINE), encode(given))

    async def is_done(self) -> bool:
        """Whether no event is left."""
        return bool((await self.bus.client.jetstream().stream_info(EVENTS_STREAM)).state.messages == 0)

    async def stored_messages(self) -> int:
        """How many messages the stream below the store holds."""
        return int((await self.bus.client.jetstream().stream_info(MAIL_STREAM)).state.messages)


@pytest.fixture
async def upstream(nats_server):
    """An unpacker's connection, and streams."""
    bus = await nats_server.bus(Service.UNPACKER)
    await ensure_streams(bus, LIMITS)
    yield Upstream(bus)
    await bus.close()


@pytest.fixture
def viruses(tmp_path):
    """Where the messages of these tests must arrive."""
    return tmp_path / "quarantine" / "viruses"


def settings(nats_server, viruses, **changed) -> ArchiverSettings:
    """An archiver's settings."""
    common = nats_server.settings(Service.ARCHIVER)
    return ArchiverSettings(
        nats_urls=common.nats_urls,
        nats_password=common.nats_password,
        quarantine_dir=viruses.parent,
        min_free_bytes=changed.pop("min_free_bytes", 0),
        **changed,
    )


@asynccontextmanager
async def archiving(nats_server, viruses, **changed):
    """An archiver in this process."""
    stop = asyncio.Event()
    running = asyncio.create_task(main(settings(nats_server, viruses, **changed), stop))
    try:
        yield
        assert not running.done()
    finally:
        stop.set()
        await running


def assert_arrived_once(viruses: Path, scan_id: str, raw: bytes = RAW) -> None:
    """There is exactly one file, it ends in the original, and nothing is unfinished."""
    assert [path.name for path in (viruses / "new").iterdir()] == [scan_id]
    assert list((viruses / "tmp").iterdir()) == []
    block, line, rest = (viruses / "new" / scan_id).read_bytes().partition(f"{LAST_FIELD}: ".encode())
    assert block.startswith(b"Quarantine-Description: Eicar-Signature")
    assert f"X-Qscan-Scan-Id: {scan_id}".encode() in block
    said, _, original = rest.partition(b"\n")
    assert line
    assert said.strip() == f"size={len(raw)}; sha256={hashlib.sha256(raw).hexdigest()}".encode()
    assert original == raw


@pytest.mark.parametrize("raw", [RAW, messages.eicar(messages.CRLF), b"", b"no header", b" begins with a space\n"])
async def test_a_message_arrives_and_is_gone_from_the_store(nats_server, upstream, viruses, raw):
    """Our header block in the message's line ending, then the original byte for byte."""
    await upstream.hand_over("s1", raw)
    async with archiving(nats_server, viruses):
        await wait_until(upstream.is_done)
    assert_arrived_once(viruses, "s1", raw)
    assert await upstream.stored_messages() == 0
    if raw.count(b"\r\n"):
        content = (viruses / "new" / "s1").read_bytes()
        assert content.count(b"\r\n") == content.count(b"\n")


async def test_a_message_of_30_mb_arrives(nats_server, upstream, viruses):
    """Without being held in memory."""
    raw = messages.message(attachments=(("a.bin", os.urandom(22_000_000)),))
    await upstream.hand_over("s1", raw)
    async with archiving(nats_server, viruses):
        await wait_until(upstream.is_done, 30)
    assert_arrived_once(viruses, "s1", raw)


@pytest.mark.parametrize("name_in_maildir", ["new/s1", "cur/s1:2,S"])
async def test_an_event_that_comes_twice_has_one_effect(nats_server, upstream, viruses, name_in_maildir):
    """Also when the message was stored again, and when somebody has read it in the meantime."""
    event = await upstream.hand_over("s1")
    async with archiving(nats_server, viruses):
        await wait_until(upstream.is_done)
        (viruses / "new" / "s1").rename(viruses / name_in_maildir)
        for store_too in (False, True):
            if store_too:
                await upstream.store_message("s1", RAW)
            await upstream.publish_again(event)
            await wait_until(upstream.is_done)
            files = [str(path.relative_to(viruses)) for path in viruses.rglob("*") if path.is_file()]
            assert files == [name_in_maildir]
            assert await upstream.stored_messages() == 0


@pytest.mark.parametrize("step", Step)
async def test_a_crash_after_any_step_is_repaired(nats_server, upstream, viruses, step):
    """kill -9 of a real process; the next one gets the event again and finishes: one file, and nothing left over."""
    environment = {
        **os.environ,
        **nats_server.environment(Service.ARCHIVER),
        "QSCAN_ARCHIVER_QUARANTINE_DIR": str(viruses.parent),
        "QSCAN_ARCHIVER_MIN_FREE_BYTES": "0",
    }
    await upstream.hand_over("s1")
    dying = await asyncio.create_subprocess_exec(
        sys.executable, Path(__file__).with_name("dying_archiver.py"), step, env=environment, stderr=subprocess.DEVNULL
    )
    assert await asyncio.wait_for(dying.wait(), 30) == -signal.SIGKILL
    assert not await upstream.is_done()
    arrived = step in {Step.MOVED, Step.ARRIVED, Step.DELETED}
    assert (viruses / "new" / "s1").exists() == arrived
    assert (await upstream.stored_messages() == 0) == (step is Step.DELETED)
    async with archiving(nats_server, viruses):
        await wait_until(upstream.is_done)
        stale = list((viruses / "tmp").iterdir())
        assert bool(stale) == (not arrived)
    for path in stale:
        path.unlink()  # what the sweeper does an hour later
    assert_arrived_once(viruses, "s1")
    assert await upstream.stored_messages() == 0


async def test_an_outage_of_nats_delays_and_loses_nothing(nats_server, upstream, viruses):
    """Many messages, the server killed in between."""
    names = sorted(f"s{index}" for index in range(40))
    async with archiving(nats_server, viruses):
        for name in names[:20]:
            await upstream.hand_over(name)
        nats_server.kill()
        nats_server.start()
        for name in names[20:]:

            async def is_handed_over(name: str = name) -> bool:
                try:
                    await upstream.hand_over(name)
                except BusUnavailableError:  # the sender was told to try again
                    return False
                return True

            await wait_until(is_handed_over)
        await wait_until(upstream.is_done, 30)
    assert sorted(path.name for path in (viruses / "new").iterdir()) == names


async def test_below_the_free_space_that_is_to_stay_messages_wait_in_nats(nats_server, upstream, viruses):
    """They arrive as soon as there is room."""
    await upstream.hand_over("s1")
    async with archiving(nats_server, viruses, min_free_bytes=10**18):
        await wait_until((viruses / "new").is_dir)
        await asyncio.sleep(0.5)  # what must not happen can only be waited for
        assert list((viruses / "new").iterdir()) == []
        assert not await upstream.is_done()
    async with archiving(nats_server, viruses):
        await wait_until(upstream.is_done)
    assert_arrived_once(viruses, "s1")


class FullMaildir(Maildir):
    """A maildir on a disk that takes no more bytes."""

    def create(self, name):
        """The file exists and cannot be written."""
        path, file = super().create(name)
        file.close()
        return path, Path("/dev/full").open("wb")


async def test_a_disk_that_fills_up_in_the_middle_is_an_error_and_leaves_no_file(nats_server, upstream, viruses):
    """The object stays; the event will come again."""
    maildir = FullMaildir(viruses)
    maildir.make()
    bus = await nats_server.bus(Service.ARCHIVER)
    for raw in (RAW, b"x" * 3_000_000):
        event = await upstream.hand_over(f"s{len(raw)}", raw)
        keeping = Keeping(MailStore(bus), {event.quarantine_class: maildir}, LostMessages(), min_free_bytes=0)
        with pytest.raises(OSError, match="No space left"):
            await keeping.keep(event)
    assert [path for path in viruses.rglob("*") if path.is_file()] == []
    assert len(await upstream_leftovers(bus)) == 2
    await bus.close()


async def upstream_leftovers(bus):
    """All objects in the store."""
    return await MailStore(bus).leftovers(older_than_s=0)


async def test_a_message_that_is_nowhere_is_shouted_about_until_it_is_back(nats_server, upstream, viruses):
    """It is never acknowledged, and others go on."""
    bus = await nats_server.bus(Service.ARCHIVER)
    lost, maildir = LostMessages(), Maildir(viruses)
    maildir.make()
    keeping = Keeping(MailStore(bus), {QuarantineClass.VIRUSES: maildir}, lost, min_free_bytes=0)
    event = await upstream.hand_over("s1")
    await MailStore(bus).delete("s1")
    with pytest.raises(ContentUnavailableError):
        await keeping.keep(event)
    health = await lost.health()
    assert (health.ok, "s1" in health.detail) == (False, True)
    await upstream.store_message("s1", RAW)
    await keeping.keep(event)
    assert (await lost.health()).ok
    assert_arrived_once(viruses, "s1")
    await bus.close()


@pytest.mark.parametrize("scan_id", ["../../../evil", "", "a/b", "a\nb", "s1.x", "x" * 65])
async def test_an_event_whose_scan_id_is_none_is_buried(nats_server, upstream, viruses, scan_id):
    """It becomes a file name, so only what is one is accepted."""
    reference = await upstream.store_message("s1", RAW)
    bad = QuarantineEvent(ScanId(scan_id), QuarantineClass.VIRUSES, held=False, object=reference)
    await upstream.publish_again(bad)
    async with archiving(nats_server, viruses):
        await wait_until(upstream.is_done)
        assert await buried_events(upstream.bus) == 1
    assert list(viruses.parent.parent.rglob("evil*")) == []
    assert [path for path in viruses.rglob("*") if path.is_file()] == []


class Sweeping:
    """A sweeper for which everything is old, and the consumer that its question goes to."""

    def __init__(self, bus, maildir):
        self.lost, self.store = LostMessages(), MailStore(bus)
        self.consumer = EventConsumer(
            bus, kind=EventKind.QUARANTINE, durable="archiver", event_type=QuarantineEvent, handle=self._never
        )
        self.sweeper = Sweeper(
            self.store,
            [maildir],
            self.lost,
            backlog=self.consumer.backlog,
            buried=lambda: buried_events(bus),
            leftover_after_s=0,
            stale_after_s=0,
        )

    async def _never(self, _):
        raise AssertionError


@pytest.fixture
async def sweeping(nats_server, upstream, viruses):
    """With an empty maildir."""
    maildir = Maildir(viruses)
    maildir.make()
    bus = await nats_server.bus(Service.ARCHIVER)
    yield Sweeping(bus, maildir)
    await bus.close()


async def test_objects_without_an_event_are_swept(upstream, sweeping):
    """What an unpacker leaves that dies between the two halves of the hand-off."""
    await upstream.store_message("s1", RAW)
    await upstream.store_message("s2", RAW)
    assert await sweeping.sweeper.sweep_store() == 2
    assert await upstream.stored_messages() == 0


async def test_an_object_whose_event_waits_is_not_swept(upstream, sweeping):
    """Nor is any other as long as one waits: which is whose cannot be told."""
    await upstream.hand_over("s1")
    assert await sweeping.sweeper.sweep_store() == 0
    assert await upstream.stored_messages() == 2


async def test_the_object_of_a_buried_event_is_not_swept(nats_server, upstream, sweeping, viruses):
    """It may be all there is of an accepted message."""
    await upstream.store_message("s1", RAW)
    await upstream.bus.client.jetstream().publish(event(EventKind.QUARANTINE), b"\xc1")
    async with archiving(nats_server, viruses):
        await wait_until(upstream.is_done)
    assert await sweeping.sweeper.sweep_store() == 0
    assert await upstream.stored_messages() == 2


async def test_the_damaged_object_of_a_lost_message_is_not_swept(upstream, sweeping):
    """Somebody may still read something from it."""
    await upstream.store_message("s1", RAW)
    await upstream.store_message("s2", RAW)
    sweeping.lost.report(ScanId("s1"), "damaged")
    assert await sweeping.sweeper.sweep_store() == 1
    assert [leftover.name for leftover in await sweeping.store.leftovers(older_than_s=0)] == ["s1"]


async def test_the_real_process_says_what_it_can_do_and_ends_in_order(nats_server, upstream, viruses):
    """`/readyz` asks NATS, the stream and the disk; SIGTERM ends it with status 0."""
    environment = {
        **os.environ,
        **nats_server.environment(Service.ARCHIVER),
        "QSCAN_ARCHIVER_QUARANTINE_DIR": str(viruses.parent),
        "QSCAN_ARCHIVER_MIN_FREE_BYTES": "0",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "qscan_archiver", env=environment, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    line = (await asyncio.wait_for(process.stderr.readline(), 30)).decode()
    found = re.search(r'"port": ?(\d+)', line)
    assert found, line
    port = int(found[1])

    async def ready() -> tuple[bool, str]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = (await reader.read()).decode()
        writer.close()
        return answer.startswith("HTTP/1.1 200"), answer

    async def is_ready() -> bool:
        return (await ready())[0]

    await wait_until(is_ready)
    (viruses / "tmp").rename(viruses / "gone")
    ok, answer = await ready()
    assert (ok, "cannot write to" in answer) == (False, True)
    (viruses / "gone").rename(viruses / "tmp")
    await upstream.hand_over("s1")
    await wait_until(upstream.is_done)
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 15) == 0
    assert_arrived_once(viruses, "s1")
