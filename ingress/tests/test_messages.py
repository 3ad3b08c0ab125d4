"""Unusual messages, envelopes, callers and descriptors, and what the real qmail-queue is started with."""

import hashlib
import os
import socket
import subprocess
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from qscan_contracts.vocabulary import Effects, SpamFilter
from qscan_testkit.fake_unpacker import FakeUnpacker, answer, edits
from qscan_testkit.folders import let_others_through
from qscan_testkit.ingress_process import TOKEN, Ingressd
from qscan_testkit.polling import poll_until
from qscan_testkit.qmail_callers import envelope, inject, qmtpd, smtpd
from qscan_testkit.spawning import spawn

MESSAGE = b"Subject: test\n\nbody\n"
NOBODY = 65534


@pytest.mark.parametrize("mail_from", [b"", b"#@[]", b"a\xff\\x@example.org", b"'; rm -rf $HOME"])
def test_senders_of_all_kinds(ingressd: Ingressd, mail_from: bytes) -> None:
    """Null, double bounce and arbitrary bytes arrive unchanged."""
    assert ingressd.caller().send(MESSAGE, mail_from).accepted
    assert ingressd.recorder.messages()[0].mail_from == mail_from


@pytest.mark.parametrize("count", [0, 1, 1000, 20_000])
def test_any_number_of_recipients(ingressd: Ingressd, count: int) -> None:
    """None is as good as a thousand."""
    rcpt_to = tuple(b"user%d@example.net" % number for number in range(count))
    assert ingressd.caller().send(MESSAGE, rcpt_to=rcpt_to).accepted
    assert ingressd.recorder.messages()[0].rcpt_to == rcpt_to


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\n",
        b"no header at all",
        b"\0\r\n.\r\n\xff" * 100,
        b"x" * (1024 * 1024 - 1),
        b"x" * (1024 * 1024),
        b"x" * (1024 * 1024 + 1),
        os.urandom(1024) * 30_000,
    ],
    ids=["zero bytes", "empty line", "no header", "binary", "below spool", "at spool", "above", "30 MB"],
)
def test_messages_of_all_kinds(ingressd: Ingressd, message: bytes) -> None:
    """Byte for byte, to the unpacker and to qmail-queue, in memory and on disk."""
    assert ingressd.caller().send(message).accepted
    assert ingressd.unpacker.calls[0].message == message
    assert ingressd.recorder.messages()[0].message == message


@pytest.mark.parametrize("size", [1000, 3_000_000])
def test_edits_are_made(ingressd: Ingressd, size: int) -> None:
    """In memory and on disk."""
    message = b"Subject: spam\n\n" + b"x" * size
    changes = edits((0, 0, b"X-Spam: yes\n"), (9, 0, b"*** "), (len(message) - 1, 1, b"!\n"))
    ingressd.unpacker.script = lambda call: answer(call, edits=changes)
    assert ingressd.caller().send(message).accepted
    expected = b"X-Spam: yes\nSubject: *** spam\n\n" + b"x" * (size - 1) + b"!\n"
    assert ingressd.recorder.messages()[0].message == expected


def test_everything_can_be_edited_away(ingressd: Ingressd) -> None:
    """An edit that leaves nothing leaves an empty message, not an error."""
    ingressd.unpacker.script = lambda call: answer(call, edits=edits((0, len(call.message), b"")))
    assert ingressd.caller().send(MESSAGE).accepted
    assert ingressd.recorder.messages()[0].message == b""


def test_the_request_says_what_the_mta_knows(ingressd: Ingressd) -> None:
    """Envelope, client, uid and pid by the kernel, deadline, token, and no trace context from outside."""
    environ = {"TCPREMOTEINFO": "who\udcff", "QS_SPAMASSASSIN": "on", "TRACEPARENT": "00-" + "1" * 32}
    caller = smtpd(ingressd.queue, {**ingressd.environ, **environ}, relay_client=True)
    result = caller.send(MESSAGE, b"a@x", [b"b\xff@x"])
    (call,) = ingressd.unpacker.calls
    told = call.envelope
    assert (told.mail_from, told.rcpt_to) == ("a@x", ("b\\xff@x",))
    assert (told.client_ip, told.client_host) == ("192.0.2.25", "client.example.org")
    assert told.remote_info == "who\\xff"
    assert (told.server_ip, told.server_host, told.protocol) == ("192.0.2.1", "mx.example.net", "TCP")
    assert told.relay_client
    assert told.spam_filter is SpamFilter.ON
    assert told.auth_user is None
    assert (told.uid, told.pid) == (os.geteuid(), result.pid)
    assert told.deadline_ms is not None
    assert 230_000 < told.deadline_ms <= 240_000
    assert told.effects is Effects.FULL
    assert call.headers["Authorization"] == f"Bearer {TOKEN}"
    assert "1" * 32 not in str(call.headers)
    assert call.path == "/v1/scan?detail=decision"


def test_absent_differs_from_empty(ingressd: Ingressd) -> None:
    """A client without a name is not one with an empty name."""
    for host in (None, ""):
        smtpd(ingressd.queue, ingressd.environ, client_host=host).send(MESSAGE)
    assert [call.envelope.client_host for call in ingressd.unpacker.calls] == [None, ""]


def test_long_values_are_cut(ingressd: Ingressd) -> None:
    """Hostile remote data is bounded, and the message goes through."""
    caller = smtpd(ingressd.queue, ingressd.environ, client_host="h" * 100_000)
    assert caller.send(MESSAGE).accepted
    assert ingressd.unpacker.calls[0].envelope.client_host == "h" * 4096


def test_an_ordinary_user_injects(ingressd: Ingressd) -> None:
    """As qmail-inject and forward do: no client's address, the user's own uid to the end."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become another user")
    for folder in (ingressd.folder, ingressd.queue.parent):
        let_others_through(folder)
    result = inject(ingressd.queue, ingressd.environ, uid=NOBODY).send(MESSAGE)
    assert result.inject_exit == 0
    assert ingressd.recorder.messages()[0].facts["uid"] == str(NOBODY)
    told = ingressd.unpacker.calls[0].envelope
    assert told.uid == NOBODY
    assert told.client_ip is None
    assert told.protocol is None
    assert not told.relay_client


def test_qmtpd(ingressd: Ingressd) -> None:
    """As qmail-qmtpd does, which repeats the answer itself."""
    assert qmtpd(ingressd.queue, ingressd.environ).send(MESSAGE).qmtp.startswith("Kok ")


@pytest.mark.parametrize("size", [20, 2_000_000])
def test_what_the_real_qmail_queue_is_started_with(ingressd: Ingressd, size: int) -> None:
    """One argument, read-only descriptors at their beginning, nothing else open, no alarm, same environment."""
    caller = ingressd.caller(SOMETHING="else", QMAILQUEUE="/x")
    caller.send(b"x" * size)
    (recorded,) = ingressd.recorder.messages()
    facts = recorded.facts
    assert facts["argc"] == "1"
    assert facts["argv0"] == str(ingressd.recorder.program)
    assert facts["fds"] == "0 1 2"
    assert facts["fd0_access"] == facts["fd1_access"] == str(os.O_RDONLY)
    assert facts["fd0_offset"] == facts["fd1_offset"] == "0"
    assert facts["alarm_s"] == "0"
    assert facts["signals_blocked"] == "0"
    assert facts["cwd"] == str(caller.directory)
    assert recorded.environ == dict(caller.environ)


def test_a_callers_alarm_does_not_survive(ingressd: Ingressd, tmp_path: Path) -> None:
    """An alarm lives through exec; it must not kill the real qmail-queue."""
    program = tmp_path / "queue"
    program.write_text(f"#!/usr/bin/python3\nimport os,signal\nsignal.alarm(100)\nos.execv('{ingressd.queue}',['q'])\n")
    program.chmod(0o755)
    assert smtpd(program, ingressd.environ).send(MESSAGE).accepted
    assert ingressd.recorder.messages()[0].facts["alarm_s"] == "0"


def run_queue(ingressd: Ingressd, descriptors: dict[int, int], closed: Sequence[int] = ()) -> int:
    """Run qscan-queue on descriptors of the test's choice; its exit code."""
    pid = spawn([ingressd.queue], environ=ingressd.environ, descriptors=descriptors, directory=Path("/"), closed=closed)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def test_descriptors_that_are_files(ingressd: Ingressd, tmp_path: Path) -> None:
    """Read from where they stand, as qmail-queue would; standard error may even be closed."""
    (tmp_path / "message").write_bytes(b"skipped" + MESSAGE * 10_000)
    (tmp_path / "envelope").write_bytes(envelope(b"a@x", [b"b@x"]))
    with (tmp_path / "message").open("rb") as message, (tmp_path / "envelope").open("rb") as envelope_file:
        os.lseek(message.fileno(), len(b"skipped"), os.SEEK_SET)
        descriptors = {0: message.fileno(), 1: envelope_file.fileno()}
        assert run_queue(ingressd, descriptors, closed=[2]) == 0
    (recorded,) = ingressd.recorder.messages()
    assert recorded.message == MESSAGE * 10_000
    assert recorded.rcpt_to == (b"b@x",)
    assert recorded.facts["fds"] == "0 1"


def test_descriptors_that_are_sockets(ingressd: Ingressd) -> None:
    """Some supervisors use socket pairs instead of pipes."""
    message_end, message = socket.socketpair()
    envelope_end, envelope_socket = socket.socketpair()
    with message_end, message, envelope_end, envelope_socket, ThreadPoolExecutor(1) as pool:
        code = pool.submit(run_queue, ingressd, {0: message_end.fileno(), 1: envelope_end.fileno()})
        message.sendall(MESSAGE)
        message.shutdown(socket.SHUT_WR)
        envelope_socket.sendall(envelope(b"a@x", [b"b@x"]))
        assert code.result(timeout=20) == 0
    assert ingressd.recorder.messages()[0].message == MESSAGE


def test_no_message_at_all(ingressd: Ingressd, tmp_path: Path) -> None:
    """/dev/null is an empty message."""
    (tmp_path / "envelope").write_bytes(envelope(b"a@x", []))
    with Path("/dev/null").open("rb") as nothing, (tmp_path / "envelope").open("rb") as envelope_file:
        assert run_queue(ingressd, {0: nothing.fileno(), 1: envelope_file.fileno()}) == 0
    assert ingressd.recorder.messages()[0].message == b""


def test_a_second_reader_of_the_pipe_hangs_nobody_else(ingressd: Ingressd) -> None:
    """A hostile caller steals its own bytes between «readable» and the read; others go on."""
    message_end, message = os.pipe2(os.O_CLOEXEC)
    stop = threading.Event()
    os.set_blocking(message_end, False)

    def steal() -> None:
        while not stop.is_set():
            try:
                os.read(message_end, 65536)
            except BlockingIOError:
                continue

    thief = threading.Thread(target=steal)
    with ingressd.caller().open() as slow, ThreadPoolExecutor(1) as pool:
        slow.write_message(MESSAGE)
        envelope_end, envelope_pipe = os.pipe2(os.O_CLOEXEC)
        code = pool.submit(run_queue, ingressd, {0: message_end, 1: envelope_end})
        thief.start()
        for _ in range(200):
            os.write(message, b"x" * 100)
        assert ingressd.caller().send(MESSAGE, timeout_s=10).accepted
        stop.set()
        thief.join()
        os.close(message)
        os.write(envelope_pipe, envelope(b"a@x", [b"b@x"]))
        assert code.result(timeout=20) == 0
        for descriptor in (message_end, envelope_end, envelope_pipe):
            os.close(descriptor)


def test_many_at_once(start_ingressd: Any, unpacker: FakeUnpacker) -> None:
    """Each one gets its own message back, and nothing stays open."""
    ingressd = start_ingressd(unpacker)
    before = ingressd.open_descriptors()
    messages = [b"Subject: %d\n\n" % number + b"x" * number * 7919 for number in range(200)]
    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(ingressd.caller().send, messages))
    assert all(result.accepted for result in results)
    digests = {hashlib.sha256(message).digest() for message in messages}
    assert {hashlib.sha256(recorded.message).digest() for recorded in ingressd.recorder.messages()} == digests
    assert ingressd.open_descriptors() <= before + 16  # connections to the unpacker are kept alive


def test_memory_is_bounded(start_ingressd: Any, unpacker: FakeUnpacker) -> None:
    """Beyond the common budget messages go to disk, and envelopes are deferred."""
    ingressd = start_ingressd(unpacker, total_memory_max_bytes="50000")
    message = b"x" * 60_000
    assert ingressd.caller().send(message).accepted
    assert ingressd.recorder.messages()[0].message == message
    many = tuple(b"user%d@example.net" % number for number in range(4000))
    assert ingressd.caller().send(b"", rcpt_to=many).answer.endswith("(#4.3.0)")
    ingressd.logged("spool_full")
    for _ in range(4):  # what each of them takes is given back
        assert ingressd.caller().send(b"x" * 20_000, rcpt_to=many[:1000]).accepted


def test_an_envelope_above_the_limit_is_deferred(start_ingressd: Any, unpacker: FakeUnpacker) -> None:
    """Too many recipients: temporary, since it is our limit and not the sender's fault."""
    ingressd = start_ingressd(unpacker, max_envelope_bytes="2000")
    many = tuple(b"user%d@example.net" % number for number in range(400))
    assert ingressd.caller().send(MESSAGE, rcpt_to=many).answer == "Ztoo many recipients in one message (#4.3.0)"
    assert unpacker.calls == []


def test_more_than_max_connections_are_deferred(start_ingressd: Any, unpacker: FakeUnpacker) -> None:
    """At once, and with a text; those in hand are not disturbed."""
    ingressd = start_ingressd(unpacker, max_connections="2")
    caller = ingressd.caller()
    before = ingressd.open_descriptors()
    with caller.open() as one, caller.open():
        one.write_message(MESSAGE)
        poll_until(lambda: ingressd.open_descriptors() >= before + 6)  # both are introduced
        assert caller.send(MESSAGE).answer == "Zmail scanner is busy, please try again later (#4.3.0)"
        one.end_message()
        one.write_envelope(envelope(b"a@x", [b"b@x"]))
        assert one.finish().accepted


def test_a_full_spool_defers(start_ingressd: Any, unpacker: FakeUnpacker, tmp_path: Path) -> None:
    """No room on the spool's disk: temporary; smaller messages go on; room again: all go on."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    disk = tmp_path / "small"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("mount is not allowed here")
    try:
        ingressd = start_ingressd(unpacker, spool_dir=str(disk))
        result = ingressd.caller().send(b"x" * 4_000_000)
        assert result.answer == "Zmail scanner has no room, please try again later (#4.3.0)"
        assert ingressd.caller().send(MESSAGE).accepted
        assert ingressd.caller().send(b"x" * 1_500_000).accepted
        changes = edits((0, 0, b"X: 1\n"))
        unpacker.script = lambda call: answer(call, edits=changes)
        assert ingressd.caller().send(b"x" * 1_500_000).answer.endswith("(#4.3.0)")
        ingressd.kill()
    finally:
        subprocess.run(["umount", str(disk)], check=True)
