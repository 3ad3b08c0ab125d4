"""A service that handles events ends in order, and ends when one of its parts does."""

import asyncio
from typing import Any, cast

import pytest

from qscan_contracts.subjects import Service
from qscan_kit.bus import Bus
from qscan_kit.consumer import EventConsumer
from qscan_kit.handling import Work, serve_events
from qscan_kit.settings import ServiceSettings
from qscan_testkit.nats_server import NatsServer

pytestmark = pytest.mark.anyio


class Consumer:
    """Stands in for an `EventConsumer`: handles one event that takes as long as the test says."""

    def __init__(self) -> None:
        self.started, self.may_end, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def run(self) -> None:
        """Handle the event, then wait for another."""
        self.started.set()
        await self.may_end.wait()
        self.ended.set()
        await asyncio.Event().wait()

    async def until_idle(self) -> None:
        """Wait for the event's end."""
        await self.ended.wait()


def work(consumer: Consumer, *beside: Any) -> Work:
    """What a service does."""
    return Work(cast("EventConsumer[Any]", consumer), beside)


async def test_the_event_in_hand_is_finished(tmp_path):
    """An orderly end interrupts nothing."""
    consumer, stop = Consumer(), asyncio.Event()
    with NatsServer(tmp_path) as server:
        serving = asyncio.create_task(
            serve_events(
                Service.NOTIFIER, server.settings(Service.NOTIFIER), stop, work=lambda _: work(consumer), checks={}
            )
        )
        await asyncio.wait_for(consumer.started.wait(), 10)
        stop.set()
        done, _ = await asyncio.wait({serving}, timeout=0.3)
        assert not done
        consumer.may_end.set()
        await asyncio.wait_for(serving, 10)


@pytest.mark.parametrize("error", [None, ValueError("a bug")])
async def test_a_part_that_ends_by_itself_ends_the_service(tmp_path, error):
    """A service that only half works must not look alive."""

    async def part() -> None:
        if error is not None:
            raise error

    def broken(_: Bus) -> Work:
        return work(Consumer(), part())

    with NatsServer(tmp_path) as server, pytest.raises(type(error) if error else RuntimeError):
        await asyncio.wait_for(
            serve_events(Service.NOTIFIER, server.settings(Service.NOTIFIER), asyncio.Event(), work=broken, checks={}),
            10,
        )


async def test_a_service_that_waits_for_nats_can_be_ended(tmp_path):
    """SIGTERM is obeyed without a server too."""
    stop = asyncio.Event()
    server = NatsServer(tmp_path)
    server.reserve_port()
    settings: ServiceSettings = server.settings(Service.NOTIFIER)
    serving = asyncio.create_task(
        serve_events(Service.NOTIFIER, settings, stop, work=lambda _: work(Consumer()), checks={})
    )
    done, _ = await asyncio.wait({serving}, timeout=0.3)
    assert not done
    stop.set()
    await asyncio.wait_for(serving, 10)
