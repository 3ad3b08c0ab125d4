"""Hands out content in chunks to the workers that were given a reference to it (DESIGN §1 rule 5)."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from qscan_contracts import subjects
from qscan_contracts.components import ByReference, Chunk, ChunkRequest, Content, Inline
from qscan_contracts.scanning import CHUNK_BYTES, MAX_INLINE_BYTES
from qscan_kit.bus import Bus, BusMessage, decode, encode
from qscan_kit.errors import BusUnavailableError
from qscan_unpacker.dissection.holding import HeldContent


class Contents:
    """The contents that workers may pull now. A token is unguessable and lives as long as the message is scanned."""

    def __init__(self, bus: Bus, instance: str) -> None:
        """Serve on the chunk subject of the unpacker called `instance`."""
        self._bus, self._subject = bus, subjects.chunks(instance)
        self._held: dict[str, HeldContent] = {}

    async def start(self) -> None:
        """Answer requests for chunks from now on."""
        await self._bus.listen(self._subject, self._on_request)

    @contextmanager
    def lending(self) -> Iterator["Lending"]:
        """Lend contents for as long as the block runs."""
        lending = Lending(self._held, self._subject)
        try:
            yield lending
        finally:
            lending.end()

    async def _on_request(self, message: BusMessage) -> None:
        if not message.reply:
            return
        try:
            request = decode(message.data, ChunkRequest)
        except msgspec.DecodeError:
            return
        content = self._held.get(request.token)
        if content is None or request.offset < 0 or not 0 < request.length <= CHUNK_BYTES:
            chunk = Chunk(found=False)
        else:
            chunk = Chunk(found=True, data=content.read(request.offset, request.length))
        try:
            await self._bus.publish(message.reply, encode(chunk))
        except BusUnavailableError:
            return  # the worker times out and says so


class Lending:
    """What one message lends out."""

    def __init__(self, held: dict[str, HeldContent], subject: str) -> None:
        """Register in `held`; references name `subject`."""
        self._held, self._subject = held, subject
        self._tokens: list[str] = []

    def lend(self, content: HeldContent) -> Content:
        """The way to `content` for a worker: inline where it is small, else a reference."""
        if content.size <= MAX_INLINE_BYTES:
            return Inline(content.read(0, content.size))
        token = secrets.token_urlsafe(16)
        self._held[token] = content
        self._tokens.append(token)
        return ByReference(self._subject, token)

    def end(self) -> None:
        """Nothing of this message is handed out any more."""
        for token in self._tokens:
            del self._held[token]
