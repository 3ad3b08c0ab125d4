"""Every row of the table of DESIGN §3, with the real qscan-queue and the real qscan-ingressd."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from qscan_contracts.vocabulary import Disposition
from qscan_testkit.fake_unpacker import FakeUnpacker, Reply, ScanCall, answer, problem
from qscan_testkit.folders import let_others_through
from qscan_testkit.ingress_process import Ingressd
from qscan_testkit.qmail_callers import ErrorDescriptor, QmailCaller, envelope

MESSAGE = b"Subject: test\n\nbody\n"
NONE = ErrorDescriptor.NONE
LISTENING = [ErrorDescriptor.PATCH_4, ErrorDescriptor.NOTQMAIL_6]


def answering(ingressd: Ingressd, disposition: Disposition, **changes: Any) -> None:
    """Have the unpacker answer so."""
    ingressd.unpacker.script = lambda call: answer(call, disposition, **changes)


@pytest.mark.parametrize("error_descriptor", list(ErrorDescriptor))
def test_deliver(ingressd: Ingressd, error_descriptor: ErrorDescriptor) -> None:
    """The real qmail-queue gets message and envelope byte for byte, and its exit is the answer."""
    result = ingressd.caller(error_descriptor).send(MESSAGE, b"a@example.org", [b"b@example.net", b"c@example.net"])
    assert result.accepted
    (recorded,) = ingressd.recorder.messages()
    assert recorded.message == MESSAGE
    assert recorded.envelope == b"Fa@example.org\0Tb@example.net\0Tc@example.net\0\0"
    assert recorded.facts["pid"] == str(result.pid)


def test_deliver_to_some_recipients(ingressd: Ingressd) -> None:
    """Only those who are to get it are in the envelope."""

    def script(call: ScanCall) -> Reply:
        recipients = [
            {"index": 0, "rcpt_to": "b@x", "disposition": "quarantine", "deliver_to": "b@x"},
            {"index": 1, "rcpt_to": "c@x", "disposition": "deliver", "deliver_to": "d@x"},
            {"index": 2, "rcpt_to": "e@x", "disposition": "deliver", "deliver_to": "e@x"},
        ]
        return answer(call, recipients=recipients)

    ingressd.unpacker.script = script
    assert ingressd.caller().send(MESSAGE, b"a@x", [b"b@x", b"c@x", b"e@x"]).accepted
    assert ingressd.recorder.messages()[0].envelope == b"Fa@x\0Td@x\0Te@x\0\0"


def test_the_real_qmail_queue_fails(ingressd: Ingressd) -> None:
    """Its exit code is the caller's answer, unchanged."""
    result = ingressd.caller(QSCAN_RECORDER_EXIT="53").send(MESSAGE)
    assert result.exit_code == 53
    assert ingressd.recorder.count() == 0


def test_the_real_qmail_queue_cannot_be_executed(ingressd: Ingressd, tmp_path: Path) -> None:
    """120, which qmail calls temporary."""
    result = ingressd.caller(QSCAN_QMAIL_QUEUE=str(tmp_path / "missing")).send(MESSAGE)
    assert result.exit_code == 120
    assert result.answer.startswith("Z")


@pytest.mark.parametrize("disposition", [Disposition.QUARANTINE, Disposition.HOLD, Disposition.DISCARD])
def test_kept_or_discarded_for_all(ingressd: Ingressd, disposition: Disposition) -> None:
    """The caller is told success, and nothing is queued."""
    answering(ingressd, disposition)
    result = ingressd.caller().send(MESSAGE)
    assert result.exit_code == 0
    assert result.accepted
    assert ingressd.recorder.count() == 0


@pytest.mark.parametrize("error_descriptor", LISTENING)
def test_reject_with_text(ingressd: Ingressd, error_descriptor: ErrorDescriptor) -> None:
    """82 and the text where the caller listens."""
    answering(ingressd, Disposition.REJECT)
    result = ingressd.caller(error_descriptor).send(MESSAGE)
    assert result.exit_code == 82
    assert result.smtp == "554 this is a virus (#5.7.1)"


def test_reject_without_text(ingressd: Ingressd) -> None:
    """31, which every qmail calls permanent."""
    answering(ingressd, Disposition.REJECT)
    result = ingressd.caller(NONE).send(MESSAGE)
    assert result.exit_code == 31
    assert result.permanent


def test_too_large_by_our_own_limit(start_ingressd: Any, unpacker: FakeUnpacker) -> None:
    """Answered while the caller is still writing, and nobody is asked."""
    ingressd = start_ingressd(unpacker, max_message_bytes="200000")
    result = ingressd.caller().send(b"x" * 5_000_000)
    assert result.smtp == "554 message too large to be scanned (#5.3.4)"
    assert result.write_error
    assert ingressd.caller(NONE).send(b"x" * 200_001).exit_code == 31
    assert ingressd.caller().send(b"x" * 200_000).accepted
    assert len(unpacker.calls) == 1


def test_too_large_for_the_unpacker(ingressd: Ingressd) -> None:
    """Its 413 is permanent too."""
    ingressd.unpacker.script = lambda _: problem(413)
    assert ingressd.caller().send(MESSAGE).smtp == "554 message too large to be scanned (#5.3.4)"
    assert ingressd.caller(NONE).send(MESSAGE).exit_code == 31


def test_defer_with_text(ingressd: Ingressd) -> None:
    """The unpacker's text reaches the client."""
    answering(ingressd, Disposition.DEFER)
    assert ingressd.caller().send(MESSAGE).smtp == "451 clamd does not answer (#4.3.0)"
    assert ingressd.caller(NONE).send(MESSAGE).exit_code == 71


BROKEN = {
    "hangs up": lambda _: Reply(hang_up=True),
    "no json": lambda _: Reply(body=b"<html>"),
    "not utf-8": lambda _: Reply(body=b'{"scan_id":"\xff"}'),
    "deep": lambda _: Reply(body=b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "empty object": lambda _: Reply(body=b"{}"),
    "other sha256": lambda call: answer(call, raw_sha256="0" * 64),
    "other size": lambda call: answer(call, raw_size=len(call.message) + 1),
    "other scan": lambda call: answer(call, scan_id="01J"),
    "unknown disposition": lambda call: Reply(body=answer(call).body.replace(b'"deliver"', b'"maybe"')),
    "lost recipient": lambda call: answer(call, recipients=[]),
    "bad edits": lambda call: answer(call, edits=[{"offset": 10**9, "delete": 0, "insert": ""}]),
    "edit no base64": lambda call: answer(call, edits=[{"offset": 0, "delete": 0, "insert": "*"}]),
    "400": lambda _: problem(400),
    "401": lambda _: problem(401),
    "404": lambda _: problem(404),
    "429": lambda _: problem(429),
    "500": lambda _: problem(500),
    "503": lambda _: problem(503, {"Retry-After": "1"}),
    "redirect": lambda _: Reply(status=302, headers={"Location": "http://192.0.2.1/"}),
    "accepted": lambda _: Reply(status=202, body=b"{}"),
}


@pytest.mark.parametrize("script", BROKEN.values(), ids=BROKEN.keys())
def test_every_failure_of_the_unpacker_defers(ingressd: Ingressd, script: Any) -> None:
    """Whatever it says that is no answer about these bytes: temporary, with text or without."""
    ingressd.unpacker.script = script
    result = ingressd.caller().send(MESSAGE)
    assert result.exit_code == 82
    assert result.answer.startswith("Z")
    assert result.answer.endswith("(#4.3.0)")
    assert ingressd.caller(NONE).send(MESSAGE).exit_code == 71
    assert ingressd.recorder.count() == 0


def test_no_unpacker_defers(start_ingressd: Any, unpacker: FakeUnpacker) -> None:
    """Nobody listens at any of the addresses."""
    ingressd = start_ingressd(unpacker)
    unpacker.stop()
    assert ingressd.caller().send(MESSAGE).answer.endswith("(#4.3.0)")
    assert ingressd.caller(NONE).send(MESSAGE).exit_code == 71
    ingressd.logged("unpacker_unavailable")


def test_qscan_cannot_be_reached(ingressd: Ingressd, tmp_path: Path) -> None:
    """No socket, a file that is none, a path that is too long: 74 and its text."""
    (tmp_path / "file").touch()
    for path in (str(tmp_path / "missing"), str(tmp_path / "file"), "/" + "x" * 200, ""):
        result = ingressd.caller(QSCAN_INGRESS_SOCKET=path).send(MESSAGE)
        assert result.answer == "Zmail scanner cannot be reached, please try again later (#4.4.2)"
        assert ingressd.caller(NONE, QSCAN_INGRESS_SOCKET=path).send(MESSAGE).exit_code == 74


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"", 54),
        (b"Fa@x\0", 54),
        (b"Fa@x\0Tb@x\0", 54),
        (b"Xa@x\0Tb@x\0\0", 91),
        (b"Fa@x\0Xb@x\0\0", 91),
        (b"F" + b"a" * 1003 + b"\0Tb@x\0\0", 11),
        (b"Fa@x\0T" + b"b" * 1003 + b"\0\0", 11),
    ],
)
@pytest.mark.parametrize("error_descriptor", list(ErrorDescriptor))
def test_bad_envelopes(ingressd: Ingressd, sent: bytes, code: int, error_descriptor: ErrorDescriptor) -> None:
    """qmail-queue's own codes, before anything is posted."""
    assert ingressd.caller(error_descriptor).send_raw(MESSAGE, sent).exit_code == code
    assert ingressd.unpacker.calls == []
    assert ingressd.recorder.count() == 0


def test_an_abandoned_message_is_forgotten(ingressd: Ingressd) -> None:
    """A caller that is killed in the middle of the message leaves a truncated envelope."""
    with ingressd.caller().open() as call:
        call.write_message(MESSAGE)
        call.abandon()
        ingressd.logged("truncated_envelope")
    assert ingressd.unpacker.calls == []


def test_descriptors_that_are_closed_or_unreadable(ingressd: Ingressd, tmp_path: Path) -> None:
    """54, as qmail-queue exits when it cannot read."""
    program = tmp_path / "queue"
    for redirections in ("0<&-", "1<&-", "0<&- 1<&-", f"0>{tmp_path}/out", "0<."):
        program.write_text(f"#!/bin/sh\nexec {ingressd.queue} {redirections}\n")
        program.chmod(0o755)
        caller = QmailCaller(program, ingressd.environ)
        assert caller.send_raw(MESSAGE, envelope(b"a", [b"b"])).exit_code == 54, redirections
    assert ingressd.unpacker.calls == []


def test_another_uid_must_not_answer(
    start_ingressd: Any, unpacker: FakeUnpacker, tmp_path: Path, programs: Path
) -> None:
    """Who took the socket's place decides nothing, though it speaks as ingressd does."""
    if os.geteuid() != 0:
        pytest.skip("needs root to listen as somebody else")
    listener = (
        "import os,socket,sys\nos.setuid(65534)\ns=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET)\n"
        "s.bind(sys.argv[1]);s.listen();print('up',flush=True);c=s.accept()[0];c.recv(99);c.send(b'E9');c.send(b'X0'+bytes(1))"
    )
    folder = tmp_path / "open"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    let_others_through(folder)
    path = folder / "sock"
    ingressd = start_ingressd(unpacker)
    with subprocess.Popen([sys.executable, "-c", listener, str(path)], stdout=subprocess.PIPE) as stranger:
        assert stranger.stdout
        assert stranger.stdout.readline() == b"up\n"
        result = ingressd.caller(NONE, QSCAN_INGRESS_SOCKET=str(path)).send(MESSAGE)
        stranger.kill()
    assert result.exit_code == 74
