"""A clamd to test clients against: a real socket, the real protocol, and any misbehaviour that a test asks for.

Left alone it is an honest small scanner that knows EICAR, looks into zip files, and has the switches of clamd.conf that
make a clamd say `OK` to what it did not look at. It counts its connections, so that a leak is seen.
"""

import asyncio
import io
import select
import zipfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

_CHUNK_HEADER_BYTES = 4
_LONGEST_COMMAND_BYTES = 1024
_ENCRYPTED_FLAG = 1
# In pieces, so that no engine reports this source file (eicar.org).
_EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-" + b"ANTIVIRUS-" + b"TEST-FILE!" + b"$H+H*"


@dataclass(frozen=True, kw_only=True)
class Switches:
    """What an operator may get wrong in clamd.conf; the defaults are right."""

    has_signatures: bool = True
    alert_exceeds_max: bool = True
    alert_encrypted_archive: bool = True
    alert_encrypted_doc: bool = True
    heuristic_scan_precedence: bool = False
    max_recursion: int = 17
    stream_max_bytes: int = 100 * 1024 * 1024


class Conversation:
    """One INSTREAM as the daemon has it: what the client sends can be read, and anything said back."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, switches: Switches) -> None:
        """After the command, before the first chunk."""
        self._reader, self._writer = reader, writer
        self.switches = switches

    async def next_chunk(self) -> bytes:
        """The next chunk of the stream, empty at its end. Raises IncompleteReadError when the client hangs up."""
        size = int.from_bytes(await self._reader.readexactly(_CHUNK_HEADER_BYTES), "big")
        return await self._reader.readexactly(size)

    async def whole_stream(self) -> bytes:
        """All chunks."""
        chunks: list[bytes] = []
        while chunk := await self.next_chunk():
            chunks.append(chunk)
        return b"".join(chunks)

    async def say(self, words: bytes) -> None:
        """Send words exactly as they are."""
        self._writer.write(words)
        await self._writer.drain()

    async def wait_for_the_client_to_leave(self) -> None:
        """Wait until the client hangs up, without reading anything."""
        poll = select.poll()
        poll.register(self._writer.get_extra_info("socket").fileno(), select.POLLRDHUP)
        while not poll.poll(0):  # noqa: ASYNC110 (asyncio hears of a hang-up only by reading)
            await asyncio.sleep(0.005)


Behaviour = Callable[[Conversation], Awaitable[None]]
"""What the daemon does after an INSTREAM command; when it returns, the daemon hangs up."""


async def honest(conversation: Conversation) -> None:
    """Scan, as well as the switches allow."""
    data = b""
    while chunk := await conversation.next_chunk():
        data += chunk
        if len(data) > conversation.switches.stream_max_bytes:
            await conversation.say(b"INSTREAM size limit exceeded. ERROR\0")
            return
    name = _judge(data, conversation.switches)
    await conversation.say(b"stream: " + (name + b" FOUND\0" if name else b"OK\0"))


def says(words: bytes) -> Behaviour:
    """Reads everything, says `words`, hangs up."""

    async def behave(conversation: Conversation) -> None:
        await conversation.whole_stream()
        await conversation.say(words)

    return behave


def says_slowly(words: bytes, *, pause_s: float = 0.005) -> Behaviour:
    """The same, byte by byte."""

    async def behave(conversation: Conversation) -> None:
        await conversation.whole_stream()
        for byte in words:
            await conversation.say(bytes([byte]))
            await asyncio.sleep(pause_s)

    return behave


def says_early(words: bytes, *, hangs_up: bool) -> Behaviour:
    """Reads one chunk, says `words`, and hangs up or just reads no more."""

    async def behave(conversation: Conversation) -> None:
        await conversation.next_chunk()
        await conversation.say(words)
        if not hangs_up:
            await conversation.wait_for_the_client_to_leave()

    return behave


async def hangs_up(conversation: Conversation) -> None:
    """Reads everything and hangs up without a word, as a clamd that crashes."""
    await conversation.whole_stream()


async def hangs_up_early(conversation: Conversation) -> None:
    """Reads one chunk and hangs up without a word."""
    await conversation.next_chunk()


async def never_answers(conversation: Conversation) -> None:
    """Reads everything and says nothing, until the client has enough."""
    await conversation.whole_stream()
    await conversation.wait_for_the_client_to_leave()


async def never_reads(conversation: Conversation) -> None:
    """Takes the connection and does nothing with it, until the client has enough."""
    await conversation.wait_for_the_client_to_leave()


@dataclass
class FakeClamd:
    """The daemon. As an asynchronous context manager it listens on entering; `behaviour` may be changed at any time.

    Attributes:
        listens_at: a path of a unix socket, or a host for TCP with a free port.
        version: the reply to VERSION.
        behaviour: what it does with each INSTREAM.
        control_replies: what it says to a command instead of the right words; ``None`` for saying nothing.
        pings: how many it has heard.
        reloads: how many it has heard.
        streams: how many INSTREAM it has heard.
        connections: how many are open now.
        most_connections: how many were open at a time.
    """

    listens_at: Path | str
    version: bytes = b"ClamAV 1.4.6/27400/Mon Nov 16 09:44:38 2026"
    behaviour: Behaviour = honest
    switches: Switches = field(default_factory=Switches)
    control_replies: dict[bytes, bytes | None] = field(default_factory=dict)
    pings: int = 0
    reloads: int = 0
    streams: int = 0
    connections: int = 0
    most_connections: int = 0
    _server: asyncio.Server | None = None
    _port: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def address(self) -> str:
        """As av-gateway's settings have it."""
        if isinstance(self.listens_at, Path):
            return f"unix:{self.listens_at}"
        host = f"[{self.listens_at}]" if ":" in self.listens_at else self.listens_at
        return f"tcp:{host}:{self._port}"

    async def start(self) -> None:
        """Listen; started again, at the same address."""
        if isinstance(self.listens_at, Path):
            self.listens_at.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(self._serve, self.listens_at)
        else:
            self._server = await asyncio.start_server(self._serve, self.listens_at, self._port)
            self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections from now on, and drop those that are open."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def __aenter__(self) -> Self:
        """Listen."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self.connections += 1
        self.most_connections = max(self.connections, self.most_connections)
        try:
            await self._answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client went away, or the test is over
        finally:
            self.connections -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        command, end = await _read_command(reader)
        if command in self.control_replies:
            reply = self.control_replies[command]
            if reply is None:
                await reader.read()
            else:
                writer.write(reply)
                await writer.drain()
            return
        match command:
            case b"PING":
                self.pings += 1
                writer.write(b"PONG" + end)
            case b"VERSION":
                writer.write(self.version + end)
            case b"RELOAD":
                self.reloads += 1
                writer.write(b"RELOADING" + end)
            case b"INSTREAM":
                self.streams += 1
                await self.behaviour(Conversation(reader, writer, self.switches))
            case _:
                writer.write(b"UNKNOWN COMMAND" + end)
        await writer.drain()


async def _read_command(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """A command and what ends the replies to it (clamd(8): a prefix of n or z)."""
    end = b"\0" if await reader.readexactly(1) == b"z" else b"\n"
    command = b""
    while not command.endswith(end) and len(command) < _LONGEST_COMMAND_BYTES:
        command += await reader.readexactly(1)
    return command[:-1], end


def _judge(data: bytes, switches: Switches) -> bytes:
    """The name that clamd would give, empty for OK: a real signature first, unless a heuristic takes precedence."""
    names: list[bytes] = []
    _look_into(data, 1, switches, names)
    heuristics = [name for name in names if name.startswith(b"Heuristics.")]
    signatures = [name for name in names if name not in heuristics]
    ranked = heuristics + signatures if switches.heuristic_scan_precedence else signatures + heuristics
    return ranked[0] if ranked else b""


def _look_into(data: bytes, depth: int, switches: Switches, names: list[bytes]) -> None:
    if depth > switches.max_recursion:
        if switches.alert_exceeds_max:
            names.append(b"Heuristics.Limits.Exceeded.MaxRecursion")
        return
    if switches.has_signatures and _EICAR in data:
        names.append(b"Eicar-Test-Signature")
    if switches.alert_encrypted_doc and data.startswith(b"%PDF") and b"/Encrypt" in data:
        names.append(b"Heuristics.Encrypted.PDF")
    if not data.startswith(b"PK"):
        return
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for member in archive.infolist():
            if not member.flag_bits & _ENCRYPTED_FLAG:
                _look_into(archive.read(member), depth + 1, switches, names)
            elif switches.alert_encrypted_archive:
                names.append(b"Heuristics.Encrypted.Zip")
