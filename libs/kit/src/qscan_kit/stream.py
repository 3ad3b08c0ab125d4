"""The durable side of the bus: the streams, and what is put into the event stream (DESIGN §6)."""

from dataclasses import dataclass

import nats.errors
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import APIError, NotFoundError

from qscan_contracts import subjects
from qscan_contracts.ids import ScanId
from qscan_contracts.subjects import (
    ARCHIVER_CONSUMER,
    BURIED_STREAM,
    BURIED_SUBJECT,
    EVENT_SUBJECTS,
    EVENTS_STREAM,
    MAIL_BUCKET,
    NOTIFIER_CONSUMER,
    EventKind,
)
from qscan_kit import telemetry
from qscan_kit.bus import Bus, encode
from qscan_kit.errors import BusUnavailableError

MAIL_STREAM = f"OBJ_{MAIL_BUCKET}"
STORE_TIMEOUT_S = 10.0
DUPLICATE_WINDOW_S = 600.0
ACK_WAIT_S = 15.0
"""After this long without a word from a consumer its event is delivered again: what a crash costs in time."""

NATS_FAILURES = (nats.errors.Error, APIError, OSError, TimeoutError)
"""What nats-py raises when the server cannot be reached, does not answer, or refuses."""

_CONSUMERS = {ARCHIVER_CONSUMER: EventKind.QUARANTINE, NOTIFIER_CONSUMER: EventKind.NOTICE}


@dataclass(frozen=True)
class StreamLimits:
    """How much the streams may hold. When one is full, a new message is deferred: nothing old is dropped."""

    events_max_bytes: int
    mail_max_bytes: int
    replicas: int = 1
    ack_wait_s: float = ACK_WAIT_S


async def ensure_streams(bus: Bus, limits: StreamLimits, *, timeout_s: float = STORE_TIMEOUT_S) -> None:
    """Make the streams and their consumers, or bring their limits up to date.

    Any number of unpackers may do this at once. It belongs to every connection and reconnection: a server that lost
    its disk comes back without streams.

    Raises:
        BusUnavailableError: not now; call again.
    """
    jetstream = bus.client.jetstream(timeout=timeout_s)
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
        for consumer, kind in _CONSUMERS.items():
            await jetstream.add_consumer(
                EVENTS_STREAM,
                ConsumerConfig(
                    name=consumer,
                    durable_name=consumer,
                    filter_subject=subjects.event(kind),
                    ack_policy=AckPolicy.EXPLICIT,
                    ack_wait=limits.ack_wait_s,
                    max_deliver=-1,
                ),
            )
    except NATS_FAILURES as error:
        message = f"cannot set up the streams: {str(error) or type(error).__name__}"
        raise BusUnavailableError(message) from error


async def buried_events(bus: Bus) -> int:
    """How many events were buried and wait for a person. Raises BusUnavailableError."""
    try:
        info = await bus.client.jetstream(timeout=STORE_TIMEOUT_S).stream_info(BURIED_STREAM)
    except NATS_FAILURES as error:
        message = f"cannot ask for buried events: {str(error) or type(error).__name__}"
        raise BusUnavailableError(message) from error
    return int(info.state.messages)


class EventPublisher:
    """Puts events on the stream."""

    def __init__(self, bus: Bus, *, timeout_s: float = STORE_TIMEOUT_S) -> None:
        """Use `bus`."""
        self._jetstream = bus.client.jetstream(timeout=timeout_s)

    async def publish(self, kind: EventKind, scan_id: ScanId, event: object) -> None:
        """Publish and wait until it is on disk. The same scan id and kind within the window is stored once.

        Raises:
            BusUnavailableError: it may or may not be stored; the caller defers.
        """
        headers = {"Nats-Msg-Id": subjects.event_id(scan_id, kind)}
        telemetry.inject(headers)
        try:
            await self._jetstream.publish(subjects.event(kind), encode(event), stream=EVENTS_STREAM, headers=headers)
        except NATS_FAILURES as error:
            message = f"cannot store the event: {str(error) or type(error).__name__}"
            raise BusUnavailableError(message) from error
