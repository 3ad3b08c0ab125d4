"""The HTTP client of the intake API (DESIGN §4), with failover between unpackers.

The spool makes it possible: the same bytes are sent again under the same scan_id, and everything
downstream is idempotent per scan_id. Nothing is asked after the deadline.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Self, TypeVar

import httpx
import msgspec
import sniffio  # noqa: F401  # httpcore tries to import it several times per request: in vain that costs 0.7 ms

from qscan_contracts.intake import (
    ENVELOPE_SIZE_HEADER,
    FRAMED_CONTENT_TYPE,
    Decision,
    FramedEnvelope,
)
from qscan_ingress.adapters.spool import Spool
from qscan_ingress.domain.failures import Failure, MessageFailedError
from qscan_ingress.domain.outcome import BadAnswerError
from qscan_kit.errors import SettingsError
from qscan_kit.health import Health
from qscan_kit.metrics import UNPACKER_TRIES
from qscan_kit.settings import read_secret
from qscan_kit.telemetry import inject

_T = TypeVar("_T")
_READY_TIMEOUT_S = 4.0


@dataclass(frozen=True)
class ClientLimits:
    """Limits of the client; see the settings of the same names."""

    rounds: int
    round_pause_s: float
    connect_timeout_s: float
    keepalive_expiry_s: float
    max_connections: int
    max_answer_bytes: int
    max_envelope_bytes: int


@dataclass(frozen=True)
class Answered:
    """What came of asking, besides the outcome itself: for log and metrics."""

    unpacker: int
    """Index in the list of URLs."""
    tries: int
    decision: Decision


class _TryNextError(Exception):
    """This unpacker gave no usable answer. `end` is a label from a closed set."""

    def __init__(self, end: str, detail: str) -> None:
        super().__init__(end, detail)
        self.end = end
        self.detail = detail


class TokenFile:
    """The token for the unpackers, read again when its file changes."""

    def __init__(self, path: Path) -> None:
        """Read it for the first time. Raises SettingsError when that cannot be done."""
        self._path = path
        self._token = ""
        self._version: tuple[int, int, int] | None = None
        self.current()

    def current(self) -> str:
        """The token. Raises SettingsError when the file is gone, empty or open to others."""
        try:
            status = self._path.stat()
        except OSError as error:
            message = f"token_file {self._path}: {error.strerror}; set-up makes it"
            raise SettingsError(message) from error
        version = status.st_ino, status.st_mtime_ns, status.st_mode
        if version != self._version:
            self._token = read_secret(self._path)
            self._version = version
        return self._token


class Unpackers:
    """The unpackers, in order of preference. An asynchronous context manager."""

    def __init__(self, urls: Sequence[str], token: TokenFile, limits: ClientLimits) -> None:
        """Talk to the unpackers at `urls`, such as ``http://127.0.0.1:8080``."""
        self._urls = [httpx.URL(url.rstrip("/") + "/v1/scan", params={"detail": "decision"}) for url in urls]
        self._ready_urls = [httpx.URL(url.rstrip("/") + "/readyz") for url in urls]
        self._token = token
        self._limits = limits
        self._preferred = 0
        # The transport alone: what httpx's client adds (cookies, redirects, proxies from the environment,
        # decompression) is unwanted here and costs as much again as the request itself.
        self._transport = httpx.AsyncHTTPTransport(
            limits=httpx.Limits(
                max_connections=limits.max_connections,
                max_keepalive_connections=limits.max_connections,
                keepalive_expiry=limits.keepalive_expiry_s,
            )
        )
        self._timeouts = {"timeout": httpx.Timeout(None, connect=limits.connect_timeout_s).as_dict()}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.aclose()

    async def ask(
        self,
        envelope: FramedEnvelope,
        spool: Spool,
        *,
        deadline: float,
        judge: Callable[[Decision], _T],
    ) -> tuple[_T, Answered]:
        """Ask one unpacker after the other until `judge` accepts an answer.

        Args:
            envelope: without `deadline_ms`, which is filled in for each try.
            spool: the complete message.
            deadline: in the loop's time; never exceeded.
            judge: raises `BadAnswerError` for an answer that cannot be acted upon.

        Raises:
            MessageFailedError: no usable answer, for the reason that it holds.
        """
        tries = 0
        detail = ""
        try:
            async with asyncio.timeout_at(deadline):
                for round_number in range(self._limits.rounds):
                    if round_number:
                        await asyncio.sleep(self._limits.round_pause_s)
                    for unpacker in self._order():
                        tries += 1
                        try:
                            decision = await self._try(unpacker, envelope, spool, deadline)
                            outcome = self._judge(judge, decision)
                        except _TryNextError as error:
                            detail = f"unpacker {unpacker}: {error.detail}"
                            UNPACKER_TRIES.labels(error.end).inc()
                            self._preferred = (unpacker + 1) % len(self._urls)
                            continue
                        UNPACKER_TRIES.labels("answered").inc()
                        return outcome, Answered(unpacker, tries, decision)
        except TimeoutError:
            UNPACKER_TRIES.labels("timed_out").inc()
            raise MessageFailedError(Failure.DEADLINE, detail) from None
        raise MessageFailedError(Failure.UNPACKER_UNAVAILABLE, detail)

    def _order(self) -> list[int]:
        """All of them, beginning with the one after the last that failed."""
        count = len(self._urls)
        return [(self._preferred + step) % count for step in range(count)]

    @staticmethod
    def _judge(judge: Callable[[Decision], _T], decision: Decision) -> _T:
        try:
            return judge(decision)
        except BadAnswerError as error:
            raise _TryNextError("bad_answer", str(error)) from error

    async def _try(self, unpacker: int, envelope: FramedEnvelope, spool: Spool, deadline: float) -> Decision:
        left_ms = int((deadline - asyncio.get_running_loop().time()) * 1000)
        front = msgspec.json.encode(msgspec.structs.replace(envelope, deadline_ms=max(1, left_ms)))
        if len(front) > self._limits.max_envelope_bytes:
            raise MessageFailedError(Failure.ENVELOPE_TOO_LARGE, "as JSON")
        try:
            headers = self._headers(len(front), len(front) + spool.size)
        except SettingsError as error:
            raise MessageFailedError(Failure.UNPACKER_UNAVAILABLE, str(error)) from error
        content = spool.content
        body = _body(front, spool) if content is None else front + content
        request = httpx.Request("POST", self._urls[unpacker], headers=headers, content=body, extensions=self._timeouts)
        try:
            response = await self._transport.handle_async_request(request)
            try:
                answer = await self._read(response)
            finally:
                await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise _TryNextError("unreachable", _words(error)) from error
        except httpx.HTTPError as error:
            raise _TryNextError("broken_off", _words(error)) from error
        return _decision(response.status_code, answer)

    def _headers(self, front_bytes: int, body_bytes: int) -> Mapping[str, str]:
        headers = {
            "Content-Type": FRAMED_CONTENT_TYPE,
            "Content-Length": str(body_bytes),
            ENVELOPE_SIZE_HEADER: str(front_bytes),
            "Authorization": f"Bearer {self._token.current()}",
        }
        return inject(headers)

    async def _read(self, response: httpx.Response) -> bytes:
        answer = bytearray()
        async for piece in response.aiter_raw():
            answer += piece
            if len(answer) > self._limits.max_answer_bytes:
                raise _TryNextError("bad_answer", "the answer is larger than max_answer_bytes")
        return bytes(answer)

    async def check(self) -> Health:
        """Whether at least one unpacker is ready; for ``/readyz``."""

        async def ready(url: httpx.URL) -> bool:
            request = httpx.Request("GET", url, extensions=self._timeouts)
            try:
                async with asyncio.timeout(_READY_TIMEOUT_S):
                    response = await self._transport.handle_async_request(request)
                    await response.aclose()
            except (httpx.HTTPError, TimeoutError):
                return False
            return response.status_code == HTTPStatus.OK

        results = await asyncio.gather(*(ready(url) for url in self._ready_urls))
        count = f"{sum(results)} of {len(results)} unpackers are ready"
        return Health(ok=any(results), detail=count)


async def _body(front: bytes, spool: Spool) -> AsyncIterator[bytes]:
    yield front
    async for chunk in spool.chunks():
        yield chunk


def _decision(status: int, answer: bytes) -> Decision:
    if status == HTTPStatus.OK:
        try:
            return msgspec.json.decode(answer, type=Decision)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _TryNextError("bad_answer", f"the answer cannot be read: {error}") from error
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        UNPACKER_TRIES.labels("too_large").inc()
        raise MessageFailedError(Failure.MESSAGE_TOO_LARGE, "said an unpacker")
    if status == HTTPStatus.BAD_REQUEST:
        UNPACKER_TRIES.labels("refused").inc()
        detail = "the unpacker calls the request malformed; do both have the same version?"
        raise MessageFailedError(Failure.UNPACKER_REFUSED, detail)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        raise _TryNextError("overloaded", "status 503")
    if status == HTTPStatus.UNAUTHORIZED:
        raise _TryNextError("unauthorized", "status 401: token_file is not the unpacker's")
    raise _TryNextError("failed", f"status {status}")


def _words(error: httpx.HTTPError) -> str:
    return f"{type(error).__name__}: {error}"
