"""The intake API over HTTP (DESIGN §4): ``POST /v1/scan``, health, ``/docs``."""

import asyncio
import hmac
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from opentelemetry.trace import SpanKind
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from qscan_contracts.envelope import Envelope
from qscan_contracts.intake import FRAMED_CONTENT_TYPE, RAW_CONTENT_TYPE, FramedEnvelope, ScanAnswer
from qscan_contracts.vocabulary import Effects
from qscan_kit import metrics, telemetry
from qscan_kit.bus import Bus
from qscan_kit.health import Check, routes
from qscan_kit.log import get_logger
from qscan_unpacker import problems
from qscan_unpacker.entrypoints import openapi
from qscan_unpacker.entrypoints.query import ScanQuery
from qscan_unpacker.entrypoints.reading import BodyReader, check_addresses, new_scan_id
from qscan_unpacker.problems import ProblemError, malformed, unauthorized, unavailable
from qscan_unpacker.scanning import Scanner, ScanRequest
from qscan_unpacker.settings import Settings
from qscan_unpacker.spool import RawMessage

_log = get_logger()
_json = msgspec.json.Encoder()


@dataclass(frozen=True)
class Scanning:
    """The way to scan, once the bus is there."""

    bus: Bus
    scanner: Scanner


@dataclass
class Intake:
    """Takes requests in. `token` authorises effects; an empty one refuses them all.

    `scanning` is None until the bus is there for the first time.
    """

    settings: Settings
    token: str
    scanning: Scanning | None = None
    in_flight: int = 0

    async def scan(self, request: Request, query: ScanQuery) -> Response:
        """Read, scan and answer one request.

        Raises:
            ProblemError: it is not scanned.
            ClientDisconnect: the client went away; the scan was cancelled.
        """
        scanning = self.scanning
        if scanning is None or not scanning.bus.is_connected:
            raise unavailable("the unpacker is not connected to NATS; start NATS or correct nats_urls, then try again")
        if self.in_flight >= self.settings.max_messages_in_flight:
            raise unavailable(f"{self.in_flight} messages are being scanned; try again, or run more unpackers")
        self.in_flight += 1
        try:
            with (
                metrics.MESSAGES_IN_FLIGHT.track_inprogress(),
                telemetry.tracer().start_as_current_span(
                    "scan", context=telemetry.extract(request.headers), kind=SpanKind.SERVER
                ) as span,
                RawMessage(self.settings.spool_dir, self.settings.max_message_bytes) as raw,
            ):
                envelope = await self._read(request, query, raw)
                scan_id = envelope.scan_id or new_scan_id()
                span.set_attribute("qscan.scan_id", scan_id)
                scan = ScanRequest(
                    scan_id=scan_id,
                    envelope=_plain(envelope),
                    effects=envelope.effects,
                    with_components=query.detail == "full",
                    deadline=self._deadline(envelope),
                )
                answer = await _unless_client_leaves(request, scanning.scanner.scan(scan, raw))
                span.set_attribute("qscan.verdict", answer.verdict)
                span.set_attribute("qscan.disposition", answer.disposition)
                return Response(_json.encode(answer), media_type="application/json")
        except OSError as error:
            _log.exception("cannot spool")
            raise unavailable("the spool of the unpacker is full or broken; make room in spool_dir") from error
        finally:
            self.in_flight -= 1

    async def _read(self, request: Request, query: ScanQuery, raw: RawMessage) -> FramedEnvelope:
        """The envelope; the message goes into `raw`. What can be refused before the body is, is."""
        body = BodyReader(request, raw, self.settings.body_timeout_s)
        match request.headers.get("content-type", "").partition(";")[0].strip().lower():
            case content_type if content_type == RAW_CONTENT_TYPE:
                envelope = query.envelope()
                check_addresses(envelope)
                self._authorise(request, envelope)
                await body.read_raw()
            case content_type if content_type == FRAMED_CONTENT_TYPE:
                envelope = await body.read_framed()
                self._authorise(request, envelope)
            case _:
                raise malformed(f"Content-Type must be {RAW_CONTENT_TYPE} or {FRAMED_CONTENT_TYPE}")
        if len(envelope.rcpt_to) > self.settings.max_recipients:
            raise malformed(f"more than {self.settings.max_recipients} recipients; raise max_recipients or split them")
        return envelope

    def _authorise(self, request: Request, envelope: FramedEnvelope) -> None:
        if envelope.effects is Effects.NONE:
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        matches = hmac.compare_digest(given.strip().encode("utf-8", "replace"), self.token.encode())
        if not self.token or scheme.lower() != "bearer" or not matches:
            raise unauthorized("effects=full needs the header Authorization: Bearer with the token in token_file")

    def _deadline(self, envelope: FramedEnvelope) -> float:
        """When the answer must be given, in seconds of the loop's clock."""
        limit_s = self.settings.deadline_s
        # Compared before it is divided: JSON holds numbers that are no float any more.
        given_s = limit_s if envelope.deadline_ms is None else min(envelope.deadline_ms, limit_s * 1000) / 1000
        left_s = given_s - self.settings.answer_margin_s
        return asyncio.get_running_loop().time() + max(left_s, 0.0)


def build(intake: Intake, checks: Mapping[str, Check]) -> FastAPI:
    """The HTTP application."""
    app = FastAPI(
        title="qscan intake",
        version="1",
        description="Scans mail and says what to do with it.",
        routes=[*routes(checks)],
        # Its own spans would hold the query, which has addresses in it.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )

    @app.post("/v1/scan", openapi_extra=openapi.operation(), responses=openapi.responses(), response_class=Response)
    async def scan(request: Request, query: Annotated[ScanQuery, Query()]) -> Response:
        """Scan one message and say what is to be done with it."""
        return await intake.scan(request, query)

    _document(app)
    _answer_errors_as_problems(app)
    return app


def _plain(envelope: FramedEnvelope) -> Envelope:
    """The envelope without what only the intake needs."""
    return Envelope(**{name: getattr(envelope, name) for name in Envelope.__struct_fields__})


async def _unless_client_leaves(request: Request, scan: Awaitable[ScanAnswer]) -> ScanAnswer:
    """The result of `scan`, which is cancelled when the client goes away first. Raises ClientDisconnect then."""
    scanning = asyncio.ensure_future(scan)
    leaving = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({scanning, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        if not scanning.done():
            scanning.cancel()
            await asyncio.wait({scanning})
    if scanning.cancelled():
        raise ClientDisconnect
    return scanning.result()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _document(app: FastAPI) -> None:
    """Add our schemas and the token to the generated document."""
    generate = app.openapi

    def document() -> dict[str, Any]:
        generated = generate()
        components = generated.setdefault("components", {})
        # FastAPI's own validation answer is replaced by problem documents.
        for name in ("HTTPValidationError", "ValidationError"):
            components.get("schemas", {}).pop(name, None)
        components.setdefault("schemas", {}).update(openapi.schemas())
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        generated["paths"]["/v1/scan"]["post"]["responses"].pop("422", None)
        return generated

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def _answer_errors_as_problems(app: FastAPI) -> None:
    @app.exception_handler(ProblemError)
    async def problem(_: Request, error: ProblemError) -> Response:
        return problems.response(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        told = "; ".join(f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors())
        return problems.response(malformed(told))

    @app.exception_handler(HTTPException)
    async def http_error(_: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        answer = problems.response(ProblemError(status, f"{status.description or status.phrase}; see /docs"))
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(ClientDisconnect)
    async def client_left(_: Request, __: ClientDisconnect) -> Response:
        metrics.MESSAGES_REFUSED.labels("client_left").inc()
        return Response(status_code=HTTPStatus.BAD_REQUEST)

    @app.exception_handler(Exception)
    async def bug(_: Request, error: Exception) -> Response:
        _log.error("request failed", error=type(error).__name__, exc_info=error)
        return problems.response(
            ProblemError(HTTPStatus.INTERNAL_SERVER_ERROR, "an error of ours; the log of the unpacker has the cause")
        )
