"""Control of a clamd (PING, VERSION, RELOAD) by the PyPI package `clamd`, in a thread. ADR 0001."""

import asyncio
import contextlib
import re
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import clamd
from typing_extensions import override

from qscan_av_gateway.adapters.clamd_address import ClamdAddress, UnixAddress
from qscan_av_gateway.adapters.clamd_reply import MAX_REPLY_BYTES, cleaned

_VERSION = re.compile(r"ClamAV (?P<engine>[^\s/]{1,40})(/(?P<database>[0-9]{1,10})/(?P<made>[ -~]{1,40}))?")
_NUMBERS = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
_MADE = "%a %b %d %H:%M:%S %Y"
# clamd's STATS, which is never asked here, could crash it before these; and each fixed parsers that a mail can reach.
_OLDEST_GOOD = {(1, 4): (1, 4, 6), (1, 5): (1, 5, 4)}


class ControlError(Exception):
    """clamd could not be asked, or did not answer as it should. The text says what happened."""


@dataclass(frozen=True)
class ClamdVersion:
    """clamd's word on VERSION.

    Attributes:
        engine: such as ``ClamAV 1.4.6``.
        database: the version of its daily signatures, ``local`` when it has only a site's own, ``unknown`` when it
            does not tell.
        made: when those signatures were made, in UTC as far as clamd's zone is.
    """

    engine: str
    database: str
    made: datetime | None = None

    @property
    def is_outdated(self) -> bool:
        """Whether this ClamAV has known holes that a newer one of its line has closed."""
        numbers = _NUMBERS.search(self.engine)
        if numbers is None:
            return False
        version = (int(numbers[1]), int(numbers[2]), int(numbers[3] or 0))
        oldest_good = _OLDEST_GOOD.get(version[:2])
        return version < oldest_good if oldest_good else version < min(_OLDEST_GOOD.values())


def parse_version(reply: str) -> ClamdVersion:
    """Read the reply to VERSION; what cannot be read is unknown, since clamd can be told not to tell (1.5)."""
    match = _VERSION.fullmatch(reply.strip())
    if match is None:
        return ClamdVersion("ClamAV unknown", "unknown")
    if match["database"] is None:
        return ClamdVersion(f"ClamAV {match['engine']}", "local")
    try:
        made = datetime.strptime(match["made"], _MADE).replace(tzinfo=UTC)
    except ValueError:
        made = None
    return ClamdVersion(f"ClamAV {match['engine']}", match["database"], made)


class _Client(clamd.ClamdNetworkSocket):  # type: ignore[misc]  # the package has no types
    """The package's client with what it lacks: IPv6, a time-out of connecting, and an end of reading."""

    def __init__(self, address: ClamdAddress, timeout_s: float) -> None:
        self._address, self._timeout_s = address, timeout_s

    @override
    def _init_socket(self) -> None:
        if isinstance(self._address, UnixAddress):
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.settimeout(self._timeout_s)
                connection.connect(self._address.path)
            except OSError:
                connection.close()
                raise
        else:
            connection = socket.create_connection((self._address.host, self._address.port), self._timeout_s)
        self.clamd_socket = connection

    @override
    def _recv_response(self) -> str:
        with contextlib.closing(self.clamd_socket.makefile("rb")) as file:
            line: bytes = file.readline(MAX_REPLY_BYTES)
        if not line.endswith(b"\n"):
            message = f"hung up or rambled: {cleaned(line)}"
            raise ControlError(message)
        return cleaned(line)


class ClamdControl:
    """Asks one clamd; a connection for each question, none in between."""

    def __init__(self, address: ClamdAddress, *, timeout_s: float) -> None:
        """Ask the clamd at `address`, and wait `timeout_s` for each step of a question."""
        self.address: Final = address
        self._timeout_s = timeout_s
        # Threads of its own: a clamd that stalls must not keep questions to another one waiting.
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="clamd-control")

    def close(self) -> None:
        """Let go of the threads; a question in progress ends by its time-outs."""
        self._threads.shutdown(wait=False)

    async def ping(self) -> None:
        """Return if clamd answers. Raises ControlError."""
        reply = await self._ask(lambda client: client.ping())
        if reply != "PONG":
            message = f"answers PING with {reply!r}"
            raise ControlError(message)

    async def version(self) -> ClamdVersion:
        """What clamd is and which signatures it has. Raises ControlError."""
        return parse_version(await self._ask(lambda client: client.version()))

    async def reload(self) -> None:
        """Tell clamd to load its signatures anew. It does not say when it is done. Raises ControlError."""
        reply = await self._ask(lambda client: client.reload())
        if reply != "RELOADING":
            message = f"answers RELOAD with {reply!r}; is EnableReloadCommand set to no in its clamd.conf?"
            raise ControlError(message)

    async def _ask(self, question: Callable[[clamd.ClamdNetworkSocket], str]) -> str:
        client = _Client(self.address, self._timeout_s)
        try:
            # The time-outs of the socket end the thread; this one is for names that are slow to resolve.
            async with asyncio.timeout(2 * self._timeout_s):
                return await asyncio.get_running_loop().run_in_executor(self._threads, question, client)
        except TimeoutError as error:
            message = f"no answer within {self._timeout_s:g} s"
            raise ControlError(message) from error
        except OSError as error:
            raise ControlError(error.strerror or str(error)) from error
        except (clamd.ClamdError, UnicodeDecodeError) as error:
            raise ControlError(str(error)) from error
