"""notifier on a real NATS: the administrator hears of a message once, through qmail-queue, unscanned."""

import asyncio
import email
import email.policy
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from qscan_contracts.events import NoticeEvent
from qscan_contracts.ids import ScanId
from qscan_contracts.subjects import EVENTS_STREAM, EventKind, Service, event
from qscan_contracts.vocabulary import Disposition, QuarantineClass, Verdict
from qscan_kit.bus import encode
from qscan_kit.stream import EventPublisher, StreamLimits, buried_events, ensure_streams
from qscan_notifier.bootstrap import main
from qscan_notifier.notifying import Step
from qscan_notifier.settings import NotifierSettings
from qscan_testkit.recording import RecordingQmailQueue
from qscan_testkit.waiting import wait_until

pytestmark = pytest.mark.anyio

LIMITS = StreamLimits(events_max_bytes=10_000_000, mail_max_bytes=10_000_000, ack_wait_s=1.0)


def notice(scan_id="s1", **changed) -> NoticeEvent:
    """An event about a message that was received just now."""
    ordinary = NoticeEvent(
        scan_id=ScanId(scan_id),
        verdict=Verdict.VIRUS,
        disposition=Disposition.QUARANTINE,
        reason="Eicar-Signature",
        mail_from="ann@example.org",
        recipients=("bob@example.com",),
        recipient_count=1,
        subject="an offer",
        message_id="<1@example.org>",
        header_from="ann@example.org",
        client_ip="192.0.2.1",
        received_at=datetime.now(UTC).isoformat(),
        header_block=b"Subject: an offer\n\n",
        quarantine_class=QuarantineClass.VIRUSES,
    )
    return msgspec.structs.replace(ordinary, **changed)


class Upstream:
    """What an unpacker does, and a look at what is left to do."""

    def __init__(self, bus):
        self.bus = bus

    async def publish(self, given: NoticeEvent) -> None:
        """As the hand-off does."""
        await EventPublisher(self.bus).publish(EventKind.NOTICE, given.scan_id, given)

    async def publish_again(self, given: NoticeEvent) -> None:
        """As a retry does that comes after the deduplication window."""
        await self.bus.client.jetstream().publish(event(EventKind.NOTICE), encode(given))

    async def is_done(self) -> bool:
        """Whether no event is left."""
        return bool((await self.bus.client.jetstream().stream_info(EVENTS_STREAM)).state.messages == 0)


@pytest.fixture
async def upstream(nats_server):
    """An unpacker's connection, and streams."""
    bus = await nats_server.bus(Service.UNPACKER)
    await ensure_streams(bus, LIMITS)
    yield Upstream(bus)
    await bus.close()


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """Where the recorder is compiled to."""
    return tmp_path_factory.mktemp("programs")


@pytest.fixture
def recorder(tmp_path, programs, monkeypatch):
    """A qmail-queue that keeps what it is handed."""
    made = RecordingQmailQueue.build(tmp_path / "recorded", programs=programs, fsync=False)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made


@asynccontextmanager
async def notifying(nats_server, recorder, state_dir, **changed):
    """A notifier in this process."""
    common = nats_server.settings(Service.NOTIFIER)
    settings = NotifierSettings(
        nats_urls=common.nats_urls,
        nats_password=common.nats_password,
        admin_address=changed.pop("admin_address", "postmaster@example.org"),
        qmail_queue=changed.pop("qmail_queue", recorder.program),
        state_dir=state_dir,
        **changed,
    )
    stop = asyncio.Event()
    running = asyncio.create_task(main(settings, stop))
    try:
        yield
        assert not running.done()
    finally:
        stop.set()
        await running


async def test_the_administrator_is_told(nats_server, upstream, recorder, tmp_path, monkeypatch):
    """A plain message with the null sender, queued by a program that does not scan it."""
    monkeypatch.setenv("QMAILQUEUE", "/usr/bin/qscan-queue")
    await upstream.publish(notice())
    async with notifying(nats_server, recorder, tmp_path / "state"):
        await wait_until(upstream.is_done)
    (recorded,) = recorder.messages()
    assert (recorded.mail_from, recorded.rcpt_to) == (b"", (b"postmaster@example.org",))
    assert "QMAILQUEUE" not in recorded.environ
    message = email.message_from_bytes(recorded.message, policy=email.policy.default)
    assert message["X-Qscan-Notice"] == "s1"
    assert "Eicar-Signature" in message.get_content()


async def test_the_same_event_is_told_once(nats_server, upstream, recorder, tmp_path):
    """Also by the next process."""
    for _ in range(2):
        async with notifying(nats_server, recorder, tmp_path / "state"):
            await upstream.publish_again(notice())
            await upstream.publish_again(notice())
            await wait_until(upstream.is_done)
    assert recorder.count() == 1


@pytest.mark.parametrize(
    "silent",
    [
        notice(mail_from=""),
        notice(mail_from="#@[]"),
        notice(mail_from="postmaster@example.org"),
        notice(header_block=b"X-Qscan-Notice: s0\n\n"),
        notice(received_at=(datetime.now(UTC) - timedelta(days=3)).isoformat()),
    ],
    ids=["bounce", "double bounce", "administrator", "own notice", "old"],
)
async def test_nothing_is_told_about_these(nats_server, upstream, recorder, tmp_path, silent):
    """The event is done with all the same."""
    await upstream.publish(silent)
    async with notifying(nats_server, recorder, tmp_path / "state"):
        await wait_until(upstream.is_done)
    assert recorder.count() == 0


@pytest.mark.parametrize("state_dir", [None, "state"])
async def test_without_an_administrator_there_are_no_notices(nats_server, upstream, recorder, tmp_path, state_dir):
    """And events do not pile up."""
    await upstream.publish(notice())
    async with notifying(nats_server, recorder, state_dir and tmp_path / state_dir, admin_address=""):
        await wait_until(upstream.is_done)
    assert recorder.count() == 0


async def test_a_flood_is_cut_off(nats_server, upstream, recorder, tmp_path):
    """Over a restart too."""
    for names in (range(4), range(4, 8)):
        for index in names:
            await upstream.publish(notice(f"s{index}"))
        async with notifying(nats_server, recorder, tmp_path / "state", max_notices_per_hour=3):
            await wait_until(upstream.is_done)
    assert recorder.count() == 3


async def test_a_failure_of_qmail_queue_is_waited_for(nats_server, upstream, recorder, tmp_path, monkeypatch):
    """The notice is sent when it works again."""
    monkeypatch.setenv("QSCAN_RECORDER_EXIT", "53")
    await upstream.publish(notice())
    async with notifying(nats_server, recorder, tmp_path / "state"):
        await asyncio.sleep(0.5)  # what must not happen can only be waited for
        assert not await upstream.is_done()
    monkeypatch.delenv("QSCAN_RECORDER_EXIT")
    async with notifying(nats_server, recorder, tmp_path / "state"):
        await wait_until(upstream.is_done)
    assert recorder.count() == 1


async def test_a_refusal_of_qmail_queue_is_final(nats_server, upstream, recorder, tmp_path, monkeypatch):
    """A notice is not mail: it is logged and given up, the message itself is in the quarantine."""
    monkeypatch.setenv("QSCAN_RECORDER_EXIT", "31")
    await upstream.publish(notice())
    async with notifying(nats_server, recorder, tmp_path / "state"):
        await wait_until(upstream.is_done)


@pytest.mark.parametrize("scan_id", ["../x", "", "a/b"])
async def test_an_event_whose_scan_id_is_none_is_buried(nats_server, upstream, recorder, tmp_path, scan_id):
    """It becomes a file name."""
    await upstream.publish_again(notice(scan_id))
    async with notifying(nats_server, recorder, tmp_path / "state"):
        await wait_until(upstream.is_done)
        assert await buried_events(upstream.bus) == 1
    assert recorder.count() == 0


@pytest.mark.parametrize(("step", "copies"), [(Step.COMPOSED, 1), (Step.INJECTED, 2), (Step.REMEMBERED, 1)])
async def test_a_crash_after_any_step_is_repaired(nats_server, upstream, recorder, tmp_path, step, copies):
    """kill -9 of a real process. Only between injecting and remembering it costs a second copy, known by its id."""
    environment = {
        **os.environ,
        **nats_server.environment(Service.NOTIFIER),
        "QSCAN_NOTIFIER_ADMIN_ADDRESS": "postmaster@example.org",
        "QSCAN_NOTIFIER_QMAIL_QUEUE": str(recorder.program),
        "QSCAN_NOTIFIER_STATE_DIR": str(tmp_path / "state"),
    }
    await upstream.publish(notice())
    dying = await asyncio.create_subprocess_exec(
        sys.executable, Path(__file__).with_name("dying_notifier.py"), step, env=environment, stderr=subprocess.DEVNULL
    )
    assert await asyncio.wait_for(dying.wait(), 30) == -signal.SIGKILL
    assert not await upstream.is_done()
    async with notifying(nats_server, recorder, tmp_path / "state"):
        await wait_until(upstream.is_done)
    recorded = [email.message_from_bytes(one.message) for one in recorder.messages()]
    assert [message["Message-ID"] for message in recorded] == ["<notice.s1@example.org>"] * copies
