"""One scan by clamd's INSTREAM over a connection of its own (clamd(8)). ADR 0001 says why it is not the PyPI package.

Sockets are used directly instead of asyncio's transports, because a transport that fails to send drops what clamd
has already answered, and that answer is the only thing that tells «too big» from «gone».
"""

import asyncio
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from qscan_av_gateway.adapters.clamd_address import ClamdAddress, TcpAddress, UnixAddress
from qscan_av_gateway.adapters.clamd_reply import MAX_REPLY_BYTES, parse_reply
from qscan_contracts.reports import Clean, Outcome, Unscanned
from qscan_contracts.vocabulary import UnscannedReason
from qscan_kit.content import ContentSource
from qscan_kit.errors import ContentUnavailableError

CHUNK_BYTES = 64 * 1024
_Place = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]
"""As getaddrinfo gives it; an IPv6 address has a scope."""
_COMMAND = b"zINSTREAM\0"
_END = bytes(4)
_NAMES_KEPT_S = 5.0
_BACKLOG_FULL_WAIT_S = 0.02


@dataclass(frozen=True, kw_only=True)
class StreamLimits:
    """What one scan may take.

    Attributes:
        max_scan_bytes: larger content is not sent; below clamd's StreamMaxLength and MaxFileSize.
        attempt_timeout_s: from the connection to the reply.
        connect_timeout_s: until clamd takes the connection.
        send_timeout_s: without any progress while bytes are sent.
    """

    max_scan_bytes: int
    attempt_timeout_s: float
    connect_timeout_s: float
    send_timeout_s: float


@dataclass(frozen=True)
class Unreachable:
    """Nothing was sent: clamd did not take the connection."""

    detail: str


class ClamdStream:
    """Scans by one clamd. Bounds nothing: whoever calls it bounds the number of scans at a time."""

    def __init__(self, address: ClamdAddress, limits: StreamLimits) -> None:
        """Scan by the clamd at `address`; nothing is connected before a scan."""
        self.address: Final = address
        self.limits: Final = limits
        self._resolved: list[_Place] = []
        self._resolved_until = 0.0

    async def scan(self, content: ContentSource, *, timeout_s: float) -> Outcome | Unreachable:
        """Send `content` and read what clamd says, within `timeout_s` and the limits. Raises only when cancelled."""
        if content.size > self.limits.max_scan_bytes:
            return Unscanned.because(
                UnscannedReason.TOO_BIG, f"{content.size} bytes, max_scan_bytes is {self.limits.max_scan_bytes}"
            )
        loop = asyncio.get_running_loop()
        attempt = _Attempt(loop, content, self.limits, loop.time() + min(timeout_s, self.limits.attempt_timeout_s))
        connection: socket.socket | None = None
        try:
            async with asyncio.timeout_at(attempt.until(self.limits.connect_timeout_s)) as clock:
                connection = await self._connect(loop)
                return await attempt.run(connection, clock)
        except TimeoutError:
            if connection is None:
                return Unreachable(f"did not take the connection within {self.limits.connect_timeout_s:g} s")
            return Unscanned.because(UnscannedReason.TIMED_OUT, f"clamd stalled {attempt.phase}")
        except ContentUnavailableError as error:
            # Closing without the end mark makes clamd forget the scan.
            return Unscanned.because(UnscannedReason.CONTENT_UNAVAILABLE, str(error))
        except OSError as error:
            if connection is None:
                return Unreachable(error.strerror or str(error))
            return Unscanned.because(UnscannedReason.ENGINE_CRASHED, f"connection lost {attempt.phase}: {error}")
        finally:
            if connection is not None:
                connection.close()

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> socket.socket:
        if isinstance(self.address, UnixAddress):
            return await _connect_unix(self.address)
        problem = OSError(f"{self.address.host} has no address")
        for family, address in await self._resolve(self.address, loop):
            connection = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            try:
                # The end mark is a small packet of its own at times: Nagle would hold it back for 40 ms.
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await loop.sock_connect(connection, address)
            except OSError as error:
                connection.close()
                problem = error
            except BaseException:
                connection.close()
                raise
            else:
                return connection
        raise problem

    async def _resolve(self, address: TcpAddress, loop: asyncio.AbstractEventLoop) -> list[_Place]:
        if loop.time() >= self._resolved_until:
            found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
            self._resolved = [(family, sockaddr) for family, _, _, _, sockaddr in found]
            self._resolved_until = loop.time() + _NAMES_KEPT_S
        return self._resolved


async def _connect_unix(address: UnixAddress) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        while True:
            try:
                connection.connect(address.path)
            except BlockingIOError:
                # unix(7): the backlog is full; there is nothing to wait for but time.
                await asyncio.sleep(_BACKLOG_FULL_WAIT_S)
            else:
                return connection
    except BaseException:
        connection.close()
        raise


class _Attempt:
    """One conversation with clamd; `phase` says for the log where it is."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, content: ContentSource, limits: StreamLimits, deadline: float
    ) -> None:
        self.phase = "while connecting"
        self._loop, self._content, self._limits = loop, content, limits
        self._deadline = deadline
        self._reading: asyncio.Task[bytes] | None = None

    def until(self, patience_s: float) -> float:
        """When patience ends: in `patience_s` from now, or with the whole attempt."""
        return min(self._deadline, self._loop.time() + patience_s)

    async def run(self, connection: socket.socket, clock: asyncio.Timeout) -> Outcome:
        try:
            everything_sent = await self._send(connection, clock)
            self.phase = "while it scanned"
            clock.reschedule(self._deadline)
            reply = await (self._reading or _read_reply(self._loop, connection))
        finally:
            if self._reading is not None and not self._reading.done():
                # It must let go of the socket before that is closed.
                self._reading.cancel()
                with suppress(asyncio.CancelledError):
                    await self._reading
        outcome = parse_reply(reply)
        if isinstance(outcome, Clean) and not everything_sent:
            return Unscanned.because(UnscannedReason.ENGINE_FAILED, "clamd said clean before it had all bytes")
        return outcome

    async def _send(self, connection: socket.socket, clock: asyncio.Timeout) -> bool:
        """Send everything, in one go if it fits into a chunk; False when clamd answered or hung up before the end."""
        self.phase = "while it was sent the bytes"
        frames: list[bytes | memoryview] = [_COMMAND]
        waiting_bytes = 0
        async for piece in self._content.chunks():
            for start in range(0, len(piece), CHUNK_BYTES):
                chunk = memoryview(piece)[start : start + CHUNK_BYTES]
                if waiting_bytes + len(chunk) > CHUNK_BYTES:
                    if not await self._flush(connection, frames, clock):
                        return False
                    frames, waiting_bytes = [], 0
                frames += (len(chunk).to_bytes(4, "big"), chunk)
                waiting_bytes += len(chunk)
        frames.append(_END)
        return await self._flush(connection, frames, clock, last=True)

    async def _flush(
        self,
        connection: socket.socket,
        frames: list[bytes | memoryview],
        clock: asyncio.Timeout,
        *,
        last: bool = False,
    ) -> bool:
        if self._reading is None and not last:
            # clamd may answer before the end (size limit, error) and hang up: hear it before sending fails.
            self._reading = self._loop.create_task(_read_reply(self._loop, connection))
        if self._reading is not None and self._reading.done():
            return False
        clock.reschedule(self.until(self._limits.send_timeout_s))
        try:
            await self._loop.sock_sendall(connection, b"".join(frames))
        except (BrokenPipeError, ConnectionResetError):
            # clamd hung up; what it said before is still there to be read.
            return False
        return True


async def _read_reply(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> bytes:
    """What clamd says up to a NUL, its hanging up, or more than a reply can be."""
    reply = b""
    while b"\0" not in reply and len(reply) <= MAX_REPLY_BYTES:
        try:
            received = await loop.sock_recv(connection, MAX_REPLY_BYTES)
        except ConnectionResetError:
            break
        if not received:
            break
        reply += received
    return reply
