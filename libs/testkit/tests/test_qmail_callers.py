from pathlib import Path

import pytest

from qscan_testkit.qmail_callers import (
    CallTimeoutError,
    ErrorDescriptor,
    QmailCaller,
    inject,
    qmtpd,
    smtpd,
)
from qscan_testkit.queue_answers import QueueResult
from qscan_testkit.recording import RecordingQmailQueue

MESSAGE = b"Subject: test\n\nbody\n"


@pytest.fixture
def recorder(tmp_path: Path) -> RecordingQmailQueue:
    """A recording qmail-queue with a folder of its own."""
    return RecordingQmailQueue.build(tmp_path / "recorded", programs=tmp_path / "bin")


def script(tmp_path: Path, text: str) -> Path:
    """A queue program that is a shell script."""
    program = tmp_path / "queue"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return program


def test_smtpd_hands_over_message_envelope_and_environment(recorder: RecordingQmailQueue) -> None:
    """What qmail-smtpd's caller writes is what the queue program gets."""
    caller = smtpd(recorder.program, recorder.environment, relay_client=True)
    result = caller.send(MESSAGE, b"", [b"a@example.net", b"b@example.net"])
    (recorded,) = recorder.messages()
    assert result.smtp.endswith(f"qp {result.pid}")
    assert recorded.message == MESSAGE
    assert recorded.envelope == b"F\0Ta@example.net\0Tb@example.net\0\0"
    assert recorded.facts["argc"] == "1"
    assert recorded.facts["cwd"] == str(caller.directory)
    assert recorded.environ["TCPREMOTEIP"] == "192.0.2.25"
    assert recorded.environ["RELAYCLIENT"] == ""


def test_inject_has_nothing_of_tcpserver(recorder: RecordingQmailQueue) -> None:
    """qmail-inject runs the queue program without a client's address."""
    environ = {**recorder.environment, "TCPREMOTEIP": "192.0.2.1", "PROTO": "TCP"}
    assert inject(recorder.program, environ).send(MESSAGE).inject_exit == 0
    assert not {"TCPREMOTEIP", "PROTO"} & set(recorder.messages()[0].environ)


def test_qmtpd_says_the_class_letter_first(recorder: RecordingQmailQueue) -> None:
    """Success is K, and another answer is sent as it is."""
    assert qmtpd(recorder.program, recorder.environment).send(MESSAGE).qmtp.startswith("Kok ")
    refused = {**recorder.environment, "QSCAN_RECORDER_EXIT": "31"}
    assert qmtpd(recorder.program, refused).send(MESSAGE).qmtp.startswith("Dmail server perm")


@pytest.mark.parametrize(
    ("envelope", "code"),
    [
        (b"", 54),
        (b"Fa@example.org\0Tb@example.net\0", 54),
        (b"Xa\0\0", 91),
        (b"Fa\0Xb\0\0", 91),
        (b"F" + b"a" * 1003 + b"\0\0", 11),
        (b"F" + b"a" * 1002 + b"\0\0", 0),
        (b"F\0\0", 0),
    ],
)
def test_the_recorder_behaves_as_qmail_queue(recorder: RecordingQmailQueue, envelope: bytes, code: int) -> None:
    """A bad envelope has qmail-queue's exit code and leaves nothing behind."""
    result = smtpd(recorder.program, recorder.environment).send_raw(MESSAGE, envelope)
    assert result.exit_code == code
    assert recorder.count() == (1 if code == 0 else 0)


def test_a_chosen_exit_code_keeps_nothing(recorder: RecordingQmailQueue) -> None:
    """Tests can make the real qmail-queue fail, and then it has not taken the message."""
    environ = {**recorder.environment, "QSCAN_RECORDER_EXIT": "53"}
    result = smtpd(recorder.program, environ).send(MESSAGE)
    assert result.smtp == "451 qq write error or disk full (#4.3.0)"
    assert recorder.messages() == []


@pytest.mark.parametrize("error_descriptor", [ErrorDescriptor.PATCH_4, ErrorDescriptor.NOTQMAIL_6])
def test_a_custom_error_is_read_from_its_descriptor(tmp_path: Path, error_descriptor: ErrorDescriptor) -> None:
    """Text on the error pipe counts together with exit 82."""
    text = "Dgo away (#5.7.1)"
    program = script(tmp_path, f"printf '{text}' >&{error_descriptor.value}; exit 82")
    result = smtpd(program, {}, error_descriptor=error_descriptor).send(MESSAGE)
    assert result.smtp == "554 go away (#5.7.1)"


def test_exit_82_means_nothing_to_an_unpatched_qmail(tmp_path: Path) -> None:
    """Without an error pipe 82 is one of the unknown codes: temporary."""
    caller = smtpd(script(tmp_path, "exit 82"), {}, error_descriptor=ErrorDescriptor.NONE)
    assert caller.send(MESSAGE).smtp == "451 qq temporary problem (#4.3.0)"


def test_success_after_a_write_error_is_none(tmp_path: Path) -> None:
    """A program that exits 0 without reading everything has not taken the message."""
    result = smtpd(script(tmp_path, "exit 0"), {}).send(b"x" * 1_000_000)
    assert result.exit_code == 0
    assert result.write_error
    assert result.answer == "Zqq read error (#4.3.0)"


def test_a_program_killed_by_a_signal_is_a_crash(tmp_path: Path) -> None:
    """The caller sees a crash, which is temporary."""
    assert smtpd(script(tmp_path, "kill -9 $$"), {}).send(b"").answer == "Zqq crashed (#4.3.0)"


def test_a_helper_that_keeps_the_error_pipe_hangs_the_caller(tmp_path: Path) -> None:
    """The error pipe is read to its end before the wait, as in qmail; the deadline ends it here."""
    program = script(tmp_path, "sleep 5 0<&- 1<&- 2>&- & exit 0")
    with pytest.raises(CallTimeoutError, match="error pipe"):
        smtpd(program, {"PATH": "/usr/bin:/bin"}).send(b"", timeout_s=0.5)


@pytest.mark.parametrize(
    ("program", "directory", "code"),
    [("/nonexistent", "/", 120), ("/bin/true", "/nonexistent", 61)],
)
def test_what_cannot_be_started_has_the_librarys_code(program: str, directory: str, code: int) -> None:
    """A missing program or home directory shows as the code that qmail's child exits with."""
    result = QmailCaller(Path(program), {}, directory=Path(directory)).send(b"")
    assert result.exit_code == code
    assert result.answer.startswith("Z")


@pytest.mark.parametrize(
    ("code", "answer", "inject_exit"),
    [
        (0, "", 0),
        (11, "Denvelope address too long for qq (#5.1.3)", 100),
        (35, "Dqq permanent problem (#5.3.0)", 100),
        (71, "Zmail server temporarily rejected message (#4.3.0)", 111),
        (74, "Zcommunication with mail server failed (#4.4.2)", 111),
        (41, "Zqq temporary problem (#4.3.0)", 111),
        (115, "Denvelope address too long for qq (#5.1.3)", 100),
        (120, "Zunable to exec qq (#4.3.0)", 111),
    ],
)
def test_codes_are_rendered_as_by_the_library(code: int, answer: str, inject_exit: int) -> None:
    """Only 11-40 and 115 are permanent; everything unexpected is temporary."""
    result = QueueResult(
        wait_status=code << 8,
        error_text=b"",
        error_pipe=True,
        write_error=False,
        pid=1,
        elapsed_s=0.0,
        cpu_s=0.0,
    )
    assert result.answer == answer
    assert result.inject_exit == inject_exit
