"""Load generators: each is a process of its own that sends its share one after another and prints what it took.

They speak with plain sockets and prepared bytes, so that as little as possible of the two cores goes to them.
``python -m benchmarks.load`` reads a `Share` from standard input and writes the seconds of each request.
"""

import os
import socket
import struct
import subprocess
import sys
import time

import msgspec

OK = b"stream: OK\0"
_READY = b"ready\n"
_SIZE = struct.Struct(">Q")


class Share(msgspec.Struct, frozen=True):
    """What one generator sends.

    Attributes:
        kind: ``clamd``, ``api`` or ``queue``.
        target: clamd's socket, host:port of the API, or the path of qscan-queue.
        items: contents or messages; sent in turn.
        count: how many to send in all.
        environ: for qscan-queue.
    """

    kind: str
    target: str
    items: list[bytes]
    count: int
    environ: dict[str, str] = {}


def clamd(share: Share) -> list[float]:
    """One connection per scan, INSTREAM in one write."""
    framed = [b"zINSTREAM\0" + _chunks(item) + b"\0\0\0\0" for item in share.items]
    took = []
    for index in range(share.count):
        started = time.perf_counter()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(share.target)
            connection.sendall(framed[index % len(framed)])
            answer = b""
            while not answer.endswith(b"\0"):
                answer += connection.recv(4096)
        assert answer == OK, answer
        took.append(time.perf_counter() - started)
    return took


def _chunks(item: bytes) -> bytes:
    size = 65_536
    pieces = (item[at : at + size] for at in range(0, len(item), size))
    return b"".join(struct.pack(">I", len(piece)) + piece for piece in pieces)


def api(share: Share) -> list[float]:
    """One kept-alive connection, framed requests, decisions only."""
    host, _, port = share.target.rpartition(":")
    envelope = msgspec.json.encode(
        {"mail_from": "a@example.org", "rcpt_to": ["b@example.org"], "spam_filter": "off", "effects": "none"}
    )
    requests = [
        b"POST /v1/scan?detail=decision HTTP/1.1\r\nHost: bench\r\nContent-Type: application/vnd.qscan.scan\r\n"
        b"X-Qscan-Envelope-Size: %d\r\nContent-Length: %d\r\n\r\n%b%b"
        % (len(envelope), len(envelope) + len(item), envelope, item)
        for item in share.items
    ]
    took = []
    with socket.create_connection((host, int(port))) as connection:
        for index in range(share.count):
            started = time.perf_counter()
            connection.sendall(requests[index % len(requests)])
            answer = _http_answer(connection)
            took.append(time.perf_counter() - started)
            assert b'"disposition":"defer"' not in answer, answer
    return took


def _http_answer(connection: socket.socket) -> bytes:
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(65_536)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), answer
    (length,) = [int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while len(body) < length:
        body += connection.recv(65_536)
    return body


def queue(share: Share) -> list[float]:
    """As qmail-smtpd: a process of qscan-queue for each message, pipes for message and envelope."""
    took = []
    for index in range(share.count):
        started = time.perf_counter()
        message_read, message_write = os.pipe()
        envelope_read, envelope_write = os.pipe()
        pid = os.posix_spawn(
            share.target,
            [share.target],
            share.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, message_read, 0), (os.POSIX_SPAWN_DUP2, envelope_read, 1)],
        )
        os.close(message_read)
        os.close(envelope_read)
        _write(message_write, share.items[index % len(share.items)])
        os.close(message_write)
        _write(envelope_write, b"Fa@example.org\0Tb@example.org\0\0")
        os.close(envelope_write)
        _, status = os.waitpid(pid, 0)
        took.append(time.perf_counter() - started)
        assert status == 0, os.waitstatus_to_exitcode(status)
    return took


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def run(share: Share, generators: int) -> tuple[float, list[float]]:
    """Split `share` over some generators at once; seconds from the start to the last end, and of each request."""
    processes = []
    for number in range(generators):
        items = share.items[number::generators] or share.items
        part = msgspec.structs.replace(share, items=items, count=share.count // generators)
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert process.stdin is not None
        assert process.stdout is not None
        payload = msgspec.msgpack.encode(part)
        process.stdin.write(_SIZE.pack(len(payload)) + payload)
        process.stdin.flush()
        processes.append((process, process.stdin, process.stdout))
    # Their own start must not be measured: all are ready before the first begins.
    for _, _, stdout in processes:
        stdout.read(len(_READY))
    started = time.monotonic()
    for _, stdin, _ in processes:
        stdin.close()
    took, ended = [], []
    for process, _, stdout in processes:
        with stdout:
            end, seconds = msgspec.msgpack.decode(stdout.read(), type=tuple[float, list[float]])
        if process.wait() != 0:
            raise RuntimeError("a load generator failed; its text is above")
        ended.append(end)
        took += seconds
    return max(ended) - started, took


KINDS = {"clamd": clamd, "api": api, "queue": queue}


def main() -> int:
    """Be one generator: read the share, say that it is ready, begin when the other side closes."""
    (size,) = _SIZE.unpack(sys.stdin.buffer.read(_SIZE.size))
    share = msgspec.msgpack.decode(sys.stdin.buffer.read(size), type=Share)
    sys.stdout.buffer.write(_READY)
    sys.stdout.buffer.flush()
    sys.stdin.buffer.read()
    took = KINDS[share.kind](share)
    sys.stdout.buffer.write(msgspec.msgpack.encode((time.monotonic(), took)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
