"""An unpacker as the scanning services know it: asks over the bus, and hands out content in chunks."""

import asyncio
import hashlib
from collections.abc import Callable
from typing import Protocol, Self

from qscan_contracts import subjects
from qscan_contracts.components import ByReference, Chunk, ChunkRequest, Content, Inline
from qscan_contracts.ids import JobId, ScanId, Sha256
from qscan_contracts.scanning import AvRequest, Job, PolicyRequest, Progress, Reply, SpamRequest
from qscan_contracts.subjects import ScanRole
from qscan_kit.bus import Bus, decode, encode

INSTANCE = "testasker"
_ASK_AGAIN_S = 0.05

Request = AvRequest | PolicyRequest | SpamRequest


class _Message(Protocol):
    """What of a NATS message is needed here."""

    subject: str
    reply: str
    data: bytes


class NoWorkerError(Exception):
    """Nobody listens to the role that was asked."""


class ScanAsker:
    """Use as an asynchronous context manager, on a bus of the service `unpacker`."""

    def __init__(self, bus: Bus) -> None:
        """Ask over `bus`, which the caller closes."""
        self._bus = bus
        self._jobs = 0
        self._waiting: dict[str, asyncio.Queue[_Message]] = {}
        self._lent: dict[str, bytes] = {}
        self.progress_count = 0
        """How often workers said that they are still at it."""

    async def __aenter__(self) -> Self:
        """Listen for replies and for requests of chunks."""
        await self._bus.listen(subjects.all_replies(INSTANCE), self._heard)
        await self._bus.listen(subjects.chunks(INSTANCE), self._hand_out)
        await self._bus.client.flush()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing to do: the subscriptions end with the bus."""

    def job(self, *, timeout_ms: int = 10_000) -> Job:
        """A job of its own."""
        self._jobs += 1
        return Job(JobId(f"job{self._jobs}"), ScanId(f"scan{self._jobs}"), timeout_ms)

    def lend(self, data: bytes, *, inline: bool) -> tuple[Content, int, Sha256]:
        """Content of a request, with its size and SHA-256."""
        digest = Sha256(hashlib.sha256(data).hexdigest())
        if inline:
            return Inline(data), len(data), digest
        token = f"token{len(self._lent)}"
        self._lent[token] = data
        return ByReference(subjects.chunks(INSTANCE), token), len(data), digest

    async def ask(self, role: ScanRole, request: Request | bytes, *, timeout_s: float = 15.0) -> Reply:
        """The reply that ends the job; `bytes` are sent as they are.

        Raises:
            NoWorkerError: nobody listens.
            TimeoutError: no such reply within `timeout_s`.
        """
        self._jobs += 1
        subject = subjects.reply(role, INSTANCE, JobId(f"ask{self._jobs}"))
        replies = self._waiting[subject] = asyncio.Queue()
        payload = request if isinstance(request, bytes) else encode(request)
        await self._bus.publish(subjects.scan(role), payload, reply=subject)
        async with asyncio.timeout(timeout_s):
            while True:
                message = await replies.get()
                if not message.data:  # the server's word that nobody listens; a reply is never empty
                    raise NoWorkerError(role)
                reply: Reply = decode(message.data, Reply)  # type: ignore[arg-type]  # a union is no type to mypy
                if not isinstance(reply, Progress):
                    return reply
                self.progress_count += 1

    async def ask_when_there(self, role: ScanRole, request: Callable[[], Request], *, timeout_s: float = 15.0) -> Reply:
        """As `ask`, for a worker that is still starting."""
        async with asyncio.timeout(timeout_s):
            while True:
                try:
                    return await self.ask(role, request())
                except NoWorkerError:
                    await asyncio.sleep(_ASK_AGAIN_S)

    async def _heard(self, message: _Message) -> None:
        self._waiting[message.subject].put_nowait(message)

    async def _hand_out(self, message: _Message) -> None:
        asked = decode(message.data, ChunkRequest)
        data = self._lent.get(asked.token)
        chunk = Chunk(False) if data is None else Chunk(True, data[asked.offset : asked.offset + asked.length])  # noqa: FBT003  # array-like
        await self._bus.publish(message.reply, encode(chunk))
