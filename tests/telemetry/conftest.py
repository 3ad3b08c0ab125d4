"""One system that has scanned some mail, and everything that it told."""

import base64
import io
import json
import os
import signal
import socket
import stat
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from qscan_contracts.subjects import Service
from qscan_testkit.messages import EICAR_FILE_BYTES, EICAR_FILE_NAME
from qscan_testkit.nats_server import NatsServer
from qscan_testkit.polling import poll_until
from qscan_testkit.scripted_gateway import ScriptedGateway
from qscan_testkit.service_process import ServiceProcess

PERSONAL = "zqprivate"
"""Is part of everything personal that these mails hold; nothing else holds it."""

TOKEN = "a-token-for-tests"
READY_TIMEOUT_S = 30.0
SETTLED_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Sample:
    """One number of one service."""

    service: str
    name: str
    labels: dict[str, str]
    value: float


@dataclass
class Told:
    """What the services have told, after the last of them has ended."""

    logs: dict[str, str] = field(default_factory=dict)
    spans: list[dict[str, Any]] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    exit_statuses: dict[str, int] = field(default_factory=dict)
    answers: list[tuple[int, dict[str, Any]]] = field(default_factory=list)

    def total(self, service: str, name: str, **labels: str) -> float:
        """The sum of a service's samples of this name that have these labels."""
        return sum(
            sample.value
            for sample in self.samples
            if (sample.service, sample.name) == (service, name) and labels.items() <= sample.labels.items()
        )


def personal_message(body: bytes, *, file_name: bytes = PERSONAL.encode() + b".txt") -> bytes:
    """A mail in which everything that tells of people says so."""
    private = PERSONAL.encode()
    return b"\r\n".join(
        [
            b"From: =?utf-8?q?" + private + b"?= <" + private + b"-from@example.org>",
            b"To: " + private + b"-to@example.org",
            b"Subject: " + private + b" subject",
            b"Message-ID: <" + private + b"@example.org>",
            b"X-" + private + b": 1",
            b"MIME-Version: 1.0",
            b"Content-Type: multipart/mixed; boundary=" + private,
            b"",
            private + b" preamble",
            b"--" + private,
            b"",
            private + b" text " + body,
            b"--" + private,
            b"Content-Type: application/" + private + b"; name=" + private + b"-other.scr",
            b"Content-Disposition: attachment; filename=" + file_name,
            b"",
            body.ljust(EICAR_FILE_BYTES),
            b"--" + private + b"--",
            b"",
        ]
    )


def with_container(content: bytes) -> bytes:
    """A mail with a file that a container may be in, under a name that tells of people."""
    return personal_message(b"see below", file_name=PERSONAL.encode() + b".zip").replace(
        b"--" + PERSONAL.encode() + b"--",
        b"--" + PERSONAL.encode() + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        b"" + base64.encodebytes(content).replace(b"\n", b"\r\n") + b"--" + PERSONAL.encode() + b"--",
    )


def zipped(*contents: bytes) -> bytes:
    """An archive, its members named like people."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, content in enumerate(contents):
            archive.writestr(f"{PERSONAL}-{number}.txt", content)
    return file.getvalue()


MAILS: dict[str, bytes] = {
    "clean": personal_message(b"hello"),
    "virus": personal_message(b"EVIL"),
    "blocked by name": personal_message(b"", file_name=EICAR_FILE_NAME.encode()),
    "encrypted": personal_message(b"UNSCANNED(encrypted)"),
    "engine failed": personal_message(b"UNSCANNED(engine_failed)"),
    "gateway with a bug": personal_message(b"RAISES"),
    "forgotten report": personal_message(b"FORGETS-A-REPORT"),
    "large": personal_message(b"0123456789abcde\n" * 40_000),
    "half a character": personal_message(b"", file_name=b'"=?utf-7?q?+2AA-' + PERSONAL.encode() + b'?="'),
    "unknown charset": personal_message(b"", file_name=b'"=?' + PERSONAL.encode() + b"?q?=e4" + b'?="'),
    "raw 8 bit": personal_message(b"\xe4", file_name=b"\xe4" + PERSONAL.encode() + b"\xff\x00.exe"),
    "zip": with_container(zipped(PERSONAL.encode(), zipped(b"inner"))),
    "bomb": with_container(zipped(bytes(40_000_000))),
    "damaged zip": with_container(zipped(PERSONAL.encode() * 1_000)[:40] + b"?" * 100),
    "no archive at all": with_container(b"7z\xbc\xaf\x27\x1c" + PERSONAL.encode()),
    "unclosed": personal_message(b"")[:300],
    "empty": b"",
}
"""Ordinary and hostile; every one is scanned, and answered with 200."""

ENVELOPE: dict[str, str | list[str]] = {
    "mail_from": f"{PERSONAL}-sender@example.org",
    "rcpt_to": [f"{PERSONAL}-{number}@example.com" for number in range(3)],
    "client_ip": "192.0.2.1",
    "client_host": f"{PERSONAL}.example.org",
    "auth_user": PERSONAL,
    "remote_info": PERSONAL,
    "spam_filter": "on",
}

BAD_ENVELOPES = [
    b'{"mail_from": 7, "' + PERSONAL.encode() + b'": 1}',
    b'{"mail_from": "' + PERSONAL.encode() + b'\xff"}',
    b'{"effects": "' + PERSONAL.encode() + b'"}',
    b'{"rcpt_to": ["' + PERSONAL.encode() + b'\\u0000"]}',
    PERSONAL.encode(),
]
"""Each is refused with 400."""


class System:
    """The unpacker's client and the processes of the others."""

    def __init__(self, directory: Path, nats: NatsServer, stack: ExitStack) -> None:
        """Start everything, each with a trace file of its own, and say as much as it can."""
        self.directory = directory
        self.processes: dict[str, ServiceProcess] = {}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        for service, settings in self._settings().items():
            name = service.value.upper()
            environment = nats.environment(service) | {
                f"QSCAN_{name}_{key.upper()}": value for key, value in (settings | self._common(service)).items()
            }
            process = ServiceProcess(f"qscan_{service.value}", directory, environment)
            self.processes[service.value] = stack.enter_context(process)
        self.client = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30))
        poll_until(self._is_ready, READY_TIMEOUT_S)

    def _common(self, service: Service) -> dict[str, str]:
        return {"log_level": "debug", "trace_file": str(self.directory / f"{service.value}.spans")}

    def _settings(self) -> dict[Service, dict[str, str]]:
        token = self.directory / "token"
        token.touch(mode=0o600)
        token.write_text(TOKEN)
        takes_all = self.directory / "qmail-queue"
        takes_all.write_text("#!/bin/sh\ncat >/dev/null\ncat <&1 >/dev/null\n")
        takes_all.chmod(stat.S_IRWXU)
        return {
            Service.POLICY: {},
            Service.SPAM: {"address": "127.0.0.1:1"},
            Service.ARCHIVER: {"quarantine_dir": str(self.directory / "quarantine")},
            Service.NOTIFIER: {
                "admin_address": "postmaster@example.net",
                "qmail_queue": str(takes_all),
                "state_dir": str(self.directory / "notifier"),
            },
            Service.UNPACKER: {
                "http_port": str(self.port),
                "token_file": str(token),
                "spool_dir": str(self.directory / "spool"),
                "max_message_bytes": "2000000",
            },
        }

    def _is_ready(self) -> bool:
        for name, process in self.processes.items():
            assert process.process.poll() is None, f"{name} has ended: {process.log}"
        try:
            ready = self.client.get("/readyz").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False
        return ready and all(
            process.readiness()["ready"]
            for name, process in self.processes.items()
            if name not in {"unpacker", "spam"}  # nobody is behind spam
        )

    def post(self, message: bytes, envelope: bytes | None = None, *, scan_id: str = "x") -> httpx.Response:
        """A framed message, with all effects."""
        front = json.dumps(ENVELOPE | {"scan_id": scan_id}).encode() if envelope is None else envelope
        headers = {
            "Content-Type": "application/vnd.qscan.scan",
            "X-Qscan-Envelope-Size": str(len(front)),
            "Authorization": f"Bearer {TOKEN}",
        }
        return self.client.post("/v1/scan", content=front + message, headers=headers)

    def metrics(self) -> Iterator[Sample]:
        """All of ours that are served now."""
        ports = {name: process.said("serving health") for name, process in self.processes.items()}
        for name, lines in ports.items():
            port = lines[0]["port"] if lines else self.port
            for family in text_string_to_metric_families(httpx.get(f"http://127.0.0.1:{port}/metrics").text):
                for sample in family.samples:
                    if sample.name.startswith("qscan_"):
                        yield Sample(name, sample.name, dict(sample.labels), sample.value)


def strange_requests(system: System) -> None:
    """What is no scan at all."""
    for bad in BAD_ENVELOPES:
        assert system.post(b"x", bad).status_code == httpx.codes.BAD_REQUEST
    for path, headers in (
        (f"/v1/scan?{PERSONAL}=1", {"Content-Type": "message/rfc822"}),
        (f"/v1/scan?effects={PERSONAL}", {"Content-Type": "message/rfc822"}),
        ("/v1/scan", {"Content-Type": f"text/{PERSONAL}"}),
        (f"/v1/{PERSONAL}", {}),
        ("/v1/scan?effects=full", {"Content-Type": "message/rfc822", "Authorization": f"Bearer {PERSONAL}"}),
    ):
        assert system.client.post(path, headers=headers, content=b"x").is_client_error
    too_large = system.post(PERSONAL.encode() * 300_000)
    assert too_large.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE
    with socket.create_connection(("127.0.0.1", system.port), timeout=10) as connection:
        connection.sendall(f"{PERSONAL} / HTTP/x\r\n\r\n".encode())
        connection.recv(65_536)


def some_traffic(system: System, told: Told) -> None:
    """All mails, strange requests, and a wait until what happens downstream has happened."""
    for number, message in enumerate(MAILS.values()):
        answer = system.post(message, scan_id=f"scan{number}")
        told.answers.append((answer.status_code, answer.json()))
    # As people ask, with all of it in the URL.
    query: dict[str, str | list[str]] = {key: value for key, value in ENVELOPE.items() if key != "remote_info"}
    people = {"Content-Type": "message/rfc822", "User-Agent": PERSONAL, "Referer": PERSONAL, "Cookie": PERSONAL}
    answer = system.client.post("/v1/scan", params=query, headers=people, content=MAILS["clean"])
    told.answers.append((answer.status_code, answer.json()))
    strange_requests(system)
    kept = sum(answer.get("disposition") == "quarantine" for _, answer in told.answers)
    poll_until(lambda: len(system.processes["archiver"].said("quarantined")) >= kept, SETTLED_TIMEOUT_S)
    poll_until(lambda: len(system.processes["notifier"].said("notice")) >= kept, SETTLED_TIMEOUT_S)


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Everything that a system tells of some mail, its last words too."""
    directory, told = tmp_path_factory.mktemp("telemetry"), Told()
    with ExitStack() as stack:
        nats = stack.enter_context(NatsServer(directory / "nats"))
        stack.enter_context(ScriptedGateway(nats))
        system = System(directory, nats, stack)
        some_traffic(system, told)
        told.samples.extend(system.metrics())
        for process in system.processes.values():
            os.kill(process.process.pid, signal.SIGTERM)
        for name, process in system.processes.items():
            told.exit_statuses[name] = process.process.wait(20)
            told.logs[name] = process.log
            lines = (directory / f"{name}.spans").read_text("utf-8").splitlines()
            told.spans += [json.loads(line) for line in lines]
    return told
