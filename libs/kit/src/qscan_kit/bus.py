"""The bus: one NATS connection that never gives up. The only module that imports nats, with its two neighbours."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec
import nats
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from qscan_contracts.subjects import Service, inbox_prefix
from qscan_kit.errors import BusUnavailableError
from qscan_kit.health import Health
from qscan_kit.log import get_logger
from qscan_kit.settings import ServiceSettings

T = TypeVar("T")
Handler = Callable[[Msg], Awaitable[None]]

RECONNECT_WAIT_S = 0.5
CONNECT_TIMEOUT_S = 3
PING_INTERVAL_S = 10
PENDING_MESSAGES = 512
"""Low on purpose: what a subscription cannot take now is better refused than hidden in a buffer."""

_log = get_logger()
_encoder = msgspec.msgpack.Encoder()


def encode(value: object) -> bytes:
    """A wire struct as MessagePack."""
    return _encoder.encode(value)


def decode(payload: bytes, type_: type[T]) -> T:
    """A wire struct from MessagePack. Raises msgspec.DecodeError (and its ValidationError)."""
    return msgspec.msgpack.decode(payload, type=type_)


class Bus:
    """A connection for one service. Closed by whoever connected."""

    def __init__(self, client: Client, service: Service) -> None:
        """Wrap a connected `client`; use `connect`."""
        self._client = client
        self.service = service

    @classmethod
    async def connect(cls, service: Service, settings: ServiceSettings) -> "Bus":
        """Connect, trying for ever: no service relies on an order of starting."""
        client = Client()

        async def disconnected() -> None:
            if not client.is_closed:
                _log.warning("bus disconnected")

        async def reconnected() -> None:
            _log.info("bus reconnected")

        async def failed(error: Exception) -> None:
            _log.warning("bus error", error=str(error) or type(error).__name__)

        waiting_is_logged = False
        while True:
            try:
                await client.connect(
                    servers=list(settings.nats_urls),
                    user=service.value,
                    password=settings.nats_password.get_secret_value(),
                    name=f"qscan-{service}",
                    inbox_prefix=inbox_prefix(service),
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=RECONNECT_WAIT_S,  # type: ignore[arg-type]  # fractions work
                    connect_timeout=CONNECT_TIMEOUT_S,
                    ping_interval=PING_INTERVAL_S,
                    allow_reconnect=False,  # while connecting for the first time: the loop here tries again
                    pending_size=0,  # nothing is kept for later while disconnected: a late request is no use
                    error_cb=failed,
                    disconnected_cb=disconnected,
                    reconnected_cb=reconnected,
                )
            except (OSError, nats.errors.Error, TimeoutError) as error:
                if not waiting_is_logged:
                    _log.warning("waiting for the bus", servers=settings.nats_urls, error=str(error))
                    waiting_is_logged = True
                await asyncio.sleep(RECONNECT_WAIT_S)
            else:
                client.options["allow_reconnect"] = True
                return cls(client, service)

    @property
    def client(self) -> Client:
        """The nats client, for the other modules of kit only."""
        return self._client

    @property
    def is_connected(self) -> bool:
        """Whether something published now would reach a server."""
        return self._client.is_connected

    async def publish(
        self, subject: str, payload: bytes, *, reply: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        """Send at most once.

        Raises:
            BusUnavailableError: not connected, or larger than the server takes.
        """
        try:
            await self._client.publish(subject, payload, reply=reply, headers=dict(headers) if headers else None)
        except nats.errors.Error as error:
            message = f"cannot publish: {str(error) or type(error).__name__}"
            raise BusUnavailableError(message) from error

    async def listen(
        self, subject: str, handler: Handler, *, queue: str = "", pending: int = PENDING_MESSAGES
    ) -> Subscription:
        """Call `handler` for each message, one after another; it must return at once and never raise."""
        return await self._client.subscribe(subject, queue=queue, cb=handler, pending_msgs_limit=pending)

    def new_inbox(self) -> str:
        """A subject that only this service may listen to."""
        return self._client.new_inbox()

    async def health(self) -> Health:
        """Whether a server answers."""
        try:
            await self._client.flush(timeout=2)
        except (nats.errors.Error, OSError, TimeoutError, ValueError) as error:
            return Health(ok=False, detail=f"NATS does not answer: {str(error) or type(error).__name__}")
        return Health(
            ok=True,
            detail=f"connected to {self._client.connected_url.hostname if self._client.connected_url else 'NATS'}",
        )

    async def close(self) -> None:
        """Send what is buffered and disconnect."""
        try:
            async with asyncio.timeout(2):
                await self._client.flush()
        except (nats.errors.Error, OSError, TimeoutError):
            pass
        await self._client.close()


def is_no_responders(message: Msg) -> bool:
    """Whether this is the server's word that nobody listens to the subject that was asked."""
    headers: Mapping[str, Any] | None = message.headers
    return not message.data and headers is not None and headers.get("Status") == "503"
