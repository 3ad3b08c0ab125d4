"""The server hears things in the order in which they were said (nats-py lets a PING overtake)."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from qscan_contracts.subjects import Service
from qscan_kit.bus import Bus, BusMessage
from qscan_kit.settings import ServiceSettings

pytestmark = pytest.mark.anyio


class ScriptedServer:
    """Speaks as much of the NATS protocol as it takes to connect, and keeps what it hears."""

    def __init__(self) -> None:
        """Nothing was heard yet."""
        self.heard: list[str] = []
        self.port = 0

    async def speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        writer.write(b'INFO {"server_id":"x","version":"2.12.0","headers":true,"max_payload":1048576}\r\n')
        while line := await reader.readline():
            self.heard.append(line.split()[0].decode())
            if line.startswith(b"PUB "):
                await reader.readline()
            if line == b"PING\r\n":
                writer.write(b"PONG\r\n")
        writer.close()


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    """Listening."""
    scripted = ScriptedServer()
    async with await asyncio.start_server(scripted.speak, "127.0.0.1", 0) as listening:
        scripted.port = listening.sockets[0].getsockname()[1]
        yield scripted


async def ignore(_: BusMessage) -> None:
    """Whatever comes."""


async def test_what_was_said_before_a_flush_is_known_after_it(server):
    """A subscription, its end, a message: or a worker would count as listening that no request reaches."""
    settings = ServiceSettings(nats_urls=(f"nats://127.0.0.1:{server.port}",), nats_password=SecretStr("x"))
    bus = await Bus.connect(Service.POLICY, settings)
    try:
        server.heard.clear()
        subscription = await bus.listen("scan.v1.policy", ignore)
        await bus.client.flush()
        await subscription.drain()
        await bus.publish("a", b"b")
        await bus.client.flush()
        assert server.heard == ["SUB", "PING", "UNSUB", "PING", "PUB", "PING"]
    finally:
        await bus.close()
