"""Unusual messages and callers, through qscan-queue and the whole system on real parts."""

import os
import random
from pathlib import Path

import pytest

from qscan_cli.selftest.messages import EICAR
from qscan_testkit.folders import let_others_through
from qscan_testkit.qmail_callers import ErrorDescriptor, envelope, inject, qmtpd
from qscan_testkit.running_system import RunningSystem
from qscan_testkit.spawning import spawn

MESSAGE = b"From: a@example.org\nTo: b@example.net\nSubject: test\nMessage-ID: <1@example.org>\n\nhello\n"
VIRUS = MESSAGE + EICAR + b"\n"
NOBODY = 65534


@pytest.fixture(scope="module")
def system(make_system) -> RunningSystem:
    """One that runs."""
    system: RunningSystem = make_system()
    system.start()
    return system


@pytest.fixture(autouse=True)
def _forget(system) -> None:
    """Each test has the recorder for itself."""
    system.recorder.clear()


def quarantined(system: RunningSystem) -> int:
    """How many messages are in the quarantine, finished or not."""
    return sum(1 for path in (system.data / "quarantine").rglob("*") if path.is_file())


@pytest.mark.parametrize("mail_from", [b"", b"#@[]", b"a\xff@example.org"], ids=["null", "double bounce", "8 bit"])
def test_senders(system, mail_from):
    """A bounce, a double bounce and a sender that is no text are delivered byte for byte."""
    assert system.caller().send(MESSAGE, mail_from).accepted
    (recorded,) = system.recorder.messages()
    assert (recorded.message, recorded.mail_from) == (MESSAGE, mail_from)


@pytest.mark.parametrize("count", [0, 1000])
def test_recipients(system, count):
    """None and a thousand."""
    rcpt_to = tuple(b"user%d@example.net" % number for number in range(count))
    assert system.caller().send(MESSAGE, rcpt_to=rcpt_to).accepted
    (recorded,) = system.recorder.messages()
    assert recorded.rcpt_to == rcpt_to


@pytest.mark.parametrize("count", [0, 1000])
def test_a_virus_for_any_number_of_recipients_is_kept(system, count):
    """The caller is told success, nothing is handed over."""
    rcpt_to = tuple(b"user%d@example.net" % number for number in range(count))
    assert system.caller().send(VIRUS, b"", rcpt_to).accepted
    assert system.recorder.count() == 0


@pytest.mark.parametrize(
    "message",
    [b"", b"\n", b"no header at all", MESSAGE + random.Random(1).randbytes(30_000_000)],  # no secret
    ids=["zero bytes", "empty line", "no header", "30 MB"],
)
def test_messages(system, message):
    """Accepted and handed over byte for byte."""
    result = system.caller().send(message, timeout_s=50)
    assert result.answer == ""
    (recorded,) = system.recorder.messages()
    assert recorded.message == message


def test_a_truncated_envelope_leaves_nothing(system):
    """Not even of a virus: 54, nothing handed over, nothing in the quarantine."""
    before = quarantined(system)
    for sent in (b"", b"Fa@example.org\0Tb@example.net\0"):
        assert system.caller().send_raw(VIRUS, sent).exit_code == 54
    # One more that is quarantined: whatever came of the others would have come before it.
    assert system.caller().send(VIRUS).accepted
    assert system.recorder.count() == 0
    assert quarantined(system) <= before + 1


def test_descriptors_that_are_files(system, tmp_path: Path):
    """As a shell redirects them."""
    (tmp_path / "message").write_bytes(MESSAGE)
    (tmp_path / "envelope").write_bytes(envelope(b"a@example.org", [b"b@example.net"]))
    environ = dict(system.caller().environ)
    with (tmp_path / "message").open("rb") as message, (tmp_path / "envelope").open("rb") as envelope_file:
        descriptors = {0: message.fileno(), 1: envelope_file.fileno()}
        pid = spawn([system.queue], environ=environ, descriptors=descriptors, directory=Path("/"))
        _, status = os.waitpid(pid, 0)
    assert status == 0
    assert system.recorder.messages()[0].message == MESSAGE


def test_an_ordinary_user_injects(system):
    """qmail-inject and forward: no tcpserver, and qmail-queue runs as that user."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become another user")
    for folder in (system.data / "run", system.recorder.directory, system.queue.parent):
        let_others_through(folder)
    environ = {"QSCAN_INGRESS_SOCKET": str(system.socket), **system.recorder.environment}
    assert inject(system.queue, environ, uid=NOBODY).send(MESSAGE).inject_exit == 0
    (recorded,) = system.recorder.messages()
    assert recorded.message == MESSAGE
    assert recorded.facts["uid"] == str(NOBODY)


def test_qmtpd(system):
    """qmail-qmtpd repeats the answer, class letter first."""
    environ = {"QSCAN_INGRESS_SOCKET": str(system.socket), **system.recorder.environment}
    assert qmtpd(system.queue, environ).send(MESSAGE).qmtp.startswith("Kok ")


@pytest.mark.parametrize("error_descriptor", list(ErrorDescriptor))
def test_whatever_the_qmail(system, error_descriptor: ErrorDescriptor):
    """With and without an error descriptor a clean message is delivered and a virus is not."""
    caller = system.caller(error_descriptor=error_descriptor)
    assert caller.send(MESSAGE).smtp.startswith("250 ok")
    assert caller.send(VIRUS).smtp.startswith("250 ok")
    assert [recorded.message for recorded in system.recorder.messages()] == [MESSAGE]
