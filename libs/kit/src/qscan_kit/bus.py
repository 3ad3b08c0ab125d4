"""The bus: one NATS connection that never gives up. The only module that imports nats, with its two neighbours."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec
import nats
import nats.aio.client
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from typing_extensions import override

from qscan_contracts.subjects import Service, inbox_prefix
from qscan_kit.errors import BusUnavailableError
from qscan_kit.health import Health
from qscan_kit.log import get_logger
from qscan_kit.settings import ServiceSettings

T = TypeVar("T")
BusMessage = Msg
"""A message as it arrives: `subject`, `reply`, `data`, `headers`. By this name outside kit, which alone knows nats."""

Handler = Callable[[BusMessage], Awaitable[None]]

RECONNECT_WAIT_S = 0.5
CONNECT_TIMEOUT_S = 3
PING_INTERVAL_S = 10
PENDING_MESSAGES = 512
"""Low on purpose: what a subscription cannot take now is better refused than hidden in a buffer."""

# nats-py has headers read by fast_mail_parser where that happens to be installed. It gives lists instead of texts, and
# then no event can be acknowledged; what somebody installs beside us must not change what we read.
vars(nats.aio.client)["parse_email"] = None

_log = get_logger()
_encoder = msgspec.msgpack.Encoder()
_PING = b"PING\r\n"


def encode(value: object) -> bytes:
    """A wire struct as MessagePack."""
    return _encoder.encode(value)


def decode(payload: bytes, type_: type[T]) -> T:
    """A wire struct from MessagePack.

    Raises:
        msgspec.DecodeError: these bytes are none; nothing else is raised, whatever they are.
    """
    try:
        return msgspec.msgpack.decode(payload, type=type_)
    except (UnicodeDecodeError, RecursionError) as error:
        # msgspec lets these two through: text that is no UTF-8, and nesting without end.
        raise msgspec.DecodeError(f"{type(error).__name__} while decoding") from error


def _end_process() -> None:
    signal.raise_signal(signal.SIGTERM)


class _Client(Client):
    """nats-py 2.16 with two faults mended."""

    @override
    async def _send_ping(self, future: asyncio.Future[bool] | None = None) -> None:
        """Behind what was said before.

        It would overtake a SUB or UNSUB that still waits to be written, so that `flush` and `drain` returned before
        the server knows of it: requests to a new worker found nobody, those to a draining one were lost.
        """
        self._pongs.append(asyncio.get_running_loop().create_future() if future is None else future)
        await self._send_command(_PING)
        await self._flush_pending()

    @override
    async def _process_pong(self) -> None:
        """It would end its read loop, and be deaf from then on, when a PONG comes after `flush` gave up waiting."""
        if self._pongs and self._pongs[0].done():
            self._pongs[0] = asyncio.get_running_loop().create_future()
        await super()._process_pong()


class Bus:
    """A connection for one service. Closed by whoever connected."""

    def __init__(self, client: Client, service: Service, on_lost: Callable[[], None]) -> None:
        """Wrap a `client`; use `connect`."""
        self._client, self._on_lost = client, on_lost
        self._stands = False
        self._last_error = ""
        self.service = service

    @classmethod
    async def connect(
        cls, service: Service, settings: ServiceSettings, *, on_lost: Callable[[], None] = _end_process
    ) -> "Bus":
        """Connect, trying for ever: no service relies on an order of starting.

        Lost connections are made again, for ever too. Only when the server takes the user's right to connect away from
        a connection that stands (a reload with other passwords) nats-py gives up for good; then `on_lost` is called,
        which by default ends the process in order, to be started anew by what supervises it.
        """
        bus = cls(_Client(), service, on_lost)
        while True:
            client = bus._client
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
                    error_cb=bus._when_failed,
                    closed_cb=bus._when_closed,
                    disconnected_cb=bus._when_disconnected,
                    reconnected_cb=bus._when_reconnected,
                )
            except (OSError, nats.errors.Error, TimeoutError) as error:
                await bus._when_failed(error)
                await client.close()  # or its socket would stay
                bus._client = _Client()
                await asyncio.sleep(RECONNECT_WAIT_S)
            else:
                client.options["allow_reconnect"] = True
                bus._last_error, bus._stands = "", True
                return bus

    async def _when_failed(self, error: Exception) -> None:
        """Say it once: while there is no server this happens twice a second."""
        text = str(error) or type(error).__name__
        if text != self._last_error:
            _log.warning("bus error, trying again", error=text)
        self._last_error = text

    async def _when_disconnected(self) -> None:
        if self._stands:
            _log.warning("bus disconnected")

    async def _when_reconnected(self) -> None:
        self._last_error = ""
        _log.info("bus reconnected")

    async def _when_closed(self) -> None:
        if self._stands:
            _log.error("bus connection ended for good; is the password of this service still right?")
            self._on_lost()

    @property
    def client(self) -> Client:
        """The nats client, for the other modules of kit only."""
        return self._client

    @property
    def is_connected(self) -> bool:
        """Whether something published now would reach a server."""
        return self._client.is_connected

    @property
    def max_payload_bytes(self) -> int:
        """The largest message that the server takes."""
        return self._client.max_payload

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
        """Call `handler` for each message, one after another; it must return at once and never raise.

        Raises:
            BusUnavailableError: closed for good.
        """
        try:
            return await self._client.subscribe(subject, queue=queue, cb=handler, pending_msgs_limit=pending)
        except nats.errors.Error as error:
            raise BusUnavailableError(f"cannot listen: {str(error) or type(error).__name__}") from error

    def new_inbox(self) -> str:
        """A subject that only this service may listen to."""
        return self._client.new_inbox()

    async def health(self) -> Health:
        """Whether a server answers."""
        if not self.is_connected:  # nats-py's flush does not notice
            return Health(ok=False, detail=f"not connected to NATS: {self._last_error or 'is it running?'}")
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
        self._stands = False
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
