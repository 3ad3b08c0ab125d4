"""The gateway is in the queue group exactly as long as something can scan."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from qscan_av_gateway.readiness import Readiness, follow
from qscan_av_gateway.watch import Standing
from qscan_kit.errors import BusUnavailableError
from qscan_testkit.fake_clamd import Switches

pytestmark = pytest.mark.anyio
NATS = ("nats://127.0.0.1:4222",)


class FakeGroup:
    """A queue group that may be out of order."""

    def __init__(self) -> None:
        self.is_listening = False
        self.changes: list[str] = []
        self.failures = 0

    async def resume(self) -> None:
        """Join."""
        if self.failures:
            self.failures -= 1
            message = "not connected"
            raise BusUnavailableError(message)
        self.is_listening = True
        self.changes.append("in")

    async def pause(self) -> None:
        """Leave."""
        self.is_listening = False
        self.changes.append("out")


@asynccontextmanager
async def following(group, readiness, change):
    """Follow in the background."""
    task = asyncio.create_task(follow(group, readiness, change))
    await asyncio.sleep(0.01)
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_in_while_one_is_usable_and_out_while_none_is(start_fake, build, change, until):
    """A clamd in doubt is not yet a reason to leave."""
    fakes = [await start_fake(), await start_fake()]
    clamds = [clamd.watched for clamd in build(*fakes)]
    group = FakeGroup()
    async with following(group, Readiness(clamds, nats_urls=NATS), change):
        assert group.changes == []
        await clamds[0].look()
        await until(lambda: group.is_listening)
        await fakes[0].stop()
        clamds[0].doubt("a scan failed")
        await asyncio.sleep(0.01)
        assert group.changes == ["in"]
        await clamds[1].look()
        await clamds[0].look()
        assert clamds[0].standing is Standing.REFUSED
        assert group.is_listening
        await fakes[1].stop()
        await clamds[1].look()
        await until(lambda: not group.is_listening)
        await fakes[0].start()
        await clamds[0].look()
        await until(lambda: group.is_listening)
    assert group.changes == ["in", "out", "in"]


async def test_a_bus_that_is_away_is_asked_again(start_fake, build, change, until):
    """Joining is tried until it works."""
    (clamd,) = build(await start_fake())
    group = FakeGroup()
    group.failures = 1
    async with following(group, Readiness([clamd.watched], nats_urls=NATS), change):
        await clamd.watched.look()
        await until(lambda: group.is_listening)


async def test_readyz_asks_the_real_thing(start_fake, build):
    """A clamd that has gone since the last look is not ready."""
    fake = await start_fake()
    (clamd,) = build(fake)
    readiness = Readiness([clamd.watched], nats_urls=NATS)
    assert not (await readiness.engine()).ok
    await clamd.watched.look()
    health = await readiness.engine()
    assert health.ok
    assert health.detail == f"{fake.address} ClamAV 1.4.6, signatures 27400+1"
    await fake.stop()
    health = await readiness.engine()
    assert not health.ok
    assert "does not answer" in health.detail


async def test_readyz_says_what_is_wrong_and_what_to_do(start_fake, build):
    """Of each clamd, also while another one is fine."""
    bad = await start_fake(switches=Switches(alert_exceeds_max=False))
    good = await start_fake()
    clamds = [clamd.watched for clamd in build(bad, good)]
    for clamd in clamds:
        await clamd.look()
    health = await Readiness(clamds, nats_urls=NATS).engine()
    assert health.ok
    assert f"{bad.address} refused: it calls 120 zip files" in health.detail
    assert "AlertExceedsMax yes" in health.detail
    health = await Readiness(clamds[:1], nats_urls=NATS).engine()
    assert not health.ok


async def test_before_the_bus_is_there_readyz_says_so():
    """Instead of failing."""
    health = await Readiness([], nats_urls=NATS).bus()
    assert not health.ok
    assert NATS[0] in health.detail
