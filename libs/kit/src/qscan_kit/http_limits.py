"""uvicorn's HTTP protocol with the limits that it lacks: on a request's head, and on clients that do not read."""

import asyncio
from typing import Final

import msgspec
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from qscan_contracts.intake import PROBLEM_CONTENT_TYPE, Problem

MAX_HEAD_BYTES: Final = 1024 * 1024
"""Bounds whatever is no body: request line, fields, trailers, chunk extensions. 1,000 recipients in a query fit."""
HEAD_TIMEOUT_S: Final = 30.0
"""From the connection, or from the first byte of a further request on it, to the end of the head."""
WRITE_TIMEOUT_S: Final = 60.0
"""So long a client may leave unread what was answered; it stays in our memory meanwhile."""


class BoundedHttp(HttpToolsProtocol):
    """Hangs up on a client that sends a head without end, slowly or fast, or that does not read its answer."""

    _bytes_without_body = 0
    _patience: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
        super().connection_made(transport)
        self._await_head()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_there()
        self._answer_is_read()
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        # Counted here, as the parser tells a field only when it is complete.
        self._bytes_without_body += len(data)
        if self._bytes_without_body > MAX_HEAD_BYTES:
            self._unset_keepalive_if_required()
            self.send_400_response(f"More than {MAX_HEAD_BYTES} bytes without a body.")
            return
        super().data_received(data)

    @override
    def on_message_begin(self) -> None:
        self._bytes_without_body = 0
        super().on_message_begin()
        if self._patience is None:
            self._await_head()

    @override
    def on_headers_complete(self) -> None:
        self._head_is_there()
        super().on_headers_complete()

    @override
    def on_body(self, body: bytes) -> None:
        self._bytes_without_body = 0
        super().on_body(body)

    @override
    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(WRITE_TIMEOUT_S, self.transport.abort)

    @override
    def resume_writing(self) -> None:
        self._answer_is_read()
        super().resume_writing()

    def _answer_is_read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    @override
    def send_400_response(self, msg: str) -> None:
        """A problem document (RFC 9457) like every other error, where uvicorn sends plain text."""
        detail = f"{msg} Is it HTTP/1.1, and its URL shorter than 64 KiB?"
        body = msgspec.json.encode(Problem(title="Bad Request", status=400, detail=detail))
        head = f"HTTP/1.1 400 Bad Request\r\nContent-Type: {PROBLEM_CONTENT_TYPE}\r\n"
        self.transport.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        self.transport.close()

    def _await_head(self) -> None:
        self._patience = self.loop.call_later(HEAD_TIMEOUT_S, self._give_up)

    def _head_is_there(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        self._patience = None
        if not self.transport.is_closing():
            self.transport.close()
