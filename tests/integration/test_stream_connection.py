"""The bus never gives up: no start order, no outage and no frozen server needs a person."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from qscan_contracts.subjects import ScanRole, Service, scan
from qscan_kit.bus import Bus
from qscan_testkit.nats_server import NatsServer
from qscan_testkit.waiting import wait_until

pytestmark = pytest.mark.anyio

RECOVERY_S = 10.0


async def hears_again(worker: Bus, unpacker: Bus, heard: list[bytes]) -> None:
    """Whether a request reaches the worker: asked again and again, as one alone may get lost in an outage."""
    heard.clear()
    async with asyncio.timeout(RECOVERY_S):
        while not heard:
            if unpacker.is_connected and worker.is_connected:
                await unpacker.publish(scan(ScanRole.AV), b"request")
            await asyncio.sleep(0.05)


async def test_a_client_waits_for_a_server_that_comes_later(tmp_path):
    """Services rely on no order of starting."""
    server = NatsServer(tmp_path)
    server.reserve_port()
    connecting = asyncio.create_task(server.bus(Service.POLICY))
    await asyncio.sleep(1.2)  # several tries
    assert not connecting.done()
    with server:
        bus = await asyncio.wait_for(connecting, RECOVERY_S)
        assert (await bus.health()).ok
        await bus.close()


async def test_a_client_with_a_wrong_password_waits_for_a_server_that_takes_it(tmp_path):
    """A password that is rotated while a service starts is no reason to stop for ever."""
    server = NatsServer(tmp_path)
    server.start()
    settings = server.settings(Service.POLICY)
    server.kill()
    right, server.passwords[Service.POLICY] = server.passwords[Service.POLICY], "another"
    server.start()
    connecting = asyncio.create_task(Bus.connect(Service.POLICY, settings))
    await asyncio.sleep(0.8)
    assert not connecting.done()
    server.kill()
    server.passwords[Service.POLICY] = right
    with server:
        bus = await asyncio.wait_for(connecting, RECOVERY_S)
        await bus.close()


@pytest.mark.parametrize("ending", ["kill", "stop"])
async def test_a_server_that_ends_and_comes_back_is_used_again(nats_server, ending):
    """Subscriptions are there again, and nothing published in between is kept for later."""
    heard: list[bytes] = []

    async def hear(message):
        heard.append(message.data)

    worker, unpacker = await nats_server.bus(Service.AV_GATEWAY), await nats_server.bus(Service.UNPACKER)
    await worker.listen(scan(ScanRole.AV), hear, queue="av")
    await hears_again(worker, unpacker, heard)
    for _ in range(2):
        getattr(nats_server, ending)()
        await wait_until(lambda: not worker.is_connected and not unpacker.is_connected)
        assert not (await worker.health()).ok
        nats_server.start()
        await hears_again(worker, unpacker, heard)
        assert (await worker.health()).ok
    await worker.close()
    await unpacker.close()


def stopped(pid: int) -> bool:
    """Whether every thread of a process has stopped."""
    stats = [file.read_text() for file in Path(f"/proc/{pid}/task").glob("*/stat")]
    return all(stat.rpartition(")")[2].split()[0] == "T" for stat in stats)


async def test_a_server_that_freezes_and_thaws_is_used_again(nats_server):
    """While it is frozen the health check says so within seconds; its late answers make nobody deaf."""
    heard: list[bytes] = []

    async def hear(message):
        heard.append(message.data)

    worker, unpacker = await nats_server.bus(Service.AV_GATEWAY), await nats_server.bus(Service.UNPACKER)
    await worker.listen(scan(ScanRole.AV), hear, queue="av")
    await hears_again(worker, unpacker, heard)
    os.kill(nats_server.pid, signal.SIGSTOP)
    try:
        # On a busy machine its threads stop one after another, and one of them might still answer.
        await wait_until(lambda: stopped(nats_server.pid), RECOVERY_S)
        started = time.monotonic()
        assert not (await worker.health()).ok
        assert not (await worker.health()).ok
        assert time.monotonic() - started < RECOVERY_S
    finally:
        os.kill(nats_server.pid, signal.SIGCONT)
    await hears_again(worker, unpacker, heard)
    assert (await worker.health()).ok
    await worker.close()
    await unpacker.close()


async def test_a_connection_that_is_lost_for_good_is_not_lived_with(nats_server):
    """A server that reloads other passwords ends connections in a way nats-py never recovers from: say so and end."""
    lost = asyncio.Event()
    bus = await Bus.connect(Service.SPAM, nats_server.settings(Service.SPAM), on_lost=lost.set)
    nats_server.passwords[Service.SPAM] = "another"
    nats_server.reload()
    await asyncio.wait_for(lost.wait(), RECOVERY_S)
    await bus.close()


async def test_closing_is_not_losing(nats_server):
    """Nobody is alarmed by an orderly end."""
    lost = asyncio.Event()
    bus = await Bus.connect(Service.SPAM, nats_server.settings(Service.SPAM), on_lost=lost.set)
    await bus.close()
    assert not lost.is_set()
