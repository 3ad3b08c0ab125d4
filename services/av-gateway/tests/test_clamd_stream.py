"""Reaching a clamd: names, full backlogs, and how long anything may take. What it says is in the exam."""

import asyncio
import socket
import time

import pytest

from qscan_av_gateway.adapters.clamd_address import TcpAddress, UnixAddress
from qscan_av_gateway.adapters.clamd_stream import ClamdStream, StreamLimits, Unreachable
from qscan_av_gateway.probes import content
from qscan_contracts.reports import Clean
from qscan_testkit.fake_clamd import FakeClamd

pytestmark = pytest.mark.anyio
LIMITS = StreamLimits(max_scan_bytes=1_000_000, attempt_timeout_s=2, connect_timeout_s=0.2, send_timeout_s=1)
SOMETHING = content(b"something to look at")


async def test_a_full_backlog_is_waited_for(tmp_path):
    """A busy clamd takes the connection a little later."""
    path = str(tmp_path / "clamd.sock")
    waiting = []
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(0)
        while True:
            waiting.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
            try:
                waiting[-1].connect(path)
            except BlockingIOError:
                break
        started = time.monotonic()
        result = await ClamdStream(UnixAddress(path), LIMITS).scan(SOMETHING, timeout_s=5)
        assert isinstance(result, Unreachable)
        assert 0.15 < time.monotonic() - started < 4
        scanning = asyncio.create_task(ClamdStream(UnixAddress(path), LIMITS).scan(SOMETHING, timeout_s=5))
        for _ in waiting[:-1]:
            listening.accept()[0].close()
        connection, _ = await asyncio.to_thread(listening.accept)
        connection.sendall(b"stream: OK\0")
        assert await scanning == Clean()
        connection.close()
    for one in waiting:
        one.close()


async def test_a_name_with_several_addresses():
    """The next one is tried when the first refuses: localhost is ::1 and 127.0.0.1 on most hosts."""
    async with FakeClamd("127.0.0.1") as fake:
        port = int(fake.address.rpartition(":")[2])
        stream = ClamdStream(TcpAddress("localhost", port), LIMITS)
        for _ in range(3):
            assert await stream.scan(SOMETHING, timeout_s=5) == Clean()


async def test_a_name_without_an_address():
    """Is an outage like any other: names come and go."""
    result = await ClamdStream(TcpAddress("no-such-host.invalid", 3310), LIMITS).scan(SOMETHING, timeout_s=5)
    assert isinstance(result, Unreachable)


async def test_an_ipv6_address_keeps_its_scope():
    """A link-local address is one only together with its interface."""
    result = await ClamdStream(TcpAddress("fe80::1%lo", 3310), LIMITS).scan(SOMETHING, timeout_s=5)
    assert isinstance(result, Unreachable)
