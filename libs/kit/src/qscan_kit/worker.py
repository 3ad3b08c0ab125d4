"""The worker's side of scanning over request and reply (DESIGN §6)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import msgspec
import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from opentelemetry.trace import SpanKind

from qscan_contracts import subjects
from qscan_contracts.scanning import (
    PROGRESS_EVERY_S,
    AvAnswer,
    AvRequest,
    Busy,
    PolicyAnswer,
    PolicyRequest,
    Progress,
    Refused,
    SpamAnswer,
    SpamRequest,
)
from qscan_contracts.subjects import ScanRole
from qscan_kit import metrics, telemetry
from qscan_kit.bus import Bus, decode, encode
from qscan_kit.errors import BusUnavailableError, ContentUnavailableError
from qscan_kit.log import get_logger

RequestT = TypeVar("RequestT", bound=AvRequest | PolicyRequest | SpamRequest)
Answer = AvAnswer | PolicyAnswer | SpamAnswer

DRAIN_S = 10.0
PAUSE_S = 5.0
"""For the server to say that nothing more is under way."""
_log = get_logger()


class AnswerTooLargeError(Exception):
    """A bug of ours: the answer is larger than the bus carries."""


class ScanWorker(Generic[RequestT]):
    """Listens in the queue group of a role, works on a bounded number of requests, and answers every one of them.

    A request gets exactly one of an answer, `Busy` or `Refused`, with `Progress` every `PROGRESS_EVERY_S` before it.
    `handle` may raise `ContentUnavailableError`, which becomes `Refused`. Whatever else it raises is a bug of ours, is
    logged, and becomes `Refused`, too, so that nobody waits for it.
    """

    def __init__(
        self,
        bus: Bus,
        role: ScanRole,
        request_type: type[RequestT],
        handle: Callable[[RequestT], Awaitable[Answer]],
        *,
        max_in_flight: int,
    ) -> None:
        """Answer for `role` with `handle`, at most `max_in_flight` at a time; nothing happens before `resume`."""
        self._bus, self._role = bus, role
        self._request_type, self._handle = request_type, handle
        self._max_in_flight = max_in_flight
        self._tasks: set[asyncio.Task[None]] = set()
        self._subscription: Subscription | None = None

    @property
    def is_listening(self) -> bool:
        """Whether requests come here."""
        return self._subscription is not None

    async def resume(self) -> None:
        """Listen (again)."""
        if self._subscription is None:
            self._subscription = await self._bus.listen(subjects.scan(self._role), self._on_request, queue=self._role)

    async def pause(self) -> None:
        """Leave the queue group, so that others get the requests; what is in flight or under way to here goes on."""
        subscription, self._subscription = self._subscription, None
        if subscription is None:
            return
        try:
            if self._bus.is_connected:
                # Not just unsubscribe: that would drop the requests which the server has already sent here.
                async with asyncio.timeout(PAUSE_S):
                    await subscription.drain()  # type: ignore[no-untyped-call]
            else:
                await subscription.unsubscribe()
        except (nats.errors.Error, OSError, TimeoutError) as error:
            _log.warning("left the queue group while disconnected", role=self._role, error=str(error))
        finally:
            # A subscription that the client still knows would come back with the next connection.
            self._bus.client._remove_sub(subscription._id)  # noqa: SLF001  # drain() leaves it behind when it fails

    async def stop(self) -> None:
        """Leave the queue group, finish what is in flight (for `DRAIN_S` at most), and end."""
        await self.pause()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=DRAIN_S)
        for task in self._tasks:
            task.cancel()

    async def _on_request(self, message: Msg) -> None:
        if not message.reply:
            return
        if len(self._tasks) >= self._max_in_flight:
            await self._reply(message, encode(Busy()), end="busy")
            return
        task = asyncio.create_task(self._work(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, message: Msg) -> None:
        with (
            metrics.JOBS_IN_FLIGHT.labels(self._role).track_inprogress(),
            telemetry.tracer().start_as_current_span(
                f"process scan.{self._role}",
                context=telemetry.extract(message.headers),
                kind=SpanKind.CONSUMER,
                attributes={"messaging.system": "nats", "messaging.operation.name": "process"},
            ) as span,
        ):
            try:
                request = decode(message.data, self._request_type)
            except msgspec.DecodeError as error:
                await self._reply(message, encode(Refused(f"cannot be decoded: {error}")), end="undecodable")
                return
            span.set_attribute("qscan.scan_id", request.job.scan_id)
            progress = asyncio.create_task(self._say_progress(message))
            deadline = asyncio.timeout(request.job.timeout_ms / 1000)
            try:
                async with deadline:
                    answer = await self._handle(request)
                payload, end = self._encoded(answer), "answered"
            except ContentUnavailableError as error:
                payload, end = encode(Refused(str(error))), "unavailable"
            except Exception as error:  # a bug of ours must not leave the unpacker waiting
                if deadline.expired():
                    payload, end = encode(Refused("the deadline passed while it was worked on")), "timed_out"
                else:
                    _log.exception("request failed", scan_id=request.job.scan_id, role=self._role)
                    payload, end = encode(Refused(f"internal error: {type(error).__name__}")), "failed"
            finally:
                progress.cancel()
            span.set_attribute("qscan.end", end)
            await self._reply(message, payload, end=end)

    def _encoded(self, answer: Answer) -> bytes:
        payload = encode(answer)
        if len(payload) > self._bus.max_payload_bytes:
            # Said now: the bus would drop it, and the unpacker would wait for nothing.
            raise AnswerTooLargeError(f"an answer of {len(payload)} bytes; ask for less at a time")
        return payload

    async def _say_progress(self, message: Msg) -> None:
        payload = encode(Progress())
        while True:
            await asyncio.sleep(PROGRESS_EVERY_S)
            await self._publish(message.reply, payload)

    async def _reply(self, message: Msg, payload: bytes, *, end: str) -> None:
        metrics.JOBS_HANDLED.labels(self._role, end).inc()
        await self._publish(message.reply, payload)

    async def _publish(self, subject: str, payload: bytes) -> None:
        try:
            await self._bus.publish(subject, payload)
        except BusUnavailableError as error:
            # The unpacker hears silence and asks another worker.
            _log.warning("cannot answer", role=self._role, error=str(error))
