"""A fake unpacker on a real HTTP socket, with answers that the test scripts.

It reads framed requests as the intake API is pinned (DESIGN §4), and counts clients that went away
while it was thinking. Every answer that it gives by itself decodes as the contracts' `ScanAnswer`.
"""

import base64
import hashlib
import json
import select
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import msgspec
from typing_extensions import override

from qscan_contracts.intake import (
    ENVELOPE_SIZE_HEADER,
    FRAMED_CONTENT_TYPE,
    PROBLEM_CONTENT_TYPE,
    FramedEnvelope,
)
from qscan_contracts.vocabulary import Disposition, Verdict

_WATCH_S = 0.02


@dataclass(frozen=True)
class ScanCall:
    """One request as it came."""

    envelope: FramedEnvelope
    message: bytes
    headers: Mapping[str, str]
    path: str


@dataclass(frozen=True)
class Reply:
    """What is answered.

    Attributes:
        wait_for: the answer is held back until this is set, or until the client is gone.
        hang_up: close the connection without a word.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    wait_for: threading.Event | None = None
    hang_up: bool = False


Script = Callable[[ScanCall], Reply]


def answer(call: ScanCall, disposition: Disposition = Disposition.DELIVER, **changes: object) -> Reply:
    """A complete answer about this call; `changes` replace top-level keys of the JSON."""
    recipients = [
        {"index": index, "rcpt_to": address, "disposition": disposition, "deliver_to": address}
        for index, address in enumerate(call.envelope.rcpt_to)
    ]
    smtp: dict[str, object] | None = None
    if disposition is Disposition.REJECT:
        smtp = {"code": 554, "text": "this is a virus (#5.7.1)"}
    if disposition is Disposition.DEFER:
        smtp = {"code": 451, "text": "clamd does not answer (#4.3.0)"}
    body = {
        "scan_id": call.envelope.scan_id,
        "verdict": Verdict.CLEAN,
        "disposition": disposition,
        "reason": "",
        "recipients": recipients,
        "smtp": smtp,
        "edits": [],
        "findings": [],
        "spam": None,
        "raw_size": len(call.message),
        "raw_sha256": hashlib.sha256(call.message).hexdigest(),
        "rules_version": "test",
        "timing_ms": {"total": 1.0},
        **changes,
    }
    return Reply(body=json.dumps(body).encode())


def edits(*changes: tuple[int, int, bytes]) -> list[dict[str, object]]:
    """Edits for `answer`: each one as offset, bytes to delete, bytes to insert."""
    return [
        {"offset": offset, "delete": delete, "insert": base64.b64encode(insert).decode()}
        for offset, delete, insert in changes
    ]


def problem(status: int, headers: Mapping[str, str] | None = None) -> Reply:
    """An RFC 9457 problem document."""
    body = json.dumps({"type": "about:blank", "title": "no", "status": status, "detail": "no"})
    kind = {"Content-Type": PROBLEM_CONTENT_TYPE}
    return Reply(status=status, body=body.encode(), headers={**kind, **(headers or {})})


class FakeUnpacker:
    """Serves on a free port of 127.0.0.1 while its context is entered.

    `script` may be replaced at any time; `calls` are the requests so far; `gone` counts clients
    that left before they were answered. `port` may be chosen, to come back after `stop`.
    """

    def __init__(self, script: Script = answer, *, port: int = 0) -> None:
        """Answer by `script`."""
        self.script = script
        self.calls: list[ScanCall] = []
        self.gone = 0
        self.called = threading.Semaphore(0)
        """Released at each request; acquire it with a timeout to wait for one."""
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.fake = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_WATCH_S,))

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """What goes into the list of unpackers."""
        return f"http://127.0.0.1:{self.port}"

    def reset(self) -> None:
        """Deliver everything again, and forget what was asked so far."""
        self.script = answer
        self.calls.clear()
        self.gone = 0
        self.called = threading.Semaphore(0)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Refuse connections from now on, and break off those that are open."""
        self._server.shutdown()
        self._server.server_close()
        self._server.break_off()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    fake: FakeUnpacker

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self.open: set[socket.socket] = set()

    def break_off(self) -> None:
        for connection in list(self.open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it ended by itself


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body in one packet
    server: _Server

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    @override
    def setup(self) -> None:
        super().setup()
        self.server.open.add(self.connection)

    @override
    def finish(self) -> None:
        self.server.open.discard(self.connection)
        super().finish()

    @override
    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def do_GET(self) -> None:
        """Readiness."""
        self._send(Reply(body=b"{}"))

    def do_POST(self) -> None:
        """A scan."""
        fake = self.server.fake
        body = self.rfile.read(int(self.headers["Content-Length"]))
        split = int(self.headers[ENVELOPE_SIZE_HEADER])
        if self.headers["Content-Type"] != FRAMED_CONTENT_TYPE:
            self._send(problem(400))
            return
        envelope = msgspec.json.decode(body[:split], type=FramedEnvelope)
        call = ScanCall(envelope, body[split:], dict(self.headers.items()), self.path)
        fake.calls.append(call)
        fake.called.release()
        reply = fake.script(call)
        if reply.wait_for is not None and not self._hold(reply.wait_for):
            fake.gone += 1
            self.close_connection = True
            return
        if reply.hang_up:
            self.close_connection = True
            return
        self._send(reply)

    def _hold(self, event: threading.Event) -> bool:
        """Whether the event came while the client was still there."""
        while not event.is_set():
            readable, _, _ = select.select([self.connection], [], [], _WATCH_S)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                return False
        return True

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        headers: Iterable[tuple[str, str]] = reply.headers.items()
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)
        self.wfile.flush()
