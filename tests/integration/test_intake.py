"""The intake API of a real unpacker with a real policy over a real nats-server (DESIGN §4)."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from qscan_contracts.subjects import Service
from qscan_testkit.nats_server import NatsServer
from qscan_testkit.scripted_gateway import ScriptedGateway

TOKEN = "a-token-for-tests"
MESSAGE = b"Subject: hello\n\nworld\n"
READY_TIMEOUT_S = 20.0


class Unpacker:
    """A running unpacker: its client and what the tests need to know of its surroundings."""

    def __init__(self, url: str, nats: NatsServer, process: subprocess.Popen[bytes], trace_file: Path) -> None:
        self.url, self.nats, self.process, self.trace_file = url, nats, process, trace_file
        self.client = httpx.Client(base_url=url, timeout=30)

    def post(self, message: bytes = MESSAGE, *, token: str | None = None, **query: Any) -> httpx.Response:
        """A raw message, without spam filter unless asked otherwise."""
        headers = {"Content-Type": "message/rfc822"} | ({"Authorization": f"Bearer {token}"} if token else {})
        query = {"spam_filter": "off", "rcpt_to": "rcpt@example.org"} | query
        return self.client.post("/v1/scan", content=message, params=query, headers=headers)

    def post_framed(self, envelope: dict[str, Any] | bytes, message: bytes = MESSAGE, **headers: str) -> httpx.Response:
        """A framed message with the token."""
        front = envelope if isinstance(envelope, bytes) else json.dumps(envelope).encode()
        given = {
            "Content-Type": "application/vnd.qscan.scan",
            "X-Qscan-Envelope-Size": str(len(front)),
            "Authorization": f"Bearer {TOKEN}",
        } | {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post("/v1/scan", content=front + message, headers=given)


@schemathesis.serializer("message/rfc822", "application/vnd.qscan.scan")
def as_bytes(_: Any, value: Any) -> bytes:
    """Bodies as schemathesis makes them: bytes, or anything at all when it means harm."""
    return value.data if hasattr(value, "data") else repr(value).encode()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(directory: Path, nats: NatsServer, *, ready: bool = True, **extra: str) -> Iterator[Unpacker]:
    """Policy and an unpacker as processes of their own, ready unless told otherwise."""
    token_file = directory / "token"
    token_file.touch(mode=0o600)
    token_file.write_text(TOKEN)
    port = free_port()
    own = {
        "QSCAN_UNPACKER_HTTP_PORT": str(port),
        "QSCAN_UNPACKER_TOKEN_FILE": str(token_file),
        "QSCAN_UNPACKER_SPOOL_DIR": str(directory / "spool"),
        "QSCAN_UNPACKER_TRACE_FILE": str(directory / "traces.jsonl"),
        "QSCAN_UNPACKER_MAX_MESSAGE_BYTES": "2000000",
        "QSCAN_UNPACKER_BODY_TIMEOUT_S": "2",
        "QSCAN_UNPACKER_DEADLINE_S": "15",
        **extra,
    }
    environment = os.environ | nats.environment(Service.POLICY) | nats.environment(Service.UNPACKER) | own
    with (directory / "log").open("wb") as log:
        processes = [
            subprocess.Popen([sys.executable, "-m", module], env=environment, stdout=log, stderr=log)
            for module in ("qscan_policy", "qscan_unpacker")
        ]
        unpacker = Unpacker(f"http://127.0.0.1:{port}", nats, processes[1], directory / "traces.jsonl")
        try:
            if ready:
                wait_ready(unpacker, directory / "log")
            yield unpacker
        finally:
            for process in processes:
                process.send_signal(signal.SIGCONT)
                process.terminate()
            for process in processes:
                process.wait(10)
            unpacker.client.close()


def wait_ready(unpacker: Unpacker, log: Path) -> None:
    """Until /readyz says so."""
    deadline, said = time.monotonic() + READY_TIMEOUT_S, ""
    while time.monotonic() < deadline:
        try:
            answer = unpacker.client.get("/readyz")
        except httpx.ConnectError:
            time.sleep(0.05)
            continue
        if answer.status_code == 200:
            return
        said = answer.text
        time.sleep(0.05)
    pytest.fail(f"the unpacker is not ready: {said}\n{log.read_text()}")


@pytest.fixture(scope="module")
def unpacker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Unpacker]:
    """One system for all tests of this module that leave it as it was."""
    directory = tmp_path_factory.mktemp("intake")
    with NatsServer(directory) as nats, ScriptedGateway(nats), running(directory, nats) as unpacker:
        yield unpacker


def is_problem(answer: httpx.Response, status: int) -> None:
    """RFC 9457, and a text that says something."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["title"]
    assert len(problem["detail"]) > 10


def test_clean_message(unpacker: Unpacker) -> None:
    """Every key of DESIGN §4 is there, and how many findings the answer leaves out; one report per component."""
    answer = unpacker.post().json()
    assert set(answer) == {
        "scan_id",
        "verdict",
        "disposition",
        "reason",
        "recipients",
        "smtp",
        "edits",
        "findings",
        "findings_left_out",
        "components",
        "spam",
        "raw_size",
        "raw_sha256",
        "rules_version",
        "timing_ms",
    }
    assert (answer["verdict"], answer["disposition"], answer["smtp"]) == ("clean", "deliver", None)
    assert answer["recipients"] == [
        {"index": 0, "rcpt_to": "rcpt@example.org", "disposition": "deliver", "deliver_to": "rcpt@example.org"}
    ]
    assert [one["path"] for one in answer["components"]] == ["", "1"]
    assert all([report["outcome"] for report in one["reports"]] == ["clean"] for one in answer["components"])
    assert answer["raw_size"] == len(MESSAGE)
    assert set(answer["timing_ms"]) == {"total", "unpack", "av", "policy"}


def test_decision_leaves_components_out(unpacker: Unpacker) -> None:
    """``?detail=decision``."""
    answer = unpacker.post(detail="decision").json()
    assert "components" not in answer
    assert answer["disposition"] == "deliver"


def test_framed_request(unpacker: Unpacker) -> None:
    """The scan id of the sender is kept; many recipients, any order."""
    recipients = [f"r{number}@example.org" for number in range(1_000)]
    answer = unpacker.post_framed({"scan_id": "abc-DEF_1", "mail_from": "", "rcpt_to": recipients, "effects": "none"})
    assert answer.json()["scan_id"] == "abc-DEF_1"
    assert [one["rcpt_to"] for one in answer.json()["recipients"]] == recipients


def test_unknown_keys_of_a_newer_sender_are_ignored(unpacker: Unpacker) -> None:
    """Adding a field is fine (DESIGN §6)."""
    assert unpacker.post_framed({"rcpt_to": [], "effects": "none", "colour": "blue"}).status_code == 200


@pytest.mark.parametrize(
    ("body", "disposition", "verdict"),
    [
        (b"EVIL", "quarantine", "virus"),
        (b"UNSCANNED(encrypted)", "deliver", "unscannable"),
        (b"UNSCANNED(engine_limit)", "quarantine", "unscannable"),
        (b"UNSCANNED(engine_failed)", "defer", "unscannable"),
        (b"RAISES", "defer", "unscannable"),
        (b"FORGETS-A-REPORT", "defer", "unscannable"),
        (b"REPORTS-TWICE", "defer", "unscannable"),
        (b"EVIL FORGETS-A-REPORT", "defer", "unscannable"),
    ],
)
def test_what_engines_say_decides(unpacker: Unpacker, body: bytes, disposition: str, verdict: str) -> None:
    """Through the shipped decision table; an answer that does not match what was asked is not believed."""
    answer = unpacker.post(MESSAGE + body).json()
    assert (answer["disposition"], answer["verdict"]) == (disposition, verdict)


def test_defer_says_why(unpacker: Unpacker) -> None:
    """451 with a text that the client may see."""
    smtp = unpacker.post(MESSAGE + b"UNSCANNED(engine_failed)").json()["smtp"]
    assert smtp["code"] == 451
    assert "virus scanner" in smtp["text"]
    assert smtp["text"].endswith(" (#4.3.0)")


def test_stalling_engine_is_answered_before_the_deadline(unpacker: Unpacker) -> None:
    """The answer comes `answer_margin_s` before the deadline that the sender gave."""
    started = time.monotonic()
    answer = unpacker.post_framed(
        {"rcpt_to": ["a@b"], "spam_filter": "off", "effects": "none", "deadline_ms": 7_000}, MESSAGE + b"STALLS"
    ).json()
    assert answer["disposition"] == "defer"
    assert time.monotonic() - started < 4


def test_large_components_are_pulled(unpacker: Unpacker) -> None:
    """Above the inline limit the gateway pulls chunks, verified by SHA-256."""
    body = b"0123456789abcde\n" * 100_000
    answer = unpacker.post(b"Subject: large\n\n" + body + b"EVIL").json()
    assert answer["verdict"] == "virus"
    assert {one["path"] for one in answer["components"] if one["reports"][0]["outcome"] == "detected"} == {"", "1"}


def test_effects_need_the_token(unpacker: Unpacker) -> None:
    """On loopback too, in both forms."""
    is_problem(unpacker.post(effects="full"), 401)
    is_problem(unpacker.post(effects="full", token="wrong"), 401)
    is_problem(unpacker.post_framed({"rcpt_to": []}, Authorization="Bearer wrong"), 401)
    is_problem(unpacker.post_framed({"rcpt_to": []}, Authorization="Basic " + TOKEN), 401)
    assert unpacker.post(effects="full", token=TOKEN).status_code == 200


@pytest.mark.parametrize(
    ("envelope", "size"),
    [
        (b"{}", None),
        (b"{}", "x"),
        (b"{}", "-1"),
        (b"{}", "1"),
        (b"{}", "8388609"),
        (b"{}", "99999999999999999999999"),
        (b"{}", "0000000002" + "9" * 7),
        (b"{}", "0000000002" + "9" * 5000),
        (b"{}", "1000"),
        (b"{}", "٣"),
        (b"[]", "2"),
        (b"{{", "2"),
        (b'{"rcpt_to": 1}', "14"),
        (b'{"scan_id": "../x"}', "19"),
        (b'{"scan_id": ""}', "15"),
        (b'{"scan_id": "x\\n"}', "18"),
        (b'{"mail_from": "\xff"}', "18"),
        (b'{"uid": 99999999999999999999}', "29"),
        (b'{"x":' + b"[" * 100_000, "100005"),
        (b'{"deadline_ms": 0}', "18"),
        (b'{"deadline_ms":-5}', "18"),
        (b'{"effects": "all"}', "18"),
        (b'{"rcpt_to": ["a\\u0000b"]}', "26"),
        (b"\xff\xff", "2"),
    ],
)
def test_malformed_frames_are_problems(unpacker: Unpacker, envelope: bytes, size: str | None) -> None:
    """400, whatever is wrong."""
    headers = {"Content-Type": "application/vnd.qscan.scan", "Authorization": f"Bearer {TOKEN}"}
    raw_headers = [(name.encode(), value.encode()) for name, value in headers.items()]
    if size is not None:
        raw_headers.append((b"X-Qscan-Envelope-Size", size.encode()))
    is_problem(unpacker.client.post("/v1/scan", content=envelope, headers=raw_headers), 400)


@pytest.mark.parametrize(
    "query", [{"effects": "some"}, {"spam_filter": "maybe"}, {"relay_client": "perhaps"}, {"colour": "blue"}]
)
def test_malformed_queries_are_problems(unpacker: Unpacker, query: dict[str, str]) -> None:
    """400 with the name of the parameter."""
    answer = unpacker.post(MESSAGE, token=None, **query)
    is_problem(answer, 400)
    assert next(iter(query)) in answer.json()["detail"]


def test_a_deadline_beyond_all_numbers_is_the_latest_one(unpacker: Unpacker) -> None:
    """JSON has integers that are no float any more."""
    assert unpacker.post_framed(b'{"deadline_ms": 1' + b"0" * 400 + b"}").status_code == 200


def test_too_many_recipients_are_a_problem(unpacker: Unpacker) -> None:
    """Above `max_recipients`, however small the envelope."""
    is_problem(unpacker.post_framed({"rcpt_to": [""] * 50_001, "effects": "none"}), 400)
    assert unpacker.post_framed({"rcpt_to": ["a@b"] * 50_000, "effects": "none"}).json()["disposition"] == "deliver"


def test_other_content_types_and_paths_are_problems(unpacker: Unpacker) -> None:
    """400, 404 and 405."""
    is_problem(unpacker.client.post("/v1/scan", content=b"x", headers={"Content-Type": "text/plain"}), 400)
    is_problem(unpacker.client.post("/v1/scan", content=b"x"), 400)
    is_problem(unpacker.client.get("/v1/nothing"), 404)
    is_problem(unpacker.client.get("/v1/scan"), 405)


def test_too_large_is_413(unpacker: Unpacker) -> None:
    """Also when no length was announced."""
    is_problem(unpacker.post(b"x" * 2_000_001), 413)
    pieces = (b"x" * 100_000 for _ in range(21))
    answer = unpacker.client.post("/v1/scan", content=pieces, headers={"Content-Type": "message/rfc822"})
    is_problem(answer, 413)


def test_slow_body_is_408(unpacker: Unpacker) -> None:
    """A body that stops arriving does not hold its place for ever."""
    host, _, port = unpacker.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(
            b"POST /v1/scan HTTP/1.1\r\nHost: x\r\nContent-Type: message/rfc822\r\nContent-Length: 100\r\n\r\nSubject:"
        )
        assert b" 408 " in connection.recv(65_536)


def test_client_that_leaves_cancels_the_scan(unpacker: Unpacker) -> None:
    """Its place is free again long before the engine would have answered."""
    host, _, port = unpacker.url.removeprefix("http://").partition(":")
    body = MESSAGE + b"STALLS"
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(
            b"POST /v1/scan?spam_filter=off HTTP/1.1\r\nHost: x\r\nContent-Type: message/rfc822\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        poll(lambda: in_flight(unpacker) == 1)
    poll(lambda: in_flight(unpacker) == 0)


def in_flight(unpacker: Unpacker) -> int:
    """Messages being scanned, by the unpacker's own metric."""
    for line in unpacker.client.get("/metrics").text.splitlines():
        if line.startswith("qscan_messages_in_flight "):
            return int(float(line.split()[1]))
    pytest.fail("no such metric")


def poll(condition: Any, timeout_s: float = 5.0) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def test_trace_has_the_edges(unpacker: Unpacker) -> None:
    """scan → unpack, scan → send → (over NATS) process."""
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    headers = {"Content-Type": "message/rfc822", "traceparent": f"00-{trace_id}-b7ad6b7169203331-01"}
    unpacker.client.post("/v1/scan?spam_filter=off", content=MESSAGE, headers=headers)

    def spans() -> dict[str, dict[str, Any]]:
        lines = unpacker.trace_file.read_text().splitlines() if unpacker.trace_file.exists() else []
        return {span["name"]: span for span in map(json.loads, lines) if span["trace"] == trace_id}

    poll(lambda: {"scan", "unpack", "send scan.av", "send scan.policy"} <= set(spans()), timeout_s=10)
    got = spans()
    assert got["scan"]["parent"] == "b7ad6b7169203331"
    assert {got[name]["parent"] for name in ("unpack", "send scan.av", "send scan.policy")} == {got["scan"]["span"]}


def test_without_nats_it_is_503(tmp_path: Path) -> None:
    """A required part is missing: try another unpacker, or later; and it comes back by itself."""
    with NatsServer(tmp_path) as nats, ScriptedGateway(nats), running(tmp_path, nats) as unpacker:
        nats.kill()
        poll(lambda: unpacker.post().status_code == 503)
        refused = unpacker.post()
        is_problem(refused, 503)
        assert int(refused.headers["Retry-After"]) > 0
        nats.start()
        poll(lambda: unpacker.post().json().get("disposition") == "deliver", timeout_s=15)


def test_it_may_be_there_before_nats(tmp_path: Path) -> None:
    """No order of starting: alive and not ready without NATS, refusing messages, ready when NATS has come."""
    server = NatsServer(tmp_path)
    server.reserve_port()
    with running(tmp_path, server, ready=False) as unpacker:
        poll(lambda: answers(unpacker), timeout_s=READY_TIMEOUT_S)
        assert unpacker.client.get("/readyz").status_code == 503
        is_problem(unpacker.post(), 503)
        with server, ScriptedGateway(server):
            wait_ready(unpacker, tmp_path / "log")
            assert unpacker.post().json()["disposition"] == "deliver"


def test_it_can_be_ended_while_it_waits_for_nats(tmp_path: Path) -> None:
    """SIGTERM is heard at once."""
    server = NatsServer(tmp_path)
    server.reserve_port()
    with running(tmp_path, server, ready=False) as unpacker:
        poll(lambda: answers(unpacker), timeout_s=READY_TIMEOUT_S)
        unpacker.process.terminate()
        assert unpacker.process.wait(5) == 0


def answers(unpacker: Unpacker) -> bool:
    """Whether it is alive."""
    try:
        return unpacker.client.get("/healthz").status_code == 200
    except httpx.ConnectError:
        return False


def test_without_gateway_it_defers_at_once(tmp_path: Path) -> None:
    """An absent worker is known at once; the message waits, and the client is told why."""
    with NatsServer(tmp_path) as nats, ExitStack() as stack:
        with ScriptedGateway(nats):
            unpacker = stack.enter_context(running(tmp_path, nats))
        started = time.monotonic()
        answer = unpacker.post().json()
        assert (answer["disposition"], answer["smtp"]["code"]) == ("defer", 451)
        assert time.monotonic() - started < 2
        assert unpacker.client.get("/readyz").status_code == 503


def test_full_unpacker_answers_503(tmp_path: Path) -> None:
    """Above `max_messages_in_flight`."""
    with (
        NatsServer(tmp_path) as nats,
        ScriptedGateway(nats),
        running(tmp_path, nats, QSCAN_UNPACKER_MAX_MESSAGES_IN_FLIGHT="1") as unpacker,
    ):
        host, _, port = unpacker.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(
                b"POST /v1/scan HTTP/1.1\r\nHost: x\r\nContent-Type: message/rfc822\r\nContent-Length: 9\r\n\r\n"
            )
            poll(lambda: in_flight(unpacker) == 1)
            refused = unpacker.post()
            is_problem(refused, 503)
            assert int(refused.headers["Retry-After"]) > 0
        poll(lambda: unpacker.post().status_code == 200)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_every_generated_request_is_answered_as_documented(unpacker: Unpacker, mode: GenerationMode) -> None:
    """Whatever schemathesis makes of /openapi.json, there is no 500, and the answer is as that document says."""
    operation = schemathesis.openapi.from_url(f"{unpacker.url}/openapi.json")["/v1/scan"]["POST"]

    @given(operation.as_strategy(generation_mode=mode))
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    def check(case: schemathesis.Case[Any]) -> None:
        answer = case.call(timeout=30)
        case.validate_response(answer, checks=[not_a_server_error])
        case.validate_response(answer, checks=[response_schema_conformance, content_type_conformance])
        assert answer.status_code in {200, 400, 401, 413}, answer.text

    check()
