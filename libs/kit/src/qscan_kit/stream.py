"""The durable side of the bus: the event stream, its consumers, and the store for whole messages (DESIGN §6)."""

import asyncio
import io
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec
import nats.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, NotFoundError, ObjectNotFoundError
from nats.js.object_store import ObjectStore
from opentelemetry.trace import SpanKind

from qscan_contracts import subjects
from qscan_contracts.events import ObjectReference
from qscan_contracts.ids import ScanId
from qscan_contracts.subjects import (
    BURIED_STREAM,
    BURIED_SUBJECT,
    EVENT_SUBJECTS,
    EVENTS_STREAM,
    MAIL_BUCKET,
    EventKind,
)
from qscan_kit import metrics, telemetry
from qscan_kit.bus import Bus, decode, encode
from qscan_kit.errors import BusUnavailableError, ContentUnavailableError, PoisonError
from qscan_kit.log import get_logger

T = TypeVar("T")

MAIL_STREAM = f"OBJ_{MAIL_BUCKET}"
STORE_TIMEOUT_S = 10.0
DUPLICATE_WINDOW_S = 600.0
ACK_WAIT_S = 30.0
FETCH_WAIT_S = 5.0
FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 300.0
RETRY_SETUP_S = 1.0

_log = get_logger()
_NATS_FAILURES = (nats.errors.Error, APIError, OSError, TimeoutError)


@dataclass(frozen=True)
class StreamLimits:
    """How much the streams may hold. When one is full, a new message is deferred: nothing old is dropped."""

    events_max_bytes: int
    mail_max_bytes: int
    replicas: int = 1


async def ensure_streams(bus: Bus, limits: StreamLimits) -> None:
    """Make the streams, or bring their limits up to date. Any number of unpackers may do this at once.

    Raises:
        BusUnavailableError: not now; call again.
    """
    jetstream = bus.client.jetstream(timeout=STORE_TIMEOUT_S)
    wanted = (
        # A work queue keeps every event until its one consumer has acknowledged it, also while that is not there yet.
        StreamConfig(
            name=EVENTS_STREAM,
            subjects=[EVENT_SUBJECTS],
            retention=RetentionPolicy.WORK_QUEUE,
            max_bytes=limits.events_max_bytes,
            duplicate_window=DUPLICATE_WINDOW_S,
            discard=DiscardPolicy.NEW,
            storage=StorageType.FILE,
            num_replicas=limits.replicas,
        ),
        StreamConfig(
            name=BURIED_STREAM,
            subjects=[BURIED_SUBJECT],
            max_bytes=limits.events_max_bytes,
            discard=DiscardPolicy.NEW,
            storage=StorageType.FILE,
            num_replicas=limits.replicas,
        ),
        # What nats-py's create_object_store makes, but with limits that can be changed later.
        StreamConfig(
            name=MAIL_STREAM,
            subjects=[f"$O.{MAIL_BUCKET}.C.>", f"$O.{MAIL_BUCKET}.M.>"],
            max_bytes=limits.mail_max_bytes,
            discard=DiscardPolicy.NEW,
            storage=StorageType.FILE,
            num_replicas=limits.replicas,
            allow_rollup_hdrs=True,
            allow_direct=True,
        ),
    )
    try:
        for config in wanted:
            try:
                await jetstream.stream_info(str(config.name))
            except NotFoundError:
                await jetstream.add_stream(config)
            else:
                await jetstream.update_stream(config)
    except _NATS_FAILURES as error:
        message = f"cannot set up the streams: {str(error) or type(error).__name__}"
        raise BusUnavailableError(message) from error


class MailStore:
    """Whole messages in the object store `QSCAN_MAIL`. An object is put by the unpacker and deleted by the archiver."""

    def __init__(self, bus: Bus) -> None:
        """Use `bus`; nothing is asked before the first call."""
        self._jetstream = bus.client.jetstream(timeout=STORE_TIMEOUT_S)
        self._store = ObjectStore(name=MAIL_BUCKET, stream=MAIL_STREAM, js=self._jetstream)

    async def put(self, name: str, data: io.BufferedIOBase) -> int:
        """Store all of `data` under `name` and return its size in bytes; on return it is on disk.

        Raises:
            BusUnavailableError: it may or may not be stored; the caller defers. A part of it may stay behind until
                the same name is put again.
        """
        try:
            info = await self._store.put(name, data)
        except _NATS_FAILURES as error:
            message = f"cannot store the message: {str(error) or type(error).__name__}"
            raise BusUnavailableError(message) from error
        return info.size or 0

    async def read_into(self, reference: ObjectReference, file: io.BufferedIOBase) -> None:
        """Write the object into `file`. The digest that NATS keeps is verified; the caller verifies its own.

        Raises:
            ContentUnavailableError: there is no such object (any more).
            BusUnavailableError: not now; try again.
        """
        try:
            # Into a file: reading into memory takes time that grows with the square of the size.
            async with asyncio.timeout(STORE_TIMEOUT_S + reference.size / 1_000_000):
                await self._store.get(reference.name, writeinto=file)
        except (ObjectNotFoundError, NotFoundError) as error:
            message = f"no object {reference.name} in the store"
            raise ContentUnavailableError(message) from error
        except _NATS_FAILURES as error:
            message = f"cannot read the stored message: {str(error) or type(error).__name__}"
            raise BusUnavailableError(message) from error

    async def delete(self, name: str) -> None:
        """Delete an object; one that is not there is fine. Raises BusUnavailableError."""
        try:
            await self._store.delete(name)
        except NotFoundError:
            return
        except _NATS_FAILURES as error:
            message = f"cannot delete the stored message: {str(error) or type(error).__name__}"
            raise BusUnavailableError(message) from error


class EventPublisher:
    """Puts events on the stream."""

    def __init__(self, bus: Bus) -> None:
        """Use `bus`."""
        self._jetstream = bus.client.jetstream(timeout=STORE_TIMEOUT_S)

    async def publish(self, kind: EventKind, scan_id: ScanId, event: object) -> None:
        """Publish and wait until it is on disk. The same scan id and kind within the window is stored once.

        Raises:
            BusUnavailableError: it may or may not be stored; the caller defers.
        """
        headers = {"Nats-Msg-Id": subjects.event_id(scan_id, kind)}
        telemetry.inject(headers)
        try:
            await self._jetstream.publish(
                subjects.event(kind), encode(event), stream=EVENTS_STREAM, headers=headers, timeout=STORE_TIMEOUT_S
            )
        except _NATS_FAILURES as error:
            message = f"cannot store the event: {str(error) or type(error).__name__}"
            raise BusUnavailableError(message) from error


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
    """Pulls the events of one kind, one at a time, and settles each after its effect is durable."""

    def __init__(
        self,
        bus: Bus,
        *,
        kind: EventKind,
        durable: str,
        event_type: type[T],
        handle: Callable[[T], Awaitable[None]],
    ) -> None:
        """Call `handle` for each event of `kind`; `durable` is the name by which the broker knows the consumer."""
        self._bus, self._kind, self._durable = bus, kind, durable
        self._event_type, self._handle = event_type, handle
        self.is_set_up = False

    async def run(self) -> None:
        """Consume until cancelled. Outages of the bus are waited for."""
        while True:
            try:
                subscription = await self._set_up()
                self.is_set_up = True
                while True:
                    await self._next(subscription)
            except _NATS_FAILURES as error:
                if self.is_set_up:
                    _log.warning("event stream not available", error=str(error) or type(error).__name__)
                self.is_set_up = False
                await asyncio.sleep(RETRY_SETUP_S)

    async def _set_up(self) -> JetStreamContext.PullSubscription:
        jetstream = self._bus.client.jetstream(timeout=STORE_TIMEOUT_S)
        await jetstream.add_consumer(
            EVENTS_STREAM,
            ConsumerConfig(
                durable_name=self._durable,
                filter_subject=subjects.event(self._kind),
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=ACK_WAIT_S,
                max_deliver=-1,
            ),
        )
        return await jetstream.pull_subscribe_bind(consumer=self._durable, stream=EVENTS_STREAM)

    async def _next(self, subscription: JetStreamContext.PullSubscription) -> None:
        try:
            messages = await subscription.fetch(1, timeout=FETCH_WAIT_S)
        except nats.errors.TimeoutError:
            return
        for message in messages:
            await self._settle(message, await self._try(message))

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
                    reason = f"cannot be decoded: {error}"
                    raise PoisonError(reason) from error
                await self._handle(event)
            except Exception as error:  # noqa: BLE001  # a bug is retried with growing delay, never acknowledged
                _log.warning("event failed", kind=self._kind, error=f"{type(error).__name__}: {error}")
                return error
            finally:
                in_progress.cancel()
        return None

    async def _keep(self, message: Msg) -> None:
        """Tell the broker, while the handler works, that it is not lost."""
        while True:
            await asyncio.sleep(ACK_WAIT_S / 3)
            await message.in_progress()

    async def _settle(self, message: Msg, error: Exception | None) -> None:
        match settle(error, delivered=message.metadata.num_delivered):
            case Ack():
                await message.ack()
                metrics.EVENTS.labels(self._kind, "done").inc()
            case Nak(delay_s):
                await message.nak(delay=delay_s)
                metrics.EVENTS.labels(self._kind, "again").inc()
            case Bury(reason):
                # First kept, then ended: a crash between the two buries it twice, which harms nobody.
                headers = {"Qscan-Reason": reason.encode("ascii", "replace").decode()[:200], "Qscan-Kind": self._kind}
                jetstream = self._bus.client.jetstream(timeout=STORE_TIMEOUT_S)
                await jetstream.publish(BURIED_SUBJECT, message.data, stream=BURIED_STREAM, headers=headers)
                await message.term()
                metrics.EVENTS.labels(self._kind, "buried").inc()
                _log.error("event buried", kind=self._kind, reason=reason)
