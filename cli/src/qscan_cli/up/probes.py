"""How `qscan up` and doctor find out whether a part is ready: each is asked in its own language."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

Probe = Callable[[], Awaitable[str]]
"""Returns what is not ready yet, in words for people, or the empty text."""

TIMEOUT_S = 6.0
"""More than the 5 s that a service gives its own checks."""
_LARGEST_ANSWER_BYTES = 65536


async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, question: bytes, answer: bytes) -> bool:
    """Send `question` and tell whether the reply starts with `answer`; closes the connection."""
    try:
        writer.write(question)
        await writer.drain()
        return await reader.readexactly(len(answer)) == answer
    except asyncio.IncompleteReadError:
        return False
    finally:
        writer.close()


async def _ask(address: str | tuple[str, int], question: bytes, answer: bytes, what: str) -> str:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            if isinstance(address, str):
                streams = await asyncio.open_unix_connection(address)
            else:
                streams = await asyncio.open_connection(*address)
            return "" if await answers(*streams, question, answer) else f"{what} gives a wrong answer"
    except TimeoutError:
        return f"{what} does not answer"
    except OSError as error:
        return f"{what} cannot be reached: {error.strerror or error}"


def nats(host: str, port: int) -> Probe:
    """A NATS server speaks first."""
    return lambda: _ask((host, port), b"", b"INFO ", "nats-server")


def clamd(path: Path) -> Probe:
    """clamd at a unix socket; it listens after it has loaded its signatures."""
    return lambda: _ask(str(path), b"zPING\0", b"PONG\0", "clamd")


def spamd(path: Path) -> Probe:
    """spamd at a unix socket."""
    return lambda: _ask(str(path), b"PING SPAMC/1.5\r\n\r\n", b"SPAMD/", "spamd")


def ingress(path: Path) -> Probe:
    """ingressd takes a connection from qscan-queue."""

    async def ask() -> str:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.setblocking(False)  # noqa: FBT003  # the socket module's own spelling
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await asyncio.get_running_loop().sock_connect(connection, str(path))
        except TimeoutError:
            return "ingressd takes no connections"
        except OSError as error:
            return f"ingressd cannot be reached: {error.strerror or error}"
        finally:
            connection.close()
        return ""

    return ask


def service(host: str, port: int) -> Probe:
    """A service of ours: its ``/readyz``, which asks the real thing."""

    async def ask() -> str:
        try:
            status, body = await http_get(host, port, "/readyz")
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            return f"/readyz gives no answer: {error}"
        return "" if status == 200 else _failing(body)  # noqa: PLR2004  # HTTP's own number

    return ask


def both(first: Probe, second: Probe) -> Probe:
    """Ready when both are; the first that is not says why."""

    async def ask() -> str:
        return await first() or await second()

    return ask


async def http_get(host: str, port: int, path: str) -> tuple[int, bytes]:
    """One GET of our own services, without an HTTP library, whose import would take longer than this.

    Returns:
        status and body.

    Raises:
        OSError, TimeoutError: nobody answers.
        ValueError: the answer is not HTTP.
    """
    async with asyncio.timeout(TIMEOUT_S):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: qscan\r\nConnection: close\r\n\r\n".encode("ascii"))
            answer = await reader.read(_LARGEST_ANSWER_BYTES)
            while piece := await reader.read(_LARGEST_ANSWER_BYTES):
                answer = (answer + piece)[:_LARGEST_ANSWER_BYTES]
        finally:
            writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    if len(words) < 3 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():  # noqa: PLR2004  # version, status, phrase
        message = "the answer is not HTTP"
        raise ValueError(message)
    return int(words[1]), body


def _failing(body: bytes) -> str:
    """The checks of a ``/readyz`` answer that failed."""
    try:
        checks = json.loads(body)["checks"]
        return "; ".join(f"{name}: {check['detail']}" for name, check in checks.items() if not check["ok"])
    except (ValueError, KeyError, TypeError):
        return "/readyz says that it is not ready"
