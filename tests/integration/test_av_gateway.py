"""av-gateway as a process, on a real NATS with production's rights and a real clamd."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from qscan_av_gateway.clamd_config import render, write_eicar_signatures
from qscan_av_gateway.eicar import EICAR
from qscan_contracts.components import ByReference, Component, ComponentContent
from qscan_contracts.ids import ComponentPath, Sha256
from qscan_contracts.reports import Clean, Detected, Unscanned
from qscan_contracts.scanning import AvAnswer, AvRequest, Refused
from qscan_contracts.subjects import ScanRole, Service, chunks
from qscan_contracts.vocabulary import EngineRole, Origin, UnscannedReason
from qscan_testkit.clamd_server import ClamdServer, program
from qscan_testkit.nats_server import NatsServer
from qscan_testkit.polling import poll_until
from qscan_testkit.scan_asker import INSTANCE, NoWorkerError, ScanAsker

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.real_clamd,
    pytest.mark.skipif(program() is None, reason="no clamd here: make setup installs clamav-daemon"),
]
FOUND = Detected("Qscan.Test.EICAR.UNOFFICIAL")
FAST = {"poll_every_s": "0.2", "control_timeout_s": "1"}


class Gateway:
    """A gateway process; its log is a file."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        """Start it."""
        self._log = directory / "gateway.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "qscan_av_gateway"], env={**os.environ, **environment}, stderr=log
            )

    @property
    def log(self) -> str:
        """What it has said."""
        return self._log.read_text()

    def said(self, event: str) -> list[dict[str, object]]:
        """The log lines of an event."""
        return [line for line in map(json.loads, self.log.splitlines()) if line["event"] == event]

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a page."""
        port = poll_until(lambda: self.said("serving health"))[0]["port"]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def ready(self) -> tuple[bool, str]:
        """Whether /readyz says so, and what it says of clamd."""
        status, body = self.get("/readyz")
        return status == 200, json.loads(body)["checks"]["clamd"]["detail"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path, as that of a unix socket has to be."""
    with TemporaryDirectory(prefix="qscan-") as text:
        yield Path(text)


def make_clamd(folder: Path, name: str = "a") -> ClamdServer:
    """A clamd of this test's own, not started."""
    write_eicar_signatures(folder / "signatures")
    socket = folder / f"{name}.sock"
    text = render(database_directory=folder / "signatures", local_socket=socket)
    return ClamdServer(folder / name, text, listens_at=str(socket))


@pytest.fixture
def clamd(folder: Path) -> Iterator[ClamdServer]:
    """A running one."""
    with make_clamd(folder) as running:
        yield running


@pytest.fixture
def start_gateway(folder: Path, tmp_path: Path, nats_server: NatsServer) -> Iterator[Callable[..., Gateway]]:
    """Starts gateways for the clamds at ``a.sock`` … in `folder`; they are killed with the test."""
    started: list[Gateway] = []

    def start(*names: str, **settings: str) -> Gateway:
        addresses = ",".join(f"unix:{folder}/{name}.sock" for name in names or "a")
        values = {"clamd_addresses": addresses, **FAST, **settings}
        environment = {f"QSCAN_AV_GATEWAY_{name.upper()}": value for name, value in values.items()}
        (tmp_path / f"gateway{len(started)}").mkdir()
        running = Gateway(
            tmp_path / f"gateway{len(started)}", {**nats_server.environment(Service.AV_GATEWAY), **environment}
        )
        started.append(running)
        return running

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()


@pytest.fixture
async def asker(nats_server: NatsServer):
    """The unpacker's side."""
    bus = await nats_server.bus(Service.UNPACKER)
    async with ScanAsker(bus) as asker:
        yield asker
    await bus.close()


def request(asker: ScanAsker, *contents: bytes, inline: bool = True, timeout_ms: int = 230_000) -> AvRequest:
    """A request to look for viruses in each of the contents."""
    components = []
    for number, data in enumerate(contents):
        content, size, sha256 = asker.lend(data, inline=inline)
        described = Component(ComponentPath(str(number)), ComponentPath(""), 1, Origin.PART, size, sha256)
        components.append(ComponentContent(described, content))
    return AvRequest(asker.job(timeout_ms=timeout_ms), (EngineRole.VIRUS,), tuple(components))


async def scan(asker: ScanAsker, *contents: bytes, **options) -> AvAnswer:
    """The answer of a gateway, once there is one."""
    answer = await asker.ask_when_there(ScanRole.AV, lambda: request(asker, *contents, **options), timeout_s=20)
    assert isinstance(answer, AvAnswer), answer
    return answer


async def is_away(asker: ScanAsker) -> bool:
    """Whether nobody answers for engines."""
    try:
        await asker.ask(ScanRole.AV, request(asker, b"x", timeout_ms=300))
    except NoWorkerError:
        return True
    return False


async def until_away(asker: ScanAsker) -> None:
    """Wait until nobody answers for engines."""
    async with asyncio.timeout(10):
        while not await is_away(asker):  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0.05)


async def test_scans(clamd, start_gateway, asker):
    """One report for each component, with the engine's versions."""
    gateway = start_gateway()
    answer = await scan(asker, b"hello", EICAR, b"hello")
    assert [report.outcome for report in answer.reports] == [Clean(), FOUND, Clean()]
    (card,) = answer.engines
    assert (card.name, card.role) == ("clamd", EngineRole.VIRUS)
    assert re.fullmatch(r"ClamAV \d+\.\d+\.\d+", card.engine_version)
    assert card.signatures_version == "local+1"
    assert gateway.ready()[0]


@pytest.mark.parametrize("size", [300_000, 5_000_000])
async def test_large_content_is_pulled(clamd, start_gateway, asker, size):
    """Over the bus, in chunks, to the last byte."""
    start_gateway()
    assert (await scan(asker, os.urandom(size), inline=False)).reports[0].outcome == Clean()
    assert (await scan(asker, os.urandom(size) + EICAR, inline=False)).reports[0].outcome == FOUND


async def test_content_that_is_gone_or_other_than_promised(clamd, start_gateway, asker):
    """Is unscanned, and the other component of the request is not."""
    start_gateway()
    await scan(asker, b"hello")
    good = request(asker, b"hello").components[0]
    large = Component(ComponentPath("8"), None, 0, Origin.PART, 300_000, Sha256("0" * 64))
    gone = ComponentContent(large, ByReference(chunks(INSTANCE), "a token of nothing"))
    forged = Component(ComponentPath("9"), None, 0, Origin.PART, 5, Sha256("0" * 64))
    asked = AvRequest(asker.job(), (EngineRole.VIRUS,), (good, gone, ComponentContent(forged, good.content)))
    answer = await asker.ask(ScanRole.AV, asked)
    assert isinstance(answer, AvAnswer)
    clean, lost, wrong = (report.outcome for report in answer.reports)
    assert clean == Clean()
    for outcome in (lost, wrong):
        assert isinstance(outcome, Unscanned)
        assert outcome.reason is UnscannedReason.CONTENT_UNAVAILABLE
        assert outcome.retryable


async def test_it_waits_for_everything(folder, tmp_path, nats_server, start_gateway):
    """Started before clamd and before NATS; healthy, not ready, and says what it waits for."""
    nats_server.kill()
    gateway = start_gateway()
    assert gateway.get("/healthz")[0] == 200
    status, body = gateway.get("/readyz")
    assert status == 503
    assert "waiting for NATS" in json.loads(body)["checks"]["bus"]["detail"]
    ready, detail = gateway.ready()
    assert not ready
    assert f"unix:{folder}/a.sock does not answer: No such file" in detail
    nats_server.start()
    with make_clamd(folder):
        poll_until(lambda: gateway.ready()[0])


async def test_clamd_stopped_and_started(clamd, start_gateway, asker):
    """Without a clamd nobody answers, so the unpacker knows at once; it comes back by itself, with another epoch."""
    gateway = start_gateway()
    assert (await scan(asker, b"hello")).reports[0].signatures_version == "local+1"
    clamd.stop()
    await until_away(asker)
    ready, detail = gateway.ready()
    assert not ready
    assert "does not answer" in detail
    clamd.start()
    assert (await scan(asker, EICAR)).reports[0].outcome == FOUND
    assert (await scan(asker, b"hello")).reports[0].signatures_version == "local+2"
    assert gateway.ready()[0]


async def test_a_clamd_without_the_alert_switches_is_refused(folder, start_gateway, asker):
    """Nobody answers for it, /readyz says what to change; once that is done all is well without touching qscan."""
    server = make_clamd(folder)
    right = server.configuration
    server.configuration = right.replace("AlertExceedsMax yes", "AlertExceedsMax no")
    with server:
        gateway = start_gateway()
        poll_until(lambda: "refused" in gateway.ready()[1])
        assert "set AlertExceedsMax yes" in gateway.ready()[1]
        assert gateway.get("/readyz")[0] == 503
        assert await is_away(asker)
        server.stop()
        server.configuration = right
        server.start()
        assert (await scan(asker, EICAR)).reports[0].outcome == FOUND


async def test_failover(folder, clamd, start_gateway, asker):
    """Of two clamds one dies while requests come: every one is answered."""
    with make_clamd(folder, "b"):
        start_gateway("a", "b")
        await scan(asker, b"hello")

        async def ask(number: int) -> AvAnswer:
            if number == 30:
                clamd.kill()
            answer = await asker.ask(ScanRole.AV, request(asker, b"%d" % number, EICAR))
            assert isinstance(answer, AvAnswer), answer
            return answer

        slots = asyncio.Semaphore(8)

        async def bounded(number: int) -> AvAnswer:
            async with slots:
                return await ask(number)

        answers = await asyncio.gather(*(bounded(number) for number in range(200)))
        outcomes = [[report.outcome for report in answer.reports] for answer in answers]
        assert outcomes == [[Clean(), FOUND]] * 200


async def test_a_slow_scan_says_that_it_goes_on(clamd, start_gateway, asker):
    """So that the unpacker does not take silence for death."""
    start_gateway()
    await scan(asker, b"hello")
    os.kill(clamd.pid, signal.SIGSTOP)
    asking = asyncio.create_task(asker.ask(ScanRole.AV, request(asker, EICAR)))
    async with asyncio.timeout(10):
        while not asker.progress_count:  # noqa: ASYNC110  # counted elsewhere
            await asyncio.sleep(0.02)
    os.kill(clamd.pid, signal.SIGCONT)
    answer = await asking
    assert isinstance(answer, AvAnswer)
    assert answer.reports[0].outcome == FOUND


async def test_the_deadline_of_the_request_counts(clamd, start_gateway, asker):
    """A report in time that says «timed out» is better than none."""
    start_gateway()
    await scan(asker, b"hello")
    os.kill(clamd.pid, signal.SIGSTOP)
    started = time.monotonic()
    answer = await asker.ask(ScanRole.AV, request(asker, b"x", timeout_ms=1_000))
    assert time.monotonic() - started < 2
    assert isinstance(answer, AvAnswer)
    outcome = answer.reports[0].outcome
    assert isinstance(outcome, Unscanned)
    assert outcome.reason is UnscannedReason.TIMED_OUT


async def test_what_cannot_be_decoded_is_refused(clamd, start_gateway, asker):
    """And nothing breaks."""
    start_gateway()
    await scan(asker, b"hello")
    assert isinstance(await asker.ask(ScanRole.AV, b"\xff garbage"), Refused)
    assert (await scan(asker, EICAR)).reports[0].outcome == FOUND


async def test_sighup_reloads_signatures(folder, clamd, start_gateway, asker):
    """A site's own signatures are found, and the epoch rises."""
    gateway = start_gateway()
    assert (await scan(asker, b"our own malware")).reports[0].outcome == Clean()
    (folder / "signatures" / "site.ndb").write_text(f"Site.Own:0:*:{b'our own malware'.hex()}\n")
    gateway.process.send_signal(signal.SIGHUP)
    async with asyncio.timeout(10):
        while (report := (await scan(asker, b"our own malware")).reports[0]).outcome == Clean():
            pass
    assert report.outcome == Detected("Site.Own.UNOFFICIAL")
    async with asyncio.timeout(10):
        while (await scan(asker, b"x")).reports[0].signatures_version == "local+1":
            pass


async def test_trace_and_metrics(tmp_path, clamd, start_gateway, asker):
    """A span and a count for each scan, below the span of the request, without any name from a message."""
    trace = tmp_path / "trace.jsonl"
    gateway = start_gateway(trace_file=str(trace))
    await scan(asker, b"hello", EICAR)
    _, metrics = gateway.get("/metrics")
    assert 'qscan_engine_reports_total{engine="clamd",outcome="detected",reason=""} 1.0' in metrics
    assert 'qscan_engine_reports_total{engine="clamd",outcome="clean",reason=""} 1.0' in metrics
    assert re.search(r'qscan_engine_usable\{address="unix:[^"]+/a\.sock",engine="clamd"\} 1\.0', metrics)
    gateway.process.terminate()
    assert gateway.process.wait(10) == 0
    spans = [json.loads(line) for line in trace.read_text().splitlines()]
    (parent,) = [span["span"] for span in spans if span["name"] == "process scan.av"]
    scans = [span for span in spans if span["name"] == "engine.scan"]
    assert {span["parent"] for span in scans} == {parent}
    assert sorted((span["attributes"]["qscan.outcome"], span["attributes"]["qscan.size"]) for span in scans) == [
        ("clean", 5),
        ("detected", 68),
    ]


async def test_stopping_finishes_what_was_begun(clamd, start_gateway, asker):
    """SIGTERM: no new requests, answers to those in flight, exit status 0."""
    gateway = start_gateway()
    await scan(asker, b"hello")
    os.kill(clamd.pid, signal.SIGSTOP)
    asking = asyncio.create_task(asker.ask(ScanRole.AV, request(asker, EICAR)))
    async with asyncio.timeout(10):
        while 'qscan_jobs_in_flight{role="av"} 1.0' not in (await asyncio.to_thread(gateway.get, "/metrics"))[1]:
            pass
    gateway.process.terminate()
    await until_away(asker)
    os.kill(clamd.pid, signal.SIGCONT)
    answer = await asking
    assert isinstance(answer, AvAnswer)
    assert answer.reports[0].outcome == FOUND
    assert await asyncio.to_thread(gateway.process.wait, 10) == 0


@pytest.mark.parametrize("settings", [{"clamd_addresses": "clamd:3310"}, {"max_conections": "3"}])
def test_wrong_settings_end_it_at_once(start_gateway, settings):
    """With EX_CONFIG and a line that names the setting."""
    gateway = start_gateway(**settings)
    assert gateway.process.wait(20) == 78
    assert next(iter(settings)).upper() in gateway.log
