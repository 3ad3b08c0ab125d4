"""What qscan-ingressd tells its operators: one log line and one span per message, and nothing personal."""

import json
from pathlib import Path
from typing import Any

from qscan_contracts.vocabulary import Disposition
from qscan_testkit.fake_unpacker import FakeUnpacker, Reply, answer
from qscan_testkit.ingress_process import Ingressd
from qscan_testkit.polling import poll_until

MESSAGE = b"Subject: very-secret\n\nbody\n"


def test_one_log_line_for_each_message(ingressd: Ingressd) -> None:
    """Delivered, refused, truncated, failed: each has exactly one, with what is needed to find it again."""
    caller = ingressd.caller()
    result = caller.send(MESSAGE)
    ingressd.unpacker.script = lambda call: answer(call, Disposition.REJECT)
    caller.send(MESSAGE)
    ingressd.unpacker.script = lambda _: Reply(hang_up=True)
    caller.send(MESSAGE)
    caller.send_raw(MESSAGE, b"Fa@x\0")
    lines = poll_until(lambda: messages if len(messages := ingressd.messages()) == 4 else None)
    outcomes = [line["outcome"] for line in lines]
    assert outcomes == ["handed_over", "reject", "unpacker_unavailable", "truncated_envelope"]
    first = lines[0]
    assert first["scan_id"] == ingressd.unpacker.calls[0].envelope.scan_id
    assert (first["pid"], first["size"], first["recipients"]) == (result.pid, len(MESSAGE), 1)
    assert (first["verdict"], first["disposition"], first["tries"]) == ("clean", "deliver", 1)
    assert lines[1]["exit"] == 31
    assert len({line["scan_id"] for line in lines}) == 4


def test_nothing_personal_is_logged(ingressd: Ingressd) -> None:
    """No address, no subject, no host name and no text of an answer, whatever goes wrong."""
    caller = ingressd.caller(TCPREMOTEHOST="host-of-alice", TCPREMOTEINFO="user-alice")
    scripts: list[Any] = [
        answer,
        lambda call: answer(call, recipients=[{"rcpt_to": "bob@example.net"}]),
        lambda call: answer(call, raw_size="bob@example.net"),
        lambda _: Reply(body=b"bob@example.net"),
        lambda _: Reply(status=500, body=b"bob@example.net"),
    ]
    for script in scripts:
        ingressd.unpacker.script = script
        caller.send(MESSAGE, b"alice@example.org", [b"bob@example.net"])
    caller.send_raw(MESSAGE, b"Falice@example.org\0Xbob@example.net\0\0")
    poll_until(lambda: len(ingressd.messages()) == len(scripts) + 1)
    logged = json.dumps(ingressd.log())
    for personal in ("alice", "bob", "very-secret"):
        assert personal not in logged


def test_the_trace_goes_on_in_the_unpacker(start_ingressd: Any, unpacker: FakeUnpacker, tmp_path: Path) -> None:
    """One span for the message, whose context is in the request's headers; nothing of it from outside."""
    spans = tmp_path / "spans"
    ingressd = start_ingressd(unpacker, trace_file=str(spans))
    outside = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    ingressd.caller(TRACEPARENT=outside).send(MESSAGE)
    ingressd.stop()
    (span,) = (json.loads(line) for line in spans.read_text().splitlines())
    assert (span["name"], span["parent"]) == ("ingress.message", None)
    assert span["attributes"]["qscan.outcome"] == "handed_over"
    assert span["attributes"]["qscan.scan_id"] == unpacker.calls[0].envelope.scan_id
    headers = {name.lower(): value for name, value in unpacker.calls[0].headers.items()}
    assert headers["traceparent"].startswith(f"00-{span['trace']}-{span['span']}-")
    assert "a" * 32 not in spans.read_text()
