"""Health over HTTP: ``/healthz`` (the loop turns), ``/readyz`` (asks the real thing), ``/metrics``."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Self

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from qscan_kit.http_limits import BoundedHttp
from qscan_kit.log import get_logger

CHECK_TIMEOUT_S = 5.0
_log = get_logger()


@dataclass(frozen=True)
class Health:
    """The result of one check; `detail` says what is wrong and what to do, or what was found."""

    ok: bool
    detail: str = ""


Check = Callable[[], Awaitable[Health]]


def routes(checks: Mapping[str, Check]) -> list[Route]:
    """The three routes, for a service that has an HTTP application of its own."""

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        results = await run_checks(checks)
        ready = all(result.ok for result in results.values())
        body = {
            "ready": ready,
            "checks": {name: {"ok": result.ok, "detail": result.detail} for name, result in results.items()},
        }
        return JSONResponse(body, status_code=200 if ready else 503)

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]


async def run_checks(checks: Mapping[str, Check]) -> dict[str, Health]:
    """Run all checks side by side; one that hangs or raises is not ok."""

    async def bounded(check: Check) -> Health:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                return await check()
        except TimeoutError:
            return Health(ok=False, detail=f"no answer within {CHECK_TIMEOUT_S:g} s")
        except Exception as error:  # a bug of ours in one check must not hide what the others say
            _log.exception("check failed")
            return Health(ok=False, detail=f"the check itself failed ({type(error).__name__}); the log says where")

    results = await asyncio.gather(*(bounded(check) for check in checks.values()))
    return dict(zip(checks, results, strict=True))


class HealthServer:
    """A small HTTP server for services without an API. Use as an asynchronous context manager.

    `port` is the real port once it is entered. Raises OSError there when the address is taken.
    """

    def __init__(self, checks: Mapping[str, Check], *, host: str, port: int) -> None:
        """Serve `checks` at `host` and `port`; port 0 takes any free one."""
        application = Starlette(routes=routes(checks))
        self._server = QuietServer(application, host=host, port=port)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._server.port

    async def __aenter__(self) -> Self:
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop()


def _listening_socket(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, protocol)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
    except OSError as error:
        listening.close()
        text = f"{error.strerror}: cannot listen on {host} port {port}; stop what uses it, or choose another"
        raise OSError(error.errno, text) from error
    return listening


class QuietServer:
    """uvicorn inside a program that handles its own signals."""

    def __init__(self, application: object, *, host: str, port: int, **options: object) -> None:
        """Serve an ASGI `application`; `options` are uvicorn's."""
        config = uvicorn.Config(
            application,  # type: ignore[arg-type]  # uvicorn's own alias is narrower than ASGI
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            lifespan="off",
            http=BoundedHttp,
            ws="none",
            **options,  # type: ignore[arg-type]  # passed through as given
        )
        self._host, self._port = host, port
        self._server = uvicorn.Server(config)
        self._task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._port

    async def start(self) -> None:
        """Listen. Raises OSError when the address is taken or cannot be used."""
        listening = _listening_socket(self._host, self._port)
        self._port = listening.getsockname()[1]
        self._task = asyncio.create_task(self._server._serve(sockets=[listening]))  # noqa: SLF001  # without its signals
        while not self._server.started:
            if self._task.done():
                await self._task
                message = "the HTTP server ended while it was starting"
                raise OSError(message)
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Answer what is in flight, then close."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
