"""Callers that run a queue program exactly as qmail's programs do (they share one library).

Between fork and exec: message pipe on 0, envelope pipe on 1, the error pipe on 4 or 6 where there
is one, the rest closed, working directory `/var/qmail`. The whole message is written before the
first byte of the envelope. Then the error pipe is read *to its end* and only then the child is
waited for: whoever else holds that pipe hangs the caller.

`QmailCaller.send` does all of it; `QmailCaller.open` gives the steps, for tests that stop in
between. Both may be used from many threads. Nothing waits without a deadline.
"""

import fcntl
import os
import select
import signal
import sys
import termios
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Self

from qscan_testkit.queue_answers import QueueResult
from qscan_testkit.spawning import spawn

_QMAIL_HOME = Path("/var/qmail")
_ERROR_BYTES = 255
_EXIT_HOME = 61
_EXIT_EXEC = 120
_WRITE_BYTES = 65536
DEFAULT_TIMEOUT_S = 30.0


class ErrorDescriptor(Enum):
    """The custom-error conventions; the value is the number of the error pipe in the child."""

    NONE = None
    """notqmail 1.08, netqmail and qmail without the patch."""
    PATCH_4 = 4
    """The custom-error patch (simscan, toasters, pkgsrc)."""
    NOTQMAIL_6 = 6
    """notqmail 1.09 and later."""


class CallTimeoutError(Exception):
    """The queue program hung the caller past its deadline. It has been killed and reaped."""


def envelope(mail_from: bytes, rcpt_to: Iterable[bytes]) -> bytes:
    """The envelope as qmail's programs write it; without its last byte it means «queue nothing»."""
    return b"F%b\0" % mail_from + b"".join(b"T%b\0" % address for address in rcpt_to) + b"\0"


class QueueCall:
    """One run of the queue program, step by step; a context manager that leaves nothing behind."""

    def __init__(self, caller: "QmailCaller", deadline: float) -> None:
        """Start the program; `deadline` is a time of the monotonic clock, for all of the steps."""
        self._started = time.monotonic()
        self._deadline = deadline
        self.pid: int | None = None
        self.write_error = False
        self._early_exit: int | None = None
        self._caller = caller
        message_end, self._message = os.pipe2(os.O_CLOEXEC)
        envelope_end, self._envelope = os.pipe2(os.O_CLOEXEC)
        self._errors = -1
        descriptors = {0: message_end, 1: envelope_end}
        error_end = -1
        if caller.error_descriptor.value is not None:
            self._errors, error_end = os.pipe2(os.O_CLOEXEC)
            descriptors[caller.error_descriptor.value] = error_end
        try:
            self._start(descriptors)
        finally:
            os.close(message_end)
            os.close(envelope_end)
            if error_end >= 0:
                os.close(error_end)
        for descriptor in (self._message, self._envelope, self._errors):
            if descriptor >= 0:
                os.set_blocking(descriptor, False)

    def _start(self, descriptors: Mapping[int, int]) -> None:
        caller = self._caller
        if not caller.directory.is_dir():
            self._early_exit = _EXIT_HOME
            return
        arguments: list[str | Path] = [caller.program]
        if caller.uid is not None and caller.uid != os.geteuid():
            ids = f"--reuid={caller.uid}", f"--regid={caller.uid}", "--clear-groups"
            arguments = ["/usr/bin/setpriv", *ids, "--", caller.program]
        try:
            self.pid = spawn(
                arguments,
                environ=caller.environ,
                descriptors=descriptors,
                directory=caller.directory,
            )
        except OSError:
            self._early_exit = _EXIT_EXEC

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    def write_message(self, content: bytes) -> None:
        """Write some of the message. An error is remembered, as by qmail's library."""
        self._write(self._message, content)

    def untaken_bytes(self) -> int:
        """How much of what was written of the message nobody has read yet; 0 when that is over."""
        if self._message < 0:
            return 0
        return int.from_bytes(fcntl.ioctl(self._message, termios.FIONREAD, bytes(4)), sys.byteorder)

    def end_message(self) -> None:
        """The message is complete."""
        self._message = _close(self._message)

    def write_envelope(self, content: bytes) -> None:
        """Write some of the envelope."""
        self._write(self._envelope, content)

    def abandon(self) -> None:
        """Close all pipes and wait for nobody, as a caller does that is killed."""
        self._message = _close(self._message)
        self._envelope = _close(self._envelope)
        self._errors = _close(self._errors)

    def finish(self) -> QueueResult:
        """Close the envelope, read the error pipe to its end, wait for the program.

        Raises:
            CallTimeoutError: the deadline passed first.
        """
        self._message = _close(self._message)
        self._envelope = _close(self._envelope)
        text = self._read_errors() if self._errors >= 0 else b""
        self._errors = _close(self._errors)
        status, cpu_s = self._wait()
        return QueueResult(
            wait_status=status,
            error_text=text[:_ERROR_BYTES],
            error_pipe=self._caller.error_descriptor is not ErrorDescriptor.NONE,
            write_error=self.write_error,
            pid=self._last_pid,
            elapsed_s=time.monotonic() - self._started,
            cpu_s=cpu_s,
        )

    def kill(self) -> None:
        """Kill and reap the program if it is there, and close everything."""
        if self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = None
        self.abandon()  # only now: the end of the pipes would be told to it, too

    def _left_ms(self) -> float:
        return max(0.0, self._deadline - time.monotonic()) * 1000

    def _give_up(self, what: str) -> CallTimeoutError:
        self.kill()
        return CallTimeoutError(f"{self._caller.program}: no end of {what} after {self.elapsed_s:.1f} s")

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def _await(self, descriptor: int, events: int, what: str) -> None:
        poll = select.poll()
        poll.register(descriptor, events)
        if not poll.poll(self._left_ms()):
            raise self._give_up(what)

    def _write(self, descriptor: int, content: bytes) -> None:
        rest = memoryview(content)
        while rest and not self.write_error:
            try:
                rest = rest[os.write(descriptor, rest[:_WRITE_BYTES]) :]
            except BlockingIOError:
                self._await(descriptor, select.POLLOUT, "writing")
            except BrokenPipeError:
                self.write_error = True

    def _read_errors(self) -> bytes:
        text = b""
        while True:
            try:
                piece = os.read(self._errors, 4096)
            except BlockingIOError:
                self._await(self._errors, select.POLLIN, "the error pipe")
                continue
            if not piece:
                return text
            text += piece

    def _wait(self) -> tuple[int, float]:
        self._last_pid = self.pid or 0
        if self.pid is None:
            return (self._early_exit or 0) << 8, 0.0
        watch = os.pidfd_open(self.pid)
        try:
            self._await(watch, select.POLLIN, "the program")
        finally:
            os.close(watch)
        _, status, usage = os.wait4(self.pid, 0)
        self.pid = None
        return status, usage.ru_utime + usage.ru_stime


def _close(descriptor: int) -> int:
    if descriptor >= 0:
        os.close(descriptor)
    return -1


@dataclass(frozen=True)
class QmailCaller:
    """A program that uses qmail's library to run `program` (what QMAILQUEUE names).

    Attributes:
        environ: the whole environment of the caller, which the program inherits.
        directory: where the library changes to; `/var/qmail` where there is one.
        uid: the account that it runs as; needs root and util-linux's setpriv unless it is our own.
            None: our own.
    """

    program: Path
    environ: Mapping[str, str]
    error_descriptor: ErrorDescriptor = ErrorDescriptor.NOTQMAIL_6
    directory: Path = field(default_factory=lambda: _QMAIL_HOME if _QMAIL_HOME.is_dir() else Path("/"))
    uid: int | None = None

    def open(self, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> QueueCall:
        """Start the program and leave the steps to the test."""
        return QueueCall(self, time.monotonic() + timeout_s)

    def send(
        self,
        message: bytes,
        mail_from: bytes = b"sender@example.org",
        rcpt_to: Iterable[bytes] = (b"recipient@example.net",),
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> QueueResult:
        """Hand over one message and return what the program answered.

        Raises:
            CallTimeoutError: that took longer than `timeout_s`; the program was killed.
        """
        return self.send_raw(message, envelope(mail_from, rcpt_to), timeout_s=timeout_s)

    def send_raw(self, message: bytes, envelope_bytes: bytes, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> QueueResult:
        """As `send`, with the envelope given as bytes, right or wrong."""
        with self.open(timeout_s=timeout_s) as call:
            call.write_message(message)
            call.end_message()
            call.write_envelope(envelope_bytes)
            return call.finish()


def smtpd(
    program: Path,
    environ: Mapping[str, str],
    *,
    client_ip: str = "192.0.2.25",
    client_host: str | None = "client.example.org",
    relay_client: bool = False,
    error_descriptor: ErrorDescriptor = ErrorDescriptor.NOTQMAIL_6,
) -> QmailCaller:
    """As qmail-smtpd under tcpserver. `client_host` None: it has no name, so there is none."""
    return QmailCaller(
        program,
        {**environ, **_tcp(client_ip, client_host, "25", relay_client=relay_client)},
        error_descriptor,
    )


def qmtpd(
    program: Path,
    environ: Mapping[str, str],
    *,
    client_ip: str = "192.0.2.209",
    error_descriptor: ErrorDescriptor = ErrorDescriptor.NOTQMAIL_6,
) -> QmailCaller:
    """As qmail-qmtpd under tcpserver; see `QueueResult.qmtp` for what it says."""
    return QmailCaller(program, {**environ, **_tcp(client_ip, None, "209", relay_client=False)}, error_descriptor)


def inject(
    program: Path,
    environ: Mapping[str, str],
    *,
    uid: int | None = None,
    error_descriptor: ErrorDescriptor = ErrorDescriptor.NOTQMAIL_6,
) -> QmailCaller:
    """As qmail-inject and forward: an ordinary user, nothing of tcpserver.

    See `QueueResult.inject_exit` for what they make of the answer.
    """
    local = {name: value for name, value in environ.items() if not name.startswith("TCP") and name != "PROTO"}
    return QmailCaller(program, local, error_descriptor, uid=uid)


def _tcp(client_ip: str, client_host: str | None, port: str, *, relay_client: bool) -> dict[str, str]:
    variables = {
        "PROTO": "TCP",
        "TCPLOCALIP": "192.0.2.1",
        "TCPLOCALHOST": "mx.example.net",
        "TCPLOCALPORT": port,
        "TCPREMOTEIP": client_ip,
        "TCPREMOTEPORT": "49152",
    }
    if client_host is not None:
        variables["TCPREMOTEHOST"] = client_host
    if relay_client:
        variables["RELAYCLIENT"] = ""
    return variables
