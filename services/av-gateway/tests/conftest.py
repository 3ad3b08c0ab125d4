"""Fakes and short times for the tests of the gateway."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from qscan_av_gateway.adapters.clamd_engine import Clamd
from qscan_av_gateway.bootstrap import clamds
from qscan_av_gateway.settings import AvGatewaySettings
from qscan_av_gateway.watch import Change
from qscan_testkit.fake_clamd import FakeClamd

StartFake = Callable[..., Awaitable[FakeClamd]]
Until = Callable[..., Awaitable[None]]
Build = Callable[..., list[Clamd]]


@pytest.fixture
def until() -> Until:
    """Waits until a condition is true."""

    async def wait(condition: Callable[[], object], timeout_s: float = 20.0) -> None:
        async with asyncio.timeout(timeout_s):
            while not condition():  # noqa: ASYNC110  # what is waited for has no event
                await asyncio.sleep(0.005)

    return wait


@pytest.fixture
async def start_fake(tmp_path: Path) -> AsyncIterator[StartFake]:
    """Starts fake clamds, each with a socket of its own; they end with the test."""
    async with AsyncExitStack() as stack:
        started = 0

        async def start(**attributes) -> FakeClamd:
            nonlocal started
            started += 1
            return await stack.enter_async_context(FakeClamd(tmp_path / f"clamd{started}.sock", **attributes))

        yield start


@pytest.fixture
def change() -> Change:
    """What announces changes of standing."""
    return Change()


@pytest.fixture
def build(change: Change) -> Build:
    """Makes the gateway's clamds of fakes, with time-outs that suit a test; other settings by keyword."""

    def make(*fakes: FakeClamd, **settings) -> list[Clamd]:
        times = {
            "attempt_timeout_s": 3,
            "connect_timeout_s": 0.5,
            "send_timeout_s": 0.5,
            "control_timeout_s": 2,
            "proof_timeout_s": 5,
            "poll_every_s": 0.05,
        }
        return clamds(
            AvGatewaySettings(**{"clamd_addresses": [fake.address for fake in fakes], **times, **settings}), change
        )

    return make
