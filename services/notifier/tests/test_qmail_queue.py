"""The way into the mail system: as qmail's own programs do it, and never through a scanner."""

import asyncio
import os
import stat

import pytest

from qscan_notifier.adapters.qmail_queue import InjectionFailedError, InjectionRefusedError, QmailQueue
from qscan_testkit.recording import RecordingQmailQueue
from qscan_testkit.waiting import wait_until

pytestmark = pytest.mark.anyio

MESSAGE = b"Subject: x\n\nbody\n" * 10_000


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """Where the recorder is compiled to."""
    return tmp_path_factory.mktemp("programs")


@pytest.fixture
def recorder(tmp_path, programs):
    """A qmail-queue that keeps what it is handed."""
    return RecordingQmailQueue.build(tmp_path / "recorded", programs=programs, fsync=False)


def queue(recorder, **environ) -> QmailQueue:
    """The adapter, on the recorder."""
    return QmailQueue(recorder.program, timeout_s=5, environ={**recorder.environment, **environ})


async def test_message_and_envelope_are_handed_over(recorder):
    """With the null sender, on descriptors 0 and 1, with no argument, and with none of our own descriptors."""
    await queue(recorder).inject(MESSAGE, b"postmaster@example.org")
    (recorded,) = recorder.messages()
    assert recorded.message == MESSAGE
    assert recorded.envelope == b"F\0Tpostmaster@example.org\0\0"
    assert recorded.facts["argc"] == "1"
    assert set(recorded.facts["fds"].split()) <= {"0", "1", "2"}


async def test_the_scanner_and_our_secrets_are_not_handed_down(recorder):
    """Whatever our own environment is."""
    await queue(recorder, QMAILQUEUE="/bin/scan", QSCAN_NOTIFIER_NATS_PASSWORD="secret", LANG="C").inject(b"x", b"a@b")
    (recorded,) = recorder.messages()
    assert "secret" not in "".join(recorded.environ.values())
    assert "QMAILQUEUE" not in recorded.environ
    assert recorded.environ["LANG"] == "C"


@pytest.mark.parametrize("code", [11, 31, 40, 115])
async def test_a_permanent_code_is_a_refusal(recorder, code):
    """Asking again would not help."""
    with pytest.raises(InjectionRefusedError, match=f"exit code {code}"):
        await queue(recorder, QSCAN_RECORDER_EXIT=str(code)).inject(MESSAGE, b"a@b")


@pytest.mark.parametrize("code", [1, 10, 41, 51, 53, 54, 71, 82, 91, 111, 120, 255])
async def test_every_other_code_is_a_failure(recorder, code):
    """Everything unexpected is temporary."""
    with pytest.raises(InjectionFailedError):
        await queue(recorder, QSCAN_RECORDER_EXIT=str(code)).inject(MESSAGE, b"a@b")


async def test_a_program_that_is_not_there_is_a_failure(tmp_path):
    """It may be there later; health says so until then."""
    missing = QmailQueue(tmp_path / "none", timeout_s=5, environ={})
    with pytest.raises(InjectionFailedError, match="cannot start"):
        await missing.inject(b"x", b"a@b")
    assert not (await missing.health()).ok


async def test_a_program_that_hangs_is_killed(tmp_path):
    """Nothing of it stays."""
    program = tmp_path / "hangs"
    program.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 600\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(InjectionFailedError, match="took more than"):
        await QmailQueue(program, timeout_s=0.3, environ={"PATH": os.environ["PATH"]}).inject(b"x", b"a@b")
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


async def test_a_program_that_dies_is_a_failure(tmp_path):
    """By a signal."""
    program = tmp_path / "dies"
    program.write_text("#!/bin/sh\nkill -9 $$\n")
    program.chmod(0o755)
    with pytest.raises(InjectionFailedError):
        await QmailQueue(program, timeout_s=5, environ={}).inject(b"x", b"a@b")


async def test_cancelling_ends_the_program_too(tmp_path):
    """When the service is to end in the middle."""
    program = tmp_path / "hangs"
    program.write_text(
        f"#!/bin/sh\necho $$ > {tmp_path}/pid.new; mv {tmp_path}/pid.new {tmp_path}/pid; exec sleep 600\n"
    )
    program.chmod(0o755)
    environ = {"PATH": os.environ["PATH"]}
    injecting = asyncio.create_task(QmailQueue(program, timeout_s=60, environ=environ).inject(b"x", b"a@b"))
    await wait_until((tmp_path / "pid").exists)
    injecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await injecting
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
