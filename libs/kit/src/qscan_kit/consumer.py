"""The reading end of the event stream: events are pulled, handled one at a time, and settled."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec
import nats.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from opentelemetry.trace import SpanKind

from qscan_contracts.subjects import BURIED_STREAM, BURIED_SUBJECT, EVENTS_STREAM, EventKind
from qscan_kit import metrics, telemetry
from qscan_kit.bus import Bus, decode
from qscan_kit.errors import BusUnavailableError, PoisonError
from qscan_kit.health import Health
from qscan_kit.log import get_logger
from qscan_kit.stream import ACK_WAIT_S, NATS_FAILURES

T = TypeVar("T")

ASK_TIMEOUT_S = 3.0
FETCH_WAIT_S = 3.0
RETRY_SETUP_S = 1.0
FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 300.0
MAX_REASON_CHARACTERS = 200

_log = get_logger()


@dataclass(frozen=True)
class Ack:
    """Done: never deliver it again."""


@dataclass(frozen=True)
class Nak:
    """Not now: deliver it again after a while."""

    delay_s: float


@dataclass(frozen=True)
class Bury:
    """Never: keep its bytes apart for a person to look at."""

    reason: str


def settle(error: BaseException | None, *, delivered: int) -> Ack | Nak | Bury:
    """What becomes of an event whose handling ended with `error`, after `delivered` deliveries (counted by the broker).

    There is no limit to the number of deliveries: an event stands for a message that somebody was told is safe.
    """
    if error is None:
        return Ack()
    if isinstance(error, PoisonError):
        return Bury(str(error))
    return Nak(min(FIRST_DELAY_S * 2.0 ** min(delivered - 1, 30), LONGEST_DELAY_S))


class EventConsumer(Generic[T]):
    """Pulls the events of one kind, one at a time, and settles each after its effect is durable.

    The same event comes again after a crash, an outage or a slow answer: `handle` must stand that.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        kind: EventKind,
        durable: str,
        event_type: type[T],
        handle: Callable[[T], Awaitable[None]],
    ) -> None:
        """Call `handle` for each event of `kind`; `durable` is the consumer that `ensure_streams` has made.

        `handle` returns when the effect is on disk; what it raises is settled by `settle`.
        """
        self._bus, self._kind, self._durable = bus, kind, durable
        self._event_type, self._handle = event_type, handle
        self._jetstream = bus.client.jetstream(timeout=ASK_TIMEOUT_S)
        self._ack_wait_s = ACK_WAIT_S
        self._is_set_up = False
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    async def until_idle(self) -> None:
        """Wait for the end of what is being handled, so that cancelling `run` interrupts nothing."""
        await self._is_idle.wait()

    async def run(self) -> None:
        """Consume until cancelled. Outages of the bus, and streams that are not there yet, are waited for."""
        is_logged = False
        while True:
            subscription: JetStreamContext.PullSubscription | None = None
            try:
                subscription = await self._set_up()
                self._is_set_up, is_logged = True, False
                while True:
                    await self._next(subscription)
            except NATS_FAILURES as error:
                if not is_logged:
                    _log.warning("event stream not available", kind=self._kind, error=_text(error))
                    is_logged = True
            except asyncio.CancelledError:
                # nats-py also cancels whoever waits for a message when it loses its connection for good.
                if _is_being_cancelled():
                    raise
            finally:
                self._is_set_up = False
                await self._drop(subscription)
            await asyncio.sleep(RETRY_SETUP_S)

    async def backlog(self) -> tuple[int, int]:
        """How many events wait for their first delivery, and how many are delivered and not settled.

        Raises BusUnavailableError.
        """
        try:
            info = await self._jetstream.consumer_info(EVENTS_STREAM, self._durable)
        except NATS_FAILURES as error:
            raise BusUnavailableError(f"the event stream does not answer: {_text(error)}") from error
        return info.num_pending or 0, info.num_ack_pending or 0

    async def health(self) -> Health:
        """Whether events are being pulled, and how many are left."""
        if not self._is_set_up:
            detail = "no event stream: is NATS running, and an unpacker, which makes the stream?"
            return Health(ok=False, detail=detail)
        try:
            waiting, delivered = await self.backlog()
        except BusUnavailableError as error:
            return Health(ok=False, detail=str(error))
        return Health(ok=True, detail=f"{waiting} events wait, {delivered} are being worked on or come again")

    async def _set_up(self) -> JetStreamContext.PullSubscription:
        info = await self._jetstream.consumer_info(EVENTS_STREAM, self._durable)
        self._ack_wait_s = info.config.ack_wait or ACK_WAIT_S
        return await self._jetstream.pull_subscribe_bind(consumer=self._durable, stream=EVENTS_STREAM)

    async def _drop(self, subscription: JetStreamContext.PullSubscription | None) -> None:
        if subscription is not None and self._bus.is_connected:
            try:
                await subscription.unsubscribe()
            except NATS_FAILURES:
                return

    async def _next(self, subscription: JetStreamContext.PullSubscription) -> None:
        try:
            messages = await subscription.fetch(1, timeout=FETCH_WAIT_S)
        except nats.errors.TimeoutError:
            return
        self._is_idle.clear()
        try:
            for message in messages:
                await self._settle(message, await self._try(message))
        finally:
            self._is_idle.set()

    async def _try(self, message: Msg) -> Exception | None:
        span = telemetry.tracer().start_as_current_span(
            f"process event.{self._kind}", context=telemetry.extract(message.headers), kind=SpanKind.CONSUMER
        )
        in_progress = asyncio.create_task(self._keep(message))
        with span:
            try:
                try:
                    event = decode(message.data, self._event_type)
                except msgspec.DecodeError as error:
                    raise PoisonError(f"cannot be decoded: {error}") from error
                await self._handle(event)
            except Exception as error:  # a bug is retried with growing delay, never acknowledged
                _log.warning("event failed", kind=self._kind, error=f"{type(error).__name__}: {error}")
                return error
            finally:
                in_progress.cancel()
        return None

    async def _keep(self, message: Msg) -> None:
        """Tell the broker, while the handler works, that it is not lost."""
        while True:
            await asyncio.sleep(self._ack_wait_s / 3)
            try:
                await message.in_progress()
            except NATS_FAILURES as error:  # it will come again, which does no harm
                _log.warning("cannot reach the event stream", kind=self._kind, error=_text(error))

    async def _settle(self, message: Msg, error: Exception | None) -> None:
        match settle(error, delivered=message.metadata.num_delivered):
            case Ack():
                await message.ack()
                metrics.EVENTS.labels(self._kind, "done").inc()
            case Nak(delay_s):
                await message.nak(delay=delay_s)
                metrics.EVENTS.labels(self._kind, "again").inc()
            case Bury(reason):
                await self._bury(message, reason)

    async def _bury(self, message: Msg, reason: str) -> None:
        headers = {"Qscan-Kind": self._kind, "Qscan-Reason": reason.encode("ascii", "replace").decode()}
        headers["Qscan-Reason"] = headers["Qscan-Reason"][:MAX_REASON_CHARACTERS]
        try:
            # First kept, then ended: a crash between the two buries it twice, which harms nobody.
            await self._jetstream.publish(BURIED_SUBJECT, message.data, stream=BURIED_STREAM, headers=headers)
        except NATS_FAILURES as error:
            _log.error("event cannot be buried", kind=self._kind, reason=reason, error=_text(error))
            await message.nak(delay=LONGEST_DELAY_S)
            return
        await message.term()
        metrics.EVENTS.labels(self._kind, "buried").inc()
        _log.error("event buried", kind=self._kind, reason=reason)


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__
