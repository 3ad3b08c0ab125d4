"""Health: live while the loop turns, ready only when every check says so now."""

import asyncio
import socket

import httpx
import pytest

from qscan_kit import health, metrics
from qscan_kit.health import Check, Health, HealthServer

pytestmark = pytest.mark.anyio


async def good() -> Health:
    """A check that passes."""
    return Health(ok=True, detail="connected")


async def bad() -> Health:
    """A check that does not."""
    return Health(ok=False, detail="clamd does not answer: start it")


async def hanging() -> Health:
    """A check that never comes back."""
    await asyncio.Event().wait()
    return Health(ok=True)


async def broken() -> Health:
    """A check with a bug."""
    raise KeyError("ann@example.org")


async def get(path: str, checks: dict[str, Check]) -> httpx.Response:
    """What a server with these checks answers."""
    async with HealthServer(checks, host="127.0.0.1", port=0) as server, httpx.AsyncClient() as client:
        return await client.get(f"http://127.0.0.1:{server.port}{path}")


async def test_ready():
    """200 and what was found."""
    answer = await get("/readyz", {"bus": good})
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "checks": {"bus": {"ok": True, "detail": "connected"}}}


async def test_not_ready_says_why():
    """503; the detail says what to do, and what is well is told, too."""
    answer = await get("/readyz", {"bus": good, "clamd": bad})
    assert answer.status_code == 503
    assert answer.json() == {
        "ready": False,
        "checks": {
            "bus": {"ok": True, "detail": "connected"},
            "clamd": {"ok": False, "detail": "clamd does not answer: start it"},
        },
    }


async def test_a_check_that_hangs_is_not_ok(monkeypatch):
    """It delays the answer for a bounded time, and the other checks are told."""
    monkeypatch.setattr(health, "CHECK_TIMEOUT_S", 0.05)
    answer = await get("/readyz", {"slow": hanging, "bus": good, "slow too": hanging})
    assert answer.status_code == 503
    checks = answer.json()["checks"]
    assert {name: check["ok"] for name, check in checks.items()} == {"slow": False, "bus": True, "slow too": False}
    assert "no answer within" in checks["slow"]["detail"]


async def test_a_check_with_a_bug_is_not_ok():
    """Not ready, and not a text of an exception, which may quote anything."""
    answer = await get("/readyz", {"bug": broken, "bus": good})
    assert answer.status_code == 503
    assert answer.json()["checks"]["bus"]["ok"]
    assert "KeyError" in answer.json()["checks"]["bug"]["detail"]
    assert "ann" not in answer.text


async def test_live_while_not_ready():
    """Or everything would be started anew because NATS is away."""
    answer = await get("/healthz", {"clamd": bad, "slow": hanging})
    assert (answer.status_code, answer.text) == (200, "ok\n")


async def test_metrics():
    """As Prometheus reads them."""
    answer = await get("/metrics", {})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "\nqscan_messages_in_flight 0.0\n" in answer.text
    assert metrics.DECLARED


async def test_nothing_else_is_told():
    """No name and version of the server, no other page."""
    answer = await get("/", {})
    assert answer.status_code == 404
    assert "server" not in answer.headers


async def test_a_port_in_use_is_an_error_at_the_start():
    """Not a service without health; and the loser leaves the port alone."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            async with HealthServer({}, host="127.0.0.1", port=port):
                pass
    async with HealthServer({}, host="127.0.0.1", port=port) as server:
        assert server.port == port


async def test_an_address_that_is_not_ours():
    """An error at the start, too."""
    with pytest.raises(OSError, match=r".+"):
        async with HealthServer({}, host="192.0.2.1", port=0):
            pass


async def test_it_is_gone_afterwards():
    """The port is free again at once."""
    async with HealthServer({}, host="127.0.0.1", port=0) as server:
        pass
    async with HealthServer({}, host="127.0.0.1", port=server.port) as again, httpx.AsyncClient() as client:
        assert (await client.get(f"http://127.0.0.1:{again.port}/healthz")).status_code == 200
