"""SpamAssassin's spamd, asked through aiospamc (SPAMC/1.5).

aiospamc frames requests and parses answers. The connection is ours: its own reads an answer of any size into memory,
and leaves the socket open when it is cancelled, so that a child of spamd works on for nobody.
"""

import asyncio
import math
import re
from contextlib import suppress
from typing import Final

from aiospamc.client import Client
from aiospamc.exceptions import (
    AIOSpamcConnectionFailed,
    BadRequest,
    BadResponse,
    ClientException,
    ParseError,
    TimeoutException,
)
from aiospamc.header_values import SpamValue, UserValue
from aiospamc.requests import Request
from aiospamc.responses import Response, ResponseException, ServerTimeoutException

from qscan_contracts.scanning import SpamScore
from qscan_kit.health import Health
from qscan_spam.address import Address
from qscan_spam.unscored import Unscored, unscored

ENGINE: Final = "spamd"
MAX_ANSWER_BYTES = 64 * 1024
"""A score and the names of the rules that matched are some hundred bytes."""
MAX_PLAUSIBLE_SCORE = 100_000.0
"""GTUBE is 1000. Beyond this, and for «not a number», what was said is no score."""
ROUNDING = 0.1
"""Scores are told with one digit, so 4.96 of 5.0 comes as ``False ; 5.0 / 5.0``."""
MAX_SYMBOLS = 200
MAX_SYMBOL_CHARS = 64
MAX_DETAIL_CHARS = 200
HEALTH_TIMEOUT_S = 3.0

_SYMBOL = re.compile(r"[A-Za-z0-9_]+")

# Everything that aiospamc and the network can raise, with what it means. Subclasses go with their base unless they
# have a line of their own; a test enumerates what aiospamc has.
TRANSLATIONS: Final[dict[type[Exception], Unscored]] = {
    AIOSpamcConnectionFailed: Unscored.NOT_RUNNING,
    ServerTimeoutException: Unscored.TIMED_OUT,
    TimeoutException: Unscored.TIMED_OUT,
    ResponseException: Unscored.REFUSED,
    BadRequest: Unscored.NO_ANSWER,
    BadResponse: Unscored.NO_ANSWER,
    ClientException: Unscored.NO_ANSWER,
    ParseError: Unscored.NO_ANSWER,
    TimeoutError: Unscored.TIMED_OUT,
    # A field name that is not ASCII comes through the parser of aiospamc like this.
    UnicodeError: Unscored.NO_ANSWER,
    OSError: Unscored.NO_ANSWER,
}


class _Connection:
    """In place of aiospamc's `ConnectionManager`: a connection per request, closed whatever happens."""

    def __init__(self, address: Address, *, connect_timeout_s: float) -> None:
        self._address, self._connect_timeout_s = address, connect_timeout_s

    async def request(self, data: bytes) -> bytes:
        """Send `data` and read the answer to its end."""
        reader, writer = await self._open()
        try:
            # spamd may answer and hang up before it has read everything; then its answer counts.
            with suppress(ConnectionError):
                writer.write(data)
                writer.write_eof()
                await writer.drain()
            return await _read_to_end(reader)
        finally:
            # Not `close`, which would go on sending what nobody reads.
            writer.transport.abort()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                if self._address.path:
                    return await asyncio.open_unix_connection(self._address.path, limit=MAX_ANSWER_BYTES)
                return await asyncio.open_connection(self._address.host, self._address.port, limit=MAX_ANSWER_BYTES)
        except TimeoutError as error:
            raise AIOSpamcConnectionFailed(f"no connection within {self._connect_timeout_s:g} s") from error
        except OSError as error:
            raise AIOSpamcConnectionFailed(error.strerror or str(error)) from error


async def _read_to_end(reader: asyncio.StreamReader) -> bytes:
    answer = bytearray()
    while chunk := await reader.read(MAX_ANSWER_BYTES):
        answer += chunk
        if len(answer) > MAX_ANSWER_BYTES:
            raise BadResponse(f"an answer of more than {MAX_ANSWER_BYTES} bytes")
    return bytes(answer)


class Spamd:
    """One spamd, or what is behind one address: a `qscan_spam.filters.SpamFilterClient`."""

    def __init__(self, address: Address, *, connect_timeout_s: float) -> None:
        """Ask the spamd at `address`; nothing is connected before the first message."""
        self._address = address
        self._client = Client(_Connection(address, connect_timeout_s=connect_timeout_s))

    @property
    def engine(self) -> str:
        """``spamd``."""
        return ENGINE

    async def score(self, message: bytes, *, user: str | None, timeout_s: float) -> SpamScore:
        """See the port. SYMBOLS, so that the names of the rules come with the score and nothing else does."""
        headers = {} if user is None else {"User": UserValue(user)}
        try:
            response = await self._ask(Request("SYMBOLS", headers=headers, body=message), timeout_s)
        except tuple(TRANSLATIONS) as error:
            return unscored(ENGINE, translate(error), detail(error))
        return to_score(response)

    async def health(self) -> Health:
        """Ask with PING."""
        try:
            response = await self._ask(Request("PING"), HEALTH_TIMEOUT_S)
        except tuple(TRANSLATIONS) as error:
            what = f"spamd at {self._address}: {translate(error)} ({detail(error)})"
            return Health(ok=False, detail=f"{what}; messages pass with ?/?: start spamd, or correct address")
        return Health(ok=True, detail=f"spamd at {self._address} speaks {response.version}")

    async def _ask(self, request: Request, timeout_s: float) -> Response:
        async with asyncio.timeout(timeout_s):
            response: Response = await self._client.request(request)
        return response


def translate(error: Exception) -> Unscored:
    """What an exception of aiospamc or of the network means."""
    for kind in type(error).__mro__:
        if kind in TRANSLATIONS:
            return TRANSLATIONS[kind]
    raise error  # never: only what has a translation is caught


def detail(error: Exception) -> str:
    """One printable line about an error; what spamd sent may be anything."""
    text = "not an answer of spamd" if isinstance(error, BadResponse) else str(error) or type(error).__name__
    return re.sub(r"[^ -~]+", "?", text)[:MAX_DETAIL_CHARS]


def to_score(response: Response) -> SpamScore:
    """The score in an answer to SYMBOLS, if there is one that can be true."""
    spam = response.headers.get("Spam")
    if not isinstance(spam, SpamValue):
        return unscored(ENGINE, Unscored.NO_ANSWER, "no Spam field")
    score, required = spam.score, spam.threshold
    if not all(math.isfinite(number) and abs(number) <= MAX_PLAUSIBLE_SCORE for number in (score, required)):
        return unscored(ENGINE, Unscored.NO_ANSWER, "no score that can be true")
    if spam.value != (score >= required):
        if abs(score - required) > ROUNDING:
            return unscored(ENGINE, Unscored.NO_ANSWER, "score and verdict contradict each other")
        # The verdict was found with all digits.
        score = required if spam.value else required - ROUNDING
    names = _SYMBOL.findall(response.body.decode("ascii", errors="replace"))
    symbols = tuple(name[:MAX_SYMBOL_CHARS] for name in names[:MAX_SYMBOLS])
    return SpamScore(ENGINE, round(score, 3), round(required, 3), symbols)
