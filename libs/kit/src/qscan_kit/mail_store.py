"""The store for whole messages between unpacker and archiver (DESIGN §6)."""

import asyncio
import base64
import hashlib
import io
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
from nats.js.api import Header, RawStreamMsg
from nats.js.errors import NotFoundError

from qscan_contracts.events import ObjectReference
from qscan_contracts.subjects import MAIL_BUCKET
from qscan_kit.bus import Bus
from qscan_kit.errors import BusUnavailableError, ContentUnavailableError
from qscan_kit.stream import MAIL_STREAM, NATS_FAILURES, STORE_TIMEOUT_S

CLEAN_UP_TIMEOUT_S = 2.0
OBJECT_CHUNK_BYTES = 512 * 1024
"""Each chunk is synced to disk on its own, so they are four times the size of NATS's default."""


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


@dataclass(frozen=True)
class Leftover:
    """Something old in the store: an object, or where there is no `name`, the chunks of an unfinished one."""

    name: str | None
    chunks_subject: str


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

    async def leftovers(self, *, older_than_s: float) -> tuple[Leftover, ...]:
        """What has been in the store for longer than this: whole objects, and chunks that belong to none.

        Whether anybody will still ask for a whole object is for the caller to know.

        Raises:
            BusUnavailableError: not now.
            ContentUnavailableError: some description cannot be read, so which chunks belong to it is not known.
        """
        subjects_there = await self._subjects()
        oldest = datetime.now(UTC) - timedelta(seconds=older_than_s)
        metas = [meta for subject in subjects_there if (meta := await self._meta_at(subject)) is not None]
        belonging = {_chunks_subject(meta.nuid) for meta in metas}
        left = [Leftover(meta.name, "") for meta in metas if _time(meta.mtime) < oldest]
        for subject in subjects_there:
            if subject.startswith(_chunks_subject("")) and subject not in belonging:
                first = await self._ask(sequence=1, subject=subject)
                if first is not None and first.time is not None and first.time < oldest:
                    left.append(Leftover(None, subject))
        return tuple(left)

    async def discard(self, leftover: Leftover) -> None:
        """Delete a leftover. Raises BusUnavailableError."""
        if leftover.name is not None:
            await self.delete(leftover.name)
        else:
            await self._purge(leftover.chunks_subject)

    async def _subjects(self) -> tuple[str, ...]:
        try:
            info = await self._jetstream.stream_info(MAIL_STREAM, subjects_filter=f"$O.{MAIL_BUCKET}.>")
        except NATS_FAILURES as error:
            message = f"cannot list the stored messages: {str(error) or type(error).__name__}"
            raise BusUnavailableError(message) from error
        return tuple(info.state.subjects or ())

    async def _purge(self, subject: str) -> None:
        try:
            await self._jetstream.purge_stream(MAIL_STREAM, subject=subject)
        except NATS_FAILURES as error:
            message = f"cannot delete the stored message: {str(error) or type(error).__name__}"
            raise BusUnavailableError(message) from error

    async def _meta(self, name: str) -> _ObjectMeta | None:
        # From the leader of the stream: another replica may not have heard of it yet.
        return await self._meta_at(_meta_subject(name))

    async def _meta_at(self, subject: str) -> _ObjectMeta | None:
        if not subject.startswith(_META_PREFIX):
            return None
        message = await self._ask(subject=subject)
        if message is None:
            return None
        try:
            meta = msgspec.json.decode(message.data or b"", type=_ObjectMeta)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ContentUnavailableError(f"the description at {subject} cannot be read: {error}") from error
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


_META_PREFIX = f"$O.{MAIL_BUCKET}.M."


def _meta_subject(name: str) -> str:
    return f"{_META_PREFIX}{base64.urlsafe_b64encode(name.encode()).decode()}"


def _time(text: str) -> datetime:
    """The time in an object's description; one that cannot be read is taken for now, so that nothing is lost by it."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return datetime.now(UTC)
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def _digest_text(digest: bytes) -> str:
    return f"SHA-256={base64.urlsafe_b64encode(digest).decode()}"
