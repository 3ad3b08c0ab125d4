"""Content of a component as a worker sees it: size, SHA-256, and bytes in chunks, as often as needed."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from typing import Protocol

import msgspec
import nats.errors
from nats.aio.msg import Msg

from qscan_contracts.components import ByReference, Chunk, ChunkRequest, Content, Inline
from qscan_contracts.ids import Sha256
from qscan_contracts.scanning import CHUNK_BYTES
from qscan_kit.bus import Bus, decode, encode
from qscan_kit.errors import BusUnavailableError, ContentUnavailableError

CHUNK_TIMEOUT_S = 5.0
CHUNKS_AHEAD = 4
"""How many chunks are asked for before the first of them is used up."""


class ContentSource(Protocol):
    """Bytes to scan. Nothing large is held in memory; the bytes belong to the unpacker while the job runs."""

    @property
    def size(self) -> int:
        """How many bytes there are, as promised by the unpacker."""
        ...

    @property
    def sha256(self) -> Sha256:
        """The digest of all bytes, as promised by the unpacker."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Read from the start; may be called again for another reading.

        Raises:
            ContentUnavailableError: the bytes cannot be had, or were not the promised ones. It comes before the
                iteration ends, so a reader that has seen the end has seen the right bytes.
        """
        ...


class InlineSource:
    """Content that came with the request."""

    def __init__(self, data: bytes, sha256: Sha256) -> None:
        """Serve `data`, if its digest is `sha256`."""
        self._data, self._sha256 = data, sha256

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self._data)

    @property
    def sha256(self) -> Sha256:
        """The promised digest."""
        return self._sha256

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """All at once."""
        if hashlib.sha256(self._data).hexdigest() != self._sha256:
            message = "inline content does not have the promised SHA-256"
            raise ContentUnavailableError(message)
        if self._data:
            yield self._data


class PulledSource:
    """Content that is pulled in chunks over NATS from the unpacker that holds it."""

    def __init__(self, bus: Bus, reference: ByReference, *, size: int, sha256: Sha256) -> None:
        """Pull what `reference` names; `size` and `sha256` are what it must turn out to be."""
        self._bus, self._reference = bus, reference
        self._size, self._sha256 = size, sha256

    @property
    def size(self) -> int:
        """Bytes, as promised."""
        return self._size

    @property
    def sha256(self) -> Sha256:
        """The promised digest."""
        return self._sha256

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Pull `CHUNK_BYTES` at a time, a few ahead, in order, and verify the digest before ending."""
        # An inbox of our own instead of nats-py's shared one, which can be lost for ever (nats.py issue 667).
        replies: dict[int, asyncio.Future[bytes]] = {}

        async def arrived(message: Msg) -> None:
            waiting = replies.get(int(message.subject.rpartition(".")[2]))
            if waiting is not None and not waiting.done():
                waiting.set_result(message.data)

        inbox = self._bus.new_inbox()
        try:
            subscription = await self._bus.listen(f"{inbox}.*", arrived)
        except BusUnavailableError as error:
            raise ContentUnavailableError(str(error)) from error
        digest = hashlib.sha256()
        try:
            offsets = range(0, self._size, CHUNK_BYTES)
            for offset in offsets[:CHUNKS_AHEAD]:
                await self._ask(inbox, offset, replies)
            for offset in offsets:
                chunk = await self._receive(offset, replies)
                digest.update(chunk)
                ahead = offset + CHUNKS_AHEAD * CHUNK_BYTES
                if ahead < self._size:
                    await self._ask(inbox, ahead, replies)
                yield chunk
        finally:
            with suppress(nats.errors.Error):  # closed for good: nothing comes any more
                await subscription.unsubscribe()
        if digest.hexdigest() != self._sha256:
            message = "pulled content does not have the promised SHA-256"
            raise ContentUnavailableError(message)

    async def _ask(self, inbox: str, offset: int, replies: dict[int, asyncio.Future[bytes]]) -> None:
        replies[offset] = asyncio.get_running_loop().create_future()
        request = ChunkRequest(self._reference.token, offset, min(CHUNK_BYTES, self._size - offset))
        try:
            await self._bus.publish(self._reference.subject, encode(request), reply=f"{inbox}.{offset}")
        except BusUnavailableError as error:
            raise ContentUnavailableError(str(error)) from error

    async def _receive(self, offset: int, replies: dict[int, asyncio.Future[bytes]]) -> bytes:
        try:
            async with asyncio.timeout(CHUNK_TIMEOUT_S):
                chunk = decode(await replies[offset], Chunk)
        except (TimeoutError, msgspec.DecodeError) as error:
            message = f"no chunk at offset {offset} from the unpacker"
            raise ContentUnavailableError(message) from error
        del replies[offset]
        if not chunk.found or len(chunk.data) != min(CHUNK_BYTES, self._size - offset):
            message = "the unpacker no longer holds this content"
            raise ContentUnavailableError(message)
        return chunk.data


def source(bus: Bus, content: Content, *, size: int, sha256: Sha256) -> ContentSource:
    """The way to the bytes of `content`, of which `size` and `sha256` are promised."""
    match content:
        case Inline(data):
            return InlineSource(data, sha256)
        case ByReference():
            return PulledSource(bus, content, size=size, sha256=sha256)


async def read_all(content: ContentSource, max_bytes: int) -> bytes:
    """The whole content in memory.

    Raises:
        ContentUnavailableError: it cannot be had, or is larger than `max_bytes`.
    """
    if content.size > max_bytes:
        message = f"content of {content.size} bytes is larger than the limit of {max_bytes}"
        raise ContentUnavailableError(message)
    return b"".join([chunk async for chunk in content.chunks()])
