"""A clamd is proved again at every sign of a change, and every proof has an epoch of its own."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from qscan_av_gateway.adapters.clamd_engine import Clamd
from qscan_av_gateway.proof import PROBES
from qscan_av_gateway.watch import Standing, reload_all
from qscan_testkit.fake_clamd import Switches, hangs_up, honest

pytestmark = pytest.mark.anyio
NEVER_S = 3600


def standing(clamd: Clamd) -> Standing:
    """Where it stands now; mypy takes an attribute for what it was found to be."""
    return clamd.watched.standing


@asynccontextmanager
async def watching(*clamds):
    """Watch in the background."""
    tasks = [asyncio.create_task(clamd.watched.watch()) for clamd in clamds]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_before_the_first_look_it_is_in_doubt(start_fake, build):
    """Nothing is usable that was not proved."""
    (clamd,) = build(await start_fake())
    assert standing(clamd) is Standing.IN_DOUBT


async def test_without_a_change_there_is_no_proof(start_fake, build):
    """Polling costs a PING and a VERSION, no scans."""
    fake = await start_fake()
    (clamd,) = build(fake)
    for _ in range(5):
        await clamd.watched.look()
    assert fake.pings == 5
    assert fake.streams == len(PROBES)
    assert clamd.watched.signatures_version == "27400+1"


async def test_every_few_minutes_there_is_one_all_the_same(start_fake, build):
    """A restart that nobody saw may have changed clamd.conf; the epoch stays, as nothing is known to be new."""
    fake = await start_fake()
    (clamd,) = build(fake, prove_every_s=0.001)
    await clamd.watched.look()
    await asyncio.sleep(0.002)
    await clamd.watched.look()
    assert fake.streams == 2 * len(PROBES)
    assert clamd.watched.signatures_version == "27400+1"
    fake.switches = Switches(alert_exceeds_max=False)
    await asyncio.sleep(0.002)
    await clamd.watched.look()
    assert standing(clamd) is Standing.REFUSED


async def test_another_version_is_a_change(start_fake, build):
    """freshclam has brought new signatures."""
    fake = await start_fake()
    (clamd,) = build(fake)
    await clamd.watched.look()
    fake.version = b"ClamAV 1.4.6/27401/Tue Nov 17 09:44:38 2026"
    await clamd.watched.look()
    assert clamd.watched.signatures_version == "27401+2"
    assert fake.streams == 2 * len(PROBES)


async def test_another_socket_file_is_a_change(start_fake, build):
    """clamd was started anew between two looks, perhaps with another configuration."""
    fake = await start_fake()
    (clamd,) = build(fake)
    await clamd.watched.look()
    await fake.stop()
    await fake.start()
    fake.switches = Switches(alert_encrypted_archive=False)
    await clamd.watched.look()
    assert standing(clamd) is Standing.REFUSED
    assert "AlertEncryptedArchive" in clamd.watched.why


async def test_an_outage_and_its_end(start_fake, build, until):
    """It is seen by itself, and the clamd is proved before it is used again."""
    fake = await start_fake()
    (clamd,) = build(fake)
    async with watching(clamd):
        await until(lambda: standing(clamd) is Standing.USABLE)
        await fake.stop()
        await until(lambda: standing(clamd) is Standing.REFUSED)
        assert "does not answer" in clamd.watched.why
        await fake.start()
        await until(lambda: standing(clamd) is Standing.USABLE)
        assert clamd.watched.signatures_version == "27400+2"


async def test_a_doubt_is_looked_into_at_once(start_fake, build, until):
    """Not only at the next poll."""
    fake = await start_fake()
    (clamd,) = build(fake, poll_every_s=NEVER_S)
    async with watching(clamd):
        await until(lambda: standing(clamd) is Standing.USABLE)
        fake.behaviour = hangs_up
        clamd.watched.doubt("a scan failed")
        assert standing(clamd) is Standing.IN_DOUBT
        await until(lambda: standing(clamd) is Standing.REFUSED)


async def test_one_that_failed_is_asked_again_for_ever(start_fake, build, until):
    """When its operator has cured it, it is used, without any restart of ours."""
    fake = await start_fake(switches=Switches(alert_exceeds_max=False))
    (clamd,) = build(fake)
    async with watching(clamd):
        await until(lambda: fake.pings > 4)
        assert standing(clamd) is Standing.REFUSED
        fake.switches = Switches()
        await until(lambda: standing(clamd) is Standing.USABLE)


async def test_one_that_is_not_there_yet(tmp_path, start_fake, build, until):
    """Nothing relies on an order of starting."""
    fake = await start_fake()
    await fake.stop()
    (clamd,) = build(fake)
    async with watching(clamd):
        await until(lambda: standing(clamd) is Standing.REFUSED)
        await fake.start()
        await until(lambda: standing(clamd) is Standing.USABLE)


async def test_our_own_reload_is_a_change_twice(start_fake, build):
    """clamd does not say when it has loaded them, so the epoch rises at once and once more when it must be done."""
    fake = await start_fake()
    (clamd,) = build(fake, reload_settle_s=0.02)
    await clamd.watched.look()
    await clamd.watched.reload(step_aside=False)
    assert fake.reloads == 1
    assert clamd.watched.signatures_version == "27400+2"
    await asyncio.sleep(0.03)
    await clamd.watched.look()
    await clamd.watched.look()
    assert clamd.watched.signatures_version == "27400+3"


async def test_reloads_come_one_after_another(start_fake, build):
    """Each clamd is out of use meanwhile, as long as there is another one."""
    fakes = [await start_fake() for _ in range(3)]
    clamds = build(*fakes)
    usable_meanwhile = []

    async def note_and_scan(conversation):
        usable_meanwhile.append([clamd.watched.standing for clamd in clamds].count(Standing.USABLE))
        await honest(conversation)

    for fake, clamd in zip(fakes, clamds, strict=True):
        await clamd.watched.look()
        fake.behaviour = note_and_scan
    await reload_all([clamd.watched for clamd in clamds])
    assert [fake.reloads for fake in fakes] == [1, 1, 1]
    assert set(usable_meanwhile) == {2}


async def test_the_only_clamd_stays_in_use_while_it_reloads(start_fake, build):
    """It goes on with its old signatures, or answers when it has the new ones."""
    fake = await start_fake()
    (clamd,) = build(fake)
    standings = []

    async def note_and_scan(conversation):
        standings.append(clamd.watched.standing)
        await honest(conversation)

    await clamd.watched.look()
    fake.behaviour = note_and_scan
    await reload_all([clamd.watched])
    assert set(standings) == {Standing.USABLE}


async def test_a_reload_that_fails_is_no_outage(start_fake, build):
    """A clamd that may not be told to reload goes on with what it has."""
    fake = await start_fake(control_replies={b"RELOAD": b"COMMAND UNAVAILABLE\n"})
    (clamd,) = build(fake)
    await clamd.watched.look()
    await clamd.watched.reload(step_aside=True)
    assert standing(clamd) is Standing.USABLE


async def test_an_epoch_is_given_once(start_fake, build):
    """Two clamds with the same official signatures may differ in a site's own."""
    clamds = build(await start_fake(), await start_fake())
    for clamd in clamds:
        await clamd.watched.look()
    assert [clamd.watched.signatures_version for clamd in clamds] == ["27400+1", "27400+2"]


async def test_changes_are_announced(start_fake, build, change):
    """Whoever waits hears of every change of standing."""
    (clamd,) = build(await start_fake())
    waiting = asyncio.create_task(change.wait())
    await asyncio.sleep(0)
    await clamd.watched.look()
    await asyncio.wait_for(waiting, 1)
