"""The durable side of the bus: the event stream, what is put into it, and the store for whole messages (DESIGN §6)."""

import asyncio
import base64
import hashlib
import io
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import nats.errors
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    Header,
    RawStreamMsg,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import APIError, NotFoundError

from qscan_contracts import subjects
from qscan_contracts.events import ObjectReference
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
from qscan_kit.errors import BusUnavailableError, ContentUnavailableError

MAIL_STREAM = f"OBJ_{MAIL_BUCKET}"
STORE_TIMEOUT_S = 10.0
CLEAN_UP_TIMEOUT_S = 2.0
DUPLICATE_WINDOW_S = 600.0
ACK_WAIT_S = 15.0
"""After this long without a word from a consumer its event is delivered again: what a crash costs in time."""
OBJECT_CHUNK_BYTES = 512 * 1024
"""Each chunk is synced to disk on its own, so they are four times the size of NATS's default."""

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


class _ObjectOptions(msgspec.Struct, frozen=True):
    max_chunk_size: int


class _ObjectMeta(msgspec.Struct, frozen=True):
    """The description of an object as NATS's object store writes it, so that its own tools can read it (ADR-20)."""

    name: str
    bucket: str
    nuid: str
    size: int
    chunks: int
    digest: str
    mtime: str = ""
    deleted: bool = False
    options: _ObjectOptions | None = None


class MailStore:
    """Whole messages in the object store `QSCAN_MAIL`. An object is put by the unpacker and deleted by the archiver.

    The format is that of NATS's object store. Not nats-py's `ObjectStore`, because reading with that needs the right
    to make consumers with any deliver subject (see `qscan_contracts.rights`), waits for ever for a chunk that is not
    there, and because deleting with it leaves a message behind for each object.
    """

    def __init__(self, bus: Bus, *, timeout_s: float = STORE_TIMEOUT_S) -> None:
        """Use `bus`; nothing is asked before the first call. `timeout_s` is for each chunk."""
        self._jetstream = bus.client.jetstream(timeout=timeout_s)
        self._clean_up = bus.client.jetstream(timeout=CLEAN_UP_TIMEOUT_S)

    async def put(self, name: str, data: io.BufferedIOBase) -> int:
        """Store all of `data` under `name` and return its size in bytes; on return it is on disk.

        `data` is read with ``readinto`` in a thread. An object of the same name is replaced.

        Raises:
            BusUnavailableError: `data` cannot be read, or it may or may not be stored; the caller defers.
        """
        nuid = secrets.token_hex(11)
        chunks_subject = _chunks_subject(nuid)
        digest = hashlib.sha256()
        size = chunks = 0
        buffer = bytearray(OBJECT_CHUNK_BYTES)
        try:
            while length := await asyncio.to_thread(_fill, data, buffer):
                chunk = bytes(memoryview(buffer)[:length])
                digest.update(chunk)
                await self._jetstream.publish(chunks_subject, chunk, stream=MAIL_STREAM)
                size, chunks = size + length, chunks + 1
            meta = _ObjectMeta(
                name=name,
                bucket=MAIL_BUCKET,
                nuid=nuid,
                size=size,
                chunks=chunks,
                digest=_digest_text(digest.digest()),
                mtime=datetime.now(UTC).isoformat(),
                options=_ObjectOptions(OBJECT_CHUNK_BYTES),
            )
            await self._jetstream.publish(
                _meta_subject(name), msgspec.json.encode(meta), stream=MAIL_STREAM, headers={Header.ROLLUP: "sub"}
            )
        except NATS_FAILURES as error:
            await self._give_back(chunks_subject)
            message = f"cannot store the message: {str(error) or type(error).__name__}"
            raise BusUnavailableError(message) from error
        return size

    async def _give_back(self, subject: str) -> None:
        """Free the space of an unfinished object. Where that fails, `leftovers` finds it later."""
        try:
            await self._clean_up.purge_stream(MAIL_STREAM, subject=subject)
        except NATS_FAILURES:
            return

    async def read_into(self, reference: ObjectReference, file: io.BufferedIOBase) -> None:
        """Write the object into `file`. The digest that was kept with it is verified; the caller verifies its own.

        Raises:
            ContentUnavailableError: there is no such object (any more), or it is damaged.
            BusUnavailableError: not now; try again.
            OSError: `file` cannot be written.
        """
        meta = await self._meta(reference.name)
        if meta is None:
            raise ContentUnavailableError(f"no object {reference.name} in the store")
        digest = hashlib.sha256()
        sequence = 0
        for _ in range(meta.chunks):
            message = await self._ask(sequence=sequence + 1, subject=_chunks_subject(meta.nuid))
            if message is None or message.seq is None:
                raise ContentUnavailableError(f"object {reference.name} is not complete")
            sequence, chunk = message.seq, message.data or b""
            digest.update(chunk)
            await asyncio.to_thread(file.write, chunk)
        if _digest_text(digest.digest()) != meta.digest:
            raise ContentUnavailableError(f"object {reference.name} does not have the digest that it was stored with")

    async def delete(self, name: str) -> None:
        """Delete an object; one that is not there is fine. Raises BusUnavailableError."""
        meta = await self._meta(name)
        if meta is None:
            return
        # The description goes last, so that a crash between the two leaves something by which it can be found.
        await self._purge(_chunks_subject(meta.nuid))
        await self._purge(_meta_subject(name))

    async def _purge(self, subject: str) -> None:
        try:
            await self._jetstream.purge_stream(MAIL_STREAM, subject=subject)
        except NATS_FAILURES as error:
            message = f"cannot delete the stored message: {str(error) or type(error).__name__}"
            raise BusUnavailableError(message) from error

    async def _meta(self, name: str) -> _ObjectMeta | None:
        # From the leader of the stream: another replica may not have heard of it yet.
        message = await self._ask(subject=_meta_subject(name))
        if message is None:
            return None
        try:
            meta = msgspec.json.decode(message.data or b"", type=_ObjectMeta)
        except msgspec.DecodeError as error:
            raise ContentUnavailableError(f"the description of object {name} cannot be read: {error}") from error
        return None if meta.deleted else meta

    async def _ask(self, *, subject: str, sequence: int | None = None) -> RawStreamMsg | None:
        """The last message of `subject`, or the first one from `sequence` on; None when there is none."""
        try:
            if sequence is None:
                return await self._jetstream.get_msg(MAIL_STREAM, subject=subject)
            return await self._jetstream.get_msg(MAIL_STREAM, sequence, subject, direct=True, next=True)
        except NotFoundError:
            return None
        except NATS_FAILURES as error:
            message = f"cannot read the stored message: {str(error) or type(error).__name__}"
            raise BusUnavailableError(message) from error


def _fill(data: io.BufferedIOBase, buffer: bytearray) -> int:
    """Read until the buffer is full or the data ends; the number of bytes in it."""
    view, filled = memoryview(buffer), 0
    while filled < len(buffer) and (length := data.readinto(view[filled:])):
        filled += length
    return filled


def _chunks_subject(nuid: str) -> str:
    return f"$O.{MAIL_BUCKET}.C.{nuid}"


def _meta_subject(name: str) -> str:
    return f"$O.{MAIL_BUCKET}.M.{base64.urlsafe_b64encode(name.encode()).decode()}"


def _digest_text(digest: bytes) -> str:
    return f"SHA-256={base64.urlsafe_b64encode(digest).decode()}"


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
