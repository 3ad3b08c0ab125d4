"""A bomb in a real unpacker: it is answered with its limit named, and ordinary messages are answered beside it."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from qscan_testkit.nats_server import NatsServer
from qscan_testkit.scripted_gateway import ScriptedGateway
from tests.corpus.bombs import archives, messages
from tests.corpus.bombs.quine import gzip_quine
from tests.integration.test_intake import MESSAGE, Unpacker, running

MAX_LATENCY_S = 2.0
"""Of an ordinary message. It takes milliseconds, and on two cores that are both busy some tens of them."""
MAX_RESIDENT_BYTES = 600_000_000

BOMBS = [
    pytest.param(messages.nested_multiparts(2_000), "budget.depth", id="nested multiparts"),
    pytest.param(messages.repeated(messages.MULTIPART, b"--b\n\nx\n", 700_000), "budget.components", id="parts"),
    pytest.param(
        messages.field(b'Content-Type: a/b; name="', b"=?utf-8?q?=41?= ", b'"', count=10), "name.too_long", id="words"
    ),
    pytest.param(messages.repeated(messages.BASE64, b"A=A=", 10_000_000), "base64.padding.early", id="padding"),
    pytest.param(messages.attached(archives.nested_zips(4, 16, 1_000_000)), "budget.components", id="zips in zips"),
    pytest.param(messages.attached(archives.gzip_of_zeros(200_000_000)), "budget.ratio", id="gzip"),
    pytest.param(messages.attached(gzip_quine()), "budget.depth", id="quine"),
]


@pytest.fixture(scope="module")
def unpacker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Unpacker]:
    """One system for all bombs, as it would meet them."""
    directory = tmp_path_factory.mktemp("bombs")
    with (
        NatsServer(directory) as nats,
        ScriptedGateway(nats),
        running(
            directory, nats, QSCAN_UNPACKER_MAX_MESSAGE_BYTES="50000000", QSCAN_UNPACKER_DEADLINE_S="60"
        ) as unpacker,
    ):
        yield unpacker


class Ordinary:
    """Ordinary messages, one after the other, until told otherwise."""

    def __init__(self, unpacker: Unpacker) -> None:
        self._url = unpacker.url
        self._over = threading.Event()
        self.latencies_s: list[float] = []
        self.verdicts: set[str] = set()

    def send(self) -> None:
        """At least one."""
        with httpx.Client(base_url=self._url, timeout=30) as client:
            while True:
                started_s = time.monotonic()
                answer = client.post(
                    "/v1/scan",
                    content=MESSAGE,
                    params={"spam_filter": "off", "rcpt_to": "rcpt@example.org"},
                    headers={"Content-Type": "message/rfc822"},
                )
                self.latencies_s.append(time.monotonic() - started_s)
                self.verdicts.add(answer.json()["verdict"])
                if self._over.is_set():
                    return

    def stop(self) -> None:
        """After the message that is on its way."""
        self._over.set()


@pytest.mark.parametrize(("bomb", "named"), BOMBS)
def test_ordinary_messages_are_answered_beside_a_bomb(unpacker: Unpacker, bomb: bytes, named: str) -> None:
    """Two bombs at a time, on a machine of two cores; the limit is among the findings."""
    ordinary = Ordinary(unpacker)
    with ThreadPoolExecutor(3) as pool:
        sending = pool.submit(ordinary.send)
        answers = [pool.submit(unpacker.post, bomb) for _ in range(2)]
        try:
            bodies: list[dict[str, Any]] = [answer.result().json() for answer in answers]
        finally:
            ordinary.stop()
        sending.result()
    for body in bodies:
        assert named in {finding["id"] for finding in body["findings"]}
    assert ordinary.verdicts == {"clean"}
    assert max(ordinary.latencies_s) < MAX_LATENCY_S
    assert peak_resident_bytes(unpacker) < MAX_RESIDENT_BYTES


def test_it_lives_after_all_of_them(unpacker: Unpacker) -> None:
    """The same process, ready, and with nothing left of the bombs."""
    assert unpacker.process.poll() is None
    assert unpacker.client.get("/readyz").status_code == 200
    assert unpacker.post().json()["verdict"] == "clean"


def peak_resident_bytes(unpacker: Unpacker) -> int:
    """Since it was started."""
    status = Path(f"/proc/{unpacker.process.pid}/status").read_text("ascii", "replace")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))
