"""Which client should scan by clamd? `python -m benchmarks.clamd_clients`; the answer is in ADR 0001.

Its own clamd on a unix socket, one signature, cache off. Three clients, each of which checks the SHA-256 first:

* threads: the PyPI package `clamd`, one call per scan in a pool of threads;
* own: `ClamdStream`, a connection for each scan;
* session: INSTREAM inside an IDSESSION that is kept (only here: the least that can be done in asyncio).
"""

import asyncio
import io
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import clamd
import uvloop

from qscan_av_gateway.adapters.clamd_address import UnixAddress
from qscan_av_gateway.adapters.clamd_stream import CHUNK_BYTES, ClamdStream, StreamLimits
from qscan_av_gateway.clamd_config import render, write_eicar_signatures
from qscan_av_gateway.probes import content
from qscan_contracts.reports import Clean
from qscan_kit.content import InlineSource, read_all
from qscan_testkit.clamd_server import ClamdServer

Scan = Callable[[InlineSource], Awaitable[None]]

SIZES = {"4 KB": (4_000, 2_000), "100 KB": (100_000, 400), "1 MB": (1_000_000, 60), "10 MB": (10_000_000, 8)}
"""Bytes, and how many scans."""
CONCURRENCIES = (1, 8)
REPETITIONS = 3


def threads(socket: Path) -> Scan:
    """The PyPI package in threads, as many as scans at a time."""
    pool = ThreadPoolExecutor(max(CONCURRENCIES))

    def blocking(data: bytes) -> None:
        answer = clamd.ClamdUnixSocket(str(socket), timeout=30).instream(io.BytesIO(data))
        assert answer == {"stream": ("OK", None)}, answer

    async def scan(source: InlineSource) -> None:
        data = await read_all(source, 2**30)
        await asyncio.get_running_loop().run_in_executor(pool, blocking, data)

    return scan


def own(socket: Path) -> Scan:
    """The gateway's client."""
    limits = StreamLimits(max_scan_bytes=2**30, attempt_timeout_s=60, connect_timeout_s=2, send_timeout_s=30)
    stream = ClamdStream(UnixAddress(str(socket)), limits)

    async def scan(source: InlineSource) -> None:
        outcome = await stream.scan(source, timeout_s=60)
        assert outcome == Clean(), outcome

    return scan


class _Session(asyncio.Protocol):
    """An IDSESSION without time-outs, limits or anything else that a real one would need."""

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._numbers = itertools.count(1)
        self._received = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's does not say that it is one
        self._transport.write(b"zIDSESSION\0")

    def data_received(self, data: bytes) -> None:
        *replies, self._received = (self._received + data).split(b"\0")
        for reply in replies:
            number, _, words = reply.partition(b": ")
            self._waiting.pop(int(number)).set_result(words)

    async def scan(self, data: bytes) -> None:
        assert self._transport is not None
        # A scan must follow another whole: interleaved chunks would be one stream to clamd.
        future = self._waiting[next(self._numbers)] = asyncio.get_running_loop().create_future()
        frames: list[bytes] = [b"zINSTREAM\0"]
        for start in range(0, len(data), CHUNK_BYTES):
            chunk = data[start : start + CHUNK_BYTES]
            frames += (len(chunk).to_bytes(4, "big"), chunk)
        self._transport.write(b"".join((*frames, bytes(4))))
        reply = await future
        assert reply == b"stream: OK", reply


def session(socket: Path) -> Scan:
    """One session, opened at the first scan."""
    opened: list[_Session] = []

    async def scan(source: InlineSource) -> None:
        if not opened:
            _, protocol = await asyncio.get_running_loop().create_unix_connection(_Session, str(socket))
            opened.append(protocol)
        await opened[0].scan(await read_all(source, 2**30))

    return scan


async def measure(scan: Scan, server: ClamdServer, *, size: int, scans: int, concurrency: int) -> tuple[float, ...]:
    """Scans per second, and microseconds of processor per scan here and in clamd."""
    bodies = iter([content(os.urandom(16) + bytes(size - 16)) for _ in range(scans)])

    async def work() -> None:
        for body in bodies:
            await scan(body)

    started, own_started, clamd_started = time.perf_counter(), time.process_time(), server.cpu_s()
    await asyncio.gather(*(work() for _ in range(concurrency)))
    took, used = time.perf_counter() - started, time.process_time() - own_started
    return scans / took, used / scans * 1e6, (server.cpu_s() - clamd_started) / scans * 1e6


async def compare(socket: Path, server: ClamdServer) -> None:
    """Print the table: for each row the best of some repetitions, the clients taking turns."""
    clients = {"threads": threads(socket), "own": own(socket), "session": session(socket)}
    for scan in clients.values():
        await scan(content(b"warm"))
    print(f"{'size':>7} {'at a time':>9} {'client':>8} {'scans/s':>8} {'client us':>10} {'clamd us':>9}")
    for (label, (size, scans)), concurrency in itertools.product(SIZES.items(), CONCURRENCIES):
        best: dict[str, tuple[float, ...]] = {}
        for _, (name, scan) in itertools.product(range(REPETITIONS), clients.items()):
            figures = await measure(scan, server, size=size, scans=scans, concurrency=concurrency)
            best[name] = max(best.get(name, figures), figures)
        for name, (rate, used, clamd_used) in best.items():
            print(f"{label:>7} {concurrency:>9} {name:>8} {rate:>8.0f} {used:>10.0f} {clamd_used:>9.0f}")


def main() -> int:
    """Run it all."""
    with tempfile.TemporaryDirectory(prefix="qscan-bench-") as text:
        directory = Path(text)
        write_eicar_signatures(directory / "signatures")
        socket = directory / "clamd.sock"
        configuration = render(database_directory=directory / "signatures", local_socket=socket, disable_cache=True)
        with ClamdServer(directory, configuration, listens_at=str(socket)) as server:
            uvloop.run(compare(socket, server))
    return 0


if __name__ == "__main__":
    sys.exit(main())
