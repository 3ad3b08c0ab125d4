"""Failover between clamds, bounds and deadlines."""

import asyncio
import time

import pytest

from qscan_av_gateway.adapters.clamd_engine import ClamdEngine
from qscan_av_gateway.probes import content
from qscan_av_gateway.watch import Standing
from qscan_contracts.reports import Clean, Detected, Unscanned
from qscan_contracts.vocabulary import UnscannedReason
from qscan_testkit.fake_clamd import Switches, hangs_up, never_answers, says

pytestmark = pytest.mark.anyio
PLENTY_S = 10.0
SOMETHING = content(b"something to look at")


@pytest.fixture
def engine_of(build, change):
    """An engine of fakes that have been looked at once, and its clamds; the first one is asked first."""

    async def make(*fakes, doubt_wait_s=0, attempt_timeout_s=3, **settings):
        found = build(*fakes, attempt_timeout_s=attempt_timeout_s, **settings)
        for one in found:
            await one.watched.look()
        return ClamdEngine(found, change, attempt_timeout_s=attempt_timeout_s, doubt_wait_s=doubt_wait_s), found

    return make


async def test_the_report_names_the_clamd_that_made_it(start_fake, engine_of):
    """Two clamds may have different signatures, and each epoch is given once."""
    first, second = await start_fake(), await start_fake(version=b"ClamAV 1.5.4/27401/Tue Nov 17 09:44:38 2026")
    engine, found = await engine_of(first, second)
    assert (await engine.scan(SOMETHING, timeout_s=PLENTY_S)).card.signatures_version == "27400+1"
    found[0].load = 5
    card = (await engine.scan(SOMETHING, timeout_s=PLENTY_S)).card
    assert (card.engine_version, card.signatures_version) == ("ClamAV 1.5.4", "27401+2")


async def test_a_refused_connection_costs_no_attempt(start_fake, engine_of):
    """The next one is asked at once, and the one that refused is in doubt."""
    fakes = [await start_fake() for _ in range(4)]
    engine, found = await engine_of(*fakes)
    for fake in fakes[:3]:
        await fake.stop()
    started = time.monotonic()
    assert (await engine.scan(SOMETHING, timeout_s=PLENTY_S)).outcome == Clean()
    assert time.monotonic() - started < 1.5, "less than the time to connect three times"
    assert [one.watched.standing for one in found] == [Standing.IN_DOUBT] * 3 + [Standing.USABLE]


@pytest.mark.parametrize("behaviour", [hangs_up, says(b"stream: oops ERROR\0"), says(b"\xff\0"), never_answers])
async def test_a_failed_attempt_is_made_once_more_elsewhere(start_fake, engine_of, behaviour):
    """Whatever way it failed in."""
    bad, good = await start_fake(), await start_fake()
    engine, _ = await engine_of(bad, good, attempt_timeout_s=1)
    bad.behaviour, good.behaviour = behaviour, says(b"stream: Evil FOUND\0")
    assert (await engine.scan(SOMETHING, timeout_s=PLENTY_S)).outcome == Detected("Evil")


async def test_two_attempts_are_enough(start_fake, engine_of):
    """Content that crashes clamds does not get to crash all of them (field-lessons 28)."""
    fakes = [await start_fake() for _ in range(3)]
    engine, _ = await engine_of(*fakes)
    before = [fake.streams for fake in fakes]
    for fake in fakes:
        fake.behaviour = hangs_up
    outcome = (await engine.scan(SOMETHING, timeout_s=PLENTY_S)).outcome
    assert isinstance(outcome, Unscanned)
    assert outcome.reason is UnscannedReason.ENGINE_CRASHED
    assert [fake.streams - count for fake, count in zip(fakes, before, strict=True)] == [1, 1, 0]


async def test_a_second_attempt_needs_the_time_of_a_whole_one(start_fake, engine_of):
    """DESIGN §3: it starts only when that much is left."""
    bad, good = await start_fake(), await start_fake()
    engine, _ = await engine_of(bad, good, attempt_timeout_s=0.5)
    bad.behaviour, streams = never_answers, good.streams
    outcome = (await engine.scan(SOMETHING, timeout_s=0.9)).outcome
    assert isinstance(outcome, Unscanned)
    assert outcome.reason is UnscannedReason.TIMED_OUT
    assert good.streams == streams


@pytest.mark.parametrize(
    "words",
    [
        b"stream: OK\0",
        b"stream: Evil FOUND\0",
        b"stream: Heuristics.Limits.Exceeded.MaxFiles FOUND\0",
        b"stream: Heuristics.Encrypted.Zip FOUND\0",
        b"INSTREAM size limit exceeded. ERROR\0",
    ],
)
async def test_an_answer_is_an_answer(start_fake, engine_of, words):
    """What another clamd would say as well is not asked again, and no reason to doubt the one that said it."""
    first, second = await start_fake(), await start_fake()
    engine, found = await engine_of(first, second)
    first.behaviour, streams = says(words), second.streams
    await engine.scan(SOMETHING, timeout_s=PLENTY_S)
    assert second.streams == streams
    assert found[0].watched.standing is Standing.USABLE


async def test_a_clamd_that_failed_its_proof_is_never_asked(start_fake, engine_of):
    """Also when it is the only one."""
    fake = await start_fake(switches=Switches(alert_exceeds_max=False))
    engine, _ = await engine_of(fake)
    streams = fake.streams
    outcome = (await engine.scan(SOMETHING, timeout_s=PLENTY_S)).outcome
    assert isinstance(outcome, Unscanned)
    assert outcome.reason is UnscannedReason.ENGINE_FAILED
    assert outcome.retryable
    assert "AlertExceedsMax" in outcome.detail
    assert fake.streams == streams


async def test_connections_are_bounded(start_fake, engine_of):
    """A clamd never gets more scans at a time than it has threads for."""
    fake = await start_fake()
    engine, _ = await engine_of(fake, max_connections=3)
    fake.most_connections = 0

    async def slowly(conversation):
        await conversation.whole_stream()
        await asyncio.sleep(0.02)
        await conversation.say(b"stream: OK\0")

    fake.behaviour = slowly
    examined = await asyncio.gather(*(engine.scan(SOMETHING, timeout_s=PLENTY_S) for _ in range(20)))
    assert {type(one.outcome) for one in examined} == {Clean}
    assert fake.most_connections == 3


async def test_the_load_is_shared(start_fake, engine_of):
    """The least busy clamd is asked."""
    fakes = [await start_fake() for _ in range(2)]
    engine, found = await engine_of(*fakes)
    before = [fake.streams for fake in fakes]
    await asyncio.gather(*(engine.scan(SOMETHING, timeout_s=PLENTY_S) for _ in range(10)))
    assert [fake.streams - count for fake, count in zip(fakes, before, strict=True)] == [5, 5]
    assert [one.load for one in found] == [0, 0]


async def test_waiting_for_a_connection_ends_with_the_deadline(start_fake, engine_of):
    """Then it is `busy`, which is nobody's fault."""
    fake = await start_fake()
    engine, found = await engine_of(fake, max_connections=1, attempt_timeout_s=2)
    fake.behaviour = never_answers
    first = asyncio.create_task(engine.scan(SOMETHING, timeout_s=2))
    await asyncio.sleep(0)
    outcome = (await engine.scan(SOMETHING, timeout_s=0.1)).outcome
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert isinstance(outcome, Unscanned)
    assert outcome.reason is UnscannedReason.BUSY
    assert found[0].watched.standing is Standing.USABLE
    assert found[0].load == 0


async def test_a_scan_waits_a_little_for_the_only_clamd_that_is_in_doubt(start_fake, engine_of):
    """So that one failed scan does not fail all that come in the milliseconds of a new proof."""
    fake = await start_fake()
    engine, found = await engine_of(fake, doubt_wait_s=5)
    found[0].watched.doubt("a test")
    scanning = asyncio.create_task(engine.scan(SOMETHING, timeout_s=PLENTY_S))
    await asyncio.sleep(0)
    await found[0].watched.look()
    assert (await scanning).outcome == Clean()


async def test_waiting_for_a_clamd_in_doubt_has_an_end(start_fake, engine_of):
    """Nobody proves it, so the scan gives up."""
    fake = await start_fake()
    engine, found = await engine_of(fake, doubt_wait_s=0.1)
    found[0].watched.doubt("a test")
    outcome = (await engine.scan(SOMETHING, timeout_s=PLENTY_S)).outcome
    assert isinstance(outcome, Unscanned)
    assert "a test" in outcome.detail


async def test_a_scan_does_not_wait_for_a_clamd_in_doubt_while_there_is_another(start_fake, engine_of):
    """Failover is at once."""
    fakes = [await start_fake() for _ in range(2)]
    engine, found = await engine_of(*fakes, doubt_wait_s=5)
    found[0].watched.doubt("a test")
    started = time.monotonic()
    assert (await engine.scan(SOMETHING, timeout_s=PLENTY_S)).outcome == Clean()
    assert time.monotonic() - started < 4
