"""Reads a scan request off the wire: its envelope and its message (DESIGN §4)."""

import asyncio
import re
import secrets
import time
from http import HTTPStatus

import msgspec
from starlette.requests import Request

from qscan_contracts.envelope import Envelope
from qscan_contracts.ids import SCAN_ID_PATTERN, ScanId
from qscan_contracts.intake import ENVELOPE_SIZE_HEADER, MAX_ENVELOPE_BYTES, MIN_ENVELOPE_BYTES, FramedEnvelope
from qscan_unpacker.problems import ProblemError, malformed
from qscan_unpacker.spool import MessageTooLargeError, RawMessage

_SCAN_ID = re.compile(SCAN_ID_PATTERN)
_SIZE = re.compile(r"[0-9]{1,10}")
_decoder = msgspec.json.Decoder(FramedEnvelope)


def new_scan_id() -> ScanId:
    """For requests that bring none: sorts by time, cannot be guessed."""
    return ScanId(f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(8)}")


class BodyReader:
    """The body of one request: first the envelope, if it is framed, then the message into a `RawMessage`."""

    def __init__(self, request: Request, raw: RawMessage, timeout_s: float) -> None:
        """Read into `raw`, for at most `timeout_s` in all."""
        self._request, self._raw, self._timeout_s = request, raw, timeout_s

    async def read_raw(self) -> None:
        """The whole body is the message. Raises as `read_framed`."""
        await self._read(0)

    async def read_framed(self) -> FramedEnvelope:
        """The envelope; the rest of the body is the message.

        Raises:
            ProblemError: malformed, too large or too slow.
            OSError: the disk under the spool is full or broken.
            ClientDisconnect: nobody waits for an answer any more.
        """
        return _decode(await self._read(_envelope_size(self._request)))

    async def _read(self, envelope_size: int) -> bytes:
        envelope = bytearray()
        try:
            async with asyncio.timeout(self._timeout_s):
                async for piece in self._request.stream():
                    missing = envelope_size - len(envelope)
                    if missing > 0:
                        envelope += piece[:missing]
                        piece = piece[missing:]  # noqa: PLW2901  # the rest of it belongs to the message
                    if piece:
                        self._raw.append(piece)
        except TimeoutError as error:
            detail = f"the body did not arrive within {self._timeout_s:g} s; send it again, faster"
            raise ProblemError(HTTPStatus.REQUEST_TIMEOUT, detail) from error
        except MessageTooLargeError as error:
            detail = "the message is larger than max_message_bytes; raise that limit or do not send it"
            raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail) from error
        if len(envelope) < envelope_size:
            raise malformed(f"the body ends inside the envelope of {envelope_size} bytes that was announced")
        return bytes(envelope)


def _envelope_size(request: Request) -> int:
    text = request.headers.get(ENVELOPE_SIZE_HEADER)
    if text is None:
        raise malformed(f"a framed request needs the header {ENVELOPE_SIZE_HEADER} with the size of its envelope")
    if not _SIZE.fullmatch(text) or not MIN_ENVELOPE_BYTES <= int(text) <= MAX_ENVELOPE_BYTES:
        raise malformed(f"{ENVELOPE_SIZE_HEADER} must be a number from {MIN_ENVELOPE_BYTES} to {MAX_ENVELOPE_BYTES}")
    return int(text)


def _decode(data: bytes) -> FramedEnvelope:
    try:
        envelope = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(f"the envelope is not the JSON that is expected: {error}") from error
    check_addresses(envelope)
    if envelope.scan_id is not None and not _SCAN_ID.fullmatch(envelope.scan_id):
        raise malformed(f"scan_id must match {SCAN_ID_PATTERN}")
    if envelope.deadline_ms is not None and envelope.deadline_ms <= 0:
        raise malformed("deadline_ms must be above 0")
    return envelope


def check_addresses(envelope: Envelope) -> None:
    """Refuse what cannot be carried on. Raises ProblemError."""
    # qmail's envelope ends each address with a NUL, so no address can hold one.
    if any("\0" in address for address in (envelope.mail_from, *envelope.rcpt_to)):
        raise malformed("an address holds a NUL; an envelope cannot carry that")
