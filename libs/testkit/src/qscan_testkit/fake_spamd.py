"""A spamd on a real socket that answers as it is told: rightly, wrongly, late or not at all.

The answers that are right were captured from SpamAssassin 4.0.1; the adapter's tests run against it, too.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

_DRIP_EVERY_S = 0.01
_TURNS_TO_SETTLE = 5
PONG = b"SPAMD/1.5 0 PONG\r\n"
_CONTENT_LENGTH = re.compile(rb"^content-length:\s*(\d+)\s*$", re.IGNORECASE | re.MULTILINE)


def scored(score: str, required: str = "5.0", *, spam: str = "False", symbols: Sequence[str] = ()) -> bytes:
    """spamd's answer to SYMBOLS. The numbers are texts, so that they may be absurd."""
    body = ",".join(symbols).encode()
    return b"SPAMD/1.1 0 EX_OK\r\nContent-length: %d\r\nSpam: %s ; %s / %s\r\n\r\n%s" % (
        len(body),
        spam.encode(),
        score.encode(),
        required.encode(),
        body,
    )


def failed(code: int, word: str) -> bytes:
    """spamd's answer when it cannot: a code of sysexits.h with its name."""
    return b"SPAMD/1.0 %d %s\r\n\r\n" % (code, word.encode())


@dataclass(frozen=True)
class Behaviour:
    """What the fake does with one connection.

    Attributes:
        answer: what it says before it hangs up; empty for nothing.
        reads_request: whether it reads the request to its end first.
        stalls: after the answer it keeps the connection open, until the client goes away or the fake is closed.
        drip: what a stalling one says again and again meanwhile. With it the fake notices that the client is gone.
    """

    answer: bytes = b""
    reads_request: bool = True
    stalls: bool = False
    drip: bytes = b""


@dataclass(frozen=True)
class SeenRequest:
    """A request as it came. Field names are lower case."""

    verb: str
    fields: Mapping[str, str]
    body: bytes


@dataclass
class FakeSpamd:
    """Use as an asynchronous context manager; `behaviour` may be changed at any time, for the next connection.

    `address` is what the spam service's setting of that name wants; PING is always answered unless `behaviour` does
    not read requests or stalls.
    """

    behaviour: Behaviour = field(default_factory=lambda: Behaviour(scored("1.0")))
    socket_path: Path | None = None
    """Listen at this unix socket; None: at a free port of 127.0.0.1."""
    requests: list[SeenRequest] = field(default_factory=list)
    open_connections: int = 0
    _address: str = ""
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def address(self) -> str:
        """Where it listens."""
        return self._address

    async def __aenter__(self) -> Self:
        """Listen."""
        if self.socket_path is not None:
            self._server = await asyncio.start_unix_server(self._accept, self.socket_path)
            self._address = str(self.socket_path)
        else:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
            self._address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop listening and hang up on everybody."""
        # Python 3.11 loses a connection that it is just accepting when the server is closed.
        for _ in range(_TURNS_TO_SETTLE):
            await asyncio.sleep(0)
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        task = asyncio.create_task(self._converse(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_connections += 1
        try:
            await self._serve(self.behaviour, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client went away
        finally:
            self.open_connections -= 1
            self._writers.discard(writer)
            writer.close()

    async def _serve(self, behaviour: Behaviour, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer = behaviour.answer
        if behaviour.reads_request:
            request = await _read_request(reader)
            self.requests.append(request)
            if request.verb == "PING" and not behaviour.stalls:
                answer = PONG
        writer.write(answer)
        await writer.drain()
        while behaviour.stalls:
            writer.write(behaviour.drip)
            await writer.drain()
            await asyncio.sleep(_DRIP_EVERY_S)


async def _read_request(reader: asyncio.StreamReader) -> SeenRequest:
    head = await reader.readuntil(b"\r\n\r\n")
    line, *lines = head.decode("ascii").rstrip("\r\n").split("\r\n")
    length = _CONTENT_LENGTH.search(head)
    body = await reader.readexactly(int(length[1])) if length else b""
    fields = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)}
    return SeenRequest(line.partition(" ")[0], fields, body)
