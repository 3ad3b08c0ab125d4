"""One trace tells what happened to a message, and no log tells whose message it was (DESIGN §1; STYLE 5.11, 5.12)."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from qscan_testkit import messages
from qscan_testkit.polling import poll_until
from qscan_testkit.running_system import RunningSystem

SENDER, RECIPIENT = b"very.private.sender@sender.example", b"confidential.recipient@recipient.example"
SUBJECT, FILE_NAME = "an intimate subject", "delicate-attachment.txt"
SETTLED_S = 20.0
Span = dict[str, Any]


@pytest.fixture(scope="module")
def system(make_system: Callable[..., RunningSystem]) -> Iterator[RunningSystem]:
    """A system that traces every message."""
    running: RunningSystem = make_system({"all": {"trace_ratio": 1.0}, "up": {"trace_files": True}})
    with running:
        yield running


def spans(system: RunningSystem) -> list[Span]:
    """All spans that the services have written so far."""
    found: list[Span] = []
    for file in (system.data / "log" / "trace").glob("*.jsonl"):
        found += [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
    return found


def edges(system: RunningSystem, scan_id: str) -> set[tuple[str, str]]:
    """(parent, child) of the trace of one message, each as ``service: span``."""
    everything = spans(system)
    trace = next((span["trace"] for span in everything if span["attributes"].get("qscan.scan_id") == scan_id), None)
    by_id = {span["span"]: span for span in everything if span["trace"] == trace}

    def name(span: Span) -> str:
        return f"{span['service'].removeprefix('qscan-')}: {span['name']}"

    return {(name(by_id[span["parent"]]), name(span)) for span in by_id.values() if span["parent"] in by_id}


def told(system: RunningSystem) -> list[Span]:
    """What ingressd has logged of messages; it does so a moment after it has answered."""
    lines = [json.loads(line) for line in system.log("ingress").splitlines() if line.endswith("}")]
    return [line for line in lines if line.get("event") == "message"]


def scan_id_of_the_next(system: RunningSystem, send: Callable[[], None]) -> str:
    """The scan id of the message that `send` sends."""
    before = len(told(system))
    send()
    poll_until(lambda: len(told(system)) > before, SETTLED_S)
    return str(told(system)[-1]["scan_id"])


def test_one_trace_from_the_ingress_to_the_engine_and_downstream(system: RunningSystem) -> None:
    """Every hop is a child of the hop before it, over HTTP, NATS requests and the event stream."""

    def send() -> None:
        assert system.caller().send(messages.eicar(), b"a@example.org", [b"b@example.org"]).exit_code == 0

    scan_id = scan_id_of_the_next(system, send)
    expected = {
        ("ingress: ingress.message", "unpacker: scan"),
        ("unpacker: scan", "unpacker: unpack"),
        ("unpacker: scan", "unpacker: send scan.av"),
        ("unpacker: send scan.av", "av-gateway: process scan.av"),
        ("av-gateway: process scan.av", "av-gateway: engine.scan"),
        ("unpacker: scan", "unpacker: send scan.policy"),
        ("unpacker: send scan.policy", "policy: process scan.policy"),
        ("unpacker: scan", "unpacker: hand off"),
        ("unpacker: hand off", "archiver: process event.quarantine"),
        ("unpacker: hand off", "notifier: process event.notice"),
    }
    poll_until(lambda: expected <= edges(system, scan_id), SETTLED_S)


def test_no_log_and_no_span_tells_whose_message_it_was(system: RunningSystem) -> None:
    """Addresses, subjects and file names are in no log and in no trace; the scan id is in both."""
    scan_id = ""
    for message in (
        messages.message(subject=SUBJECT, attachments=((FILE_NAME, b"harmless"),)),
        messages.message(subject=SUBJECT, attachments=((FILE_NAME, messages.EICAR.encode()),)),
    ):

        def send(message: bytes = message) -> None:
            assert system.caller().send(message, SENDER, [RECIPIENT]).exit_code == 0

        scan_id = scan_id_of_the_next(system, send)
    poll_until(lambda: edges(system, scan_id), SETTLED_S)
    poll_until(lambda: any(one["name"] == "process event.notice" for one in spans(system)), SETTLED_S)
    written = "".join(
        file.read_text(encoding="utf-8", errors="replace")
        for file in (system.data / "log").rglob("*")
        if file.is_file()
    )
    assert scan_id in written
    for secret in (SENDER.decode(), RECIPIENT.decode(), SUBJECT, FILE_NAME):
        assert secret not in written
