"""Attacks on the HTTP head: whoever sends one without end, fast or slowly, is hung up on."""

import asyncio
import json

import pytest

from qscan_kit import http_limits
from qscan_kit.health import Health, HealthServer
from qscan_kit.http_limits import MAX_HEAD_BYTES

pytestmark = pytest.mark.anyio

REQUEST_LINE = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
PIECE = 100_000


async def sent(*pieces: bytes) -> bytes:
    """What a server answers to these bytes until it hangs up; it is waited for at most 10 s."""
    async with HealthServer({}, host="127.0.0.1", port=0) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            async with asyncio.timeout(10):
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                return await reader.read()
        except ConnectionError:
            return b"reset"
        finally:
            writer.close()


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([REQUEST_LINE, b"X: ", *[b"a" * PIECE] * 30], id="one field without end"),
        pytest.param([REQUEST_LINE, *[b"X: " + b"a" * PIECE + b"\r\n"] * 30], id="fields without end"),
        pytest.param([b"GET /", *[b"a" * PIECE] * 30], id="a request line without end"),
        pytest.param(
            [
                b"POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: ",
                *[b"a" * PIECE] * 30,
            ],
            id="a trailer without end",
        ),
    ],
)
async def test_head_without_end(pieces: list[bytes]):
    """The connection ends long before the memory does."""
    assert sum(map(len, pieces)) > 2 * MAX_HEAD_BYTES
    answer = await sent(*pieces)
    assert answer == b"reset" or b" 400 " in answer or b" 405 " in answer


@pytest.mark.parametrize("start", [b"", REQUEST_LINE, REQUEST_LINE + b"\r\n" + REQUEST_LINE])
async def test_head_that_never_comes(start: bytes, monkeypatch: pytest.MonkeyPatch):
    """Neither a connection that says nothing holds its descriptor for ever, nor one that stops in a head."""
    monkeypatch.setattr(http_limits, "HEAD_TIMEOUT_S", 0.2)
    answer = await sent(start)
    assert answer.count(b"HTTP/1.1 200") == start.count(b"\r\n\r\n")


async def test_large_bodies_and_many_requests_pass():
    """Only what is no body counts, and only in one request."""
    body = b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n" + b"a" * 3_000_000
    large_heads = (REQUEST_LINE + b"X: " + b"a" * 400_000 + b"\r\n\r\n") * 5
    answer = await sent(body, large_heads, REQUEST_LINE + b"Connection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 405") == 1
    assert answer.count(b"HTTP/1.1 200") == 6


async def test_an_answer_that_nobody_reads(monkeypatch: pytest.MonkeyPatch):
    """It does not stay in our memory for as long as the client likes."""
    monkeypatch.setattr(http_limits, "WRITE_TIMEOUT_S", 0.2)

    async def large() -> Health:
        return Health(ok=True, detail="x" * 30_000_000)

    async with HealthServer({"large": large}, host="127.0.0.1", port=0) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1000)
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readexactly(100)
        await asyncio.sleep(1)  # not waiting for something to happen, but not reading, for longer than it may
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            async with asyncio.timeout(10):
                await reader.readexactly(30_000_000)
        writer.close()


@pytest.mark.parametrize("request_", [b"\x00\x01\r\n\r\n", b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n"])
async def test_what_is_no_request_gets_a_problem_document(request_: bytes):
    """RFC 9457, as for every other error."""
    head, _, body = (await sent(request_)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"Content-Type: application/problem+json" in head
    assert json.loads(body)["status"] == 400
