"""Running qscan-queue as qmail-smtpd does (facts §1), as far as a test message needs it."""

import os
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from qscan_cli.errors import CommandError

TIMEOUT_S = 300.0
"""Longer than qscan-queue waits for an answer."""
_QMAIL_HOME = Path("/var/qmail")
_TEXT_BYTES = 255
_CLIENT = {
    "PROTO": "TCP",
    "TCPLOCALIP": "127.0.0.1",
    "TCPLOCALPORT": "25",
    "TCPREMOTEIP": "127.0.0.1",
    "TCPREMOTEPORT": "49152",
    "TCPREMOTEHOST": "localhost",
}
EXIT_WITHOUT_QMAIL_QUEUE = 120


@dataclass(frozen=True)
class QueueAnswer:
    """What qscan-queue, or the program that it became, did. `text` is what it told on the error descriptor."""

    status: int
    text: str
    elapsed_ms: float


def hand_over(
    program: Path, message: bytes, *, mail_from: str, rcpt_to: Sequence[str], environ: Mapping[str, str]
) -> QueueAnswer:
    """Hand one message to `program`. The message must fit into a pipe.

    Raises:
        CommandError: it cannot be run, or does not end.
    """
    envelope = b"F%b\0" % mail_from.encode() + b"".join(b"T%b\0" % to.encode() for to in rcpt_to) + b"\0"
    started = time.monotonic()
    errors, errors_end = os.pipe()
    try:
        message_end, envelope_end = _filled_pipe(message), _filled_pipe(envelope)
        try:
            process = subprocess.Popen(
                [program],
                stdin=message_end,
                stdout=envelope_end,  # descriptor 1 is for reading here, as qmail-queue has it
                pass_fds=[errors_end],
                env={**environ, **_CLIENT, "ERROR_FD": str(errors_end)},
                cwd=_QMAIL_HOME if _QMAIL_HOME.is_dir() else "/",
            )
        except OSError as error:
            message_text = f"cannot run {program}: {error.strerror}"
            raise CommandError(message_text, os.EX_UNAVAILABLE) from error
        finally:
            os.close(message_end)
            os.close(envelope_end)
            os.close(errors_end)
        with process:
            try:
                text = _read_to_end(errors, started + TIMEOUT_S)
                process.wait(max(1.0, started + TIMEOUT_S - time.monotonic()))
            except (TimeoutError, subprocess.TimeoutExpired) as error:
                process.kill()
                message_text = f"{program} did not end within {TIMEOUT_S:g} s: look into the log of ingress"
                raise CommandError(message_text, os.EX_TEMPFAIL) from error
    finally:
        os.close(errors)
    elapsed_ms = (time.monotonic() - started) * 1000
    return QueueAnswer(process.returncode, text[:_TEXT_BYTES].decode("ascii", "replace"), elapsed_ms)


def _filled_pipe(content: bytes) -> int:
    """The reading end of a pipe that holds `content` and nothing more."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)  # the os module's own spelling
    with os.fdopen(writer, "wb", buffering=0) as pipe:
        if pipe.write(content) != len(content):
            message = f"{len(content)} bytes do not fit into a pipe"
            raise ValueError(message)
    return reader


def _read_to_end(descriptor: int, deadline: float) -> bytes:
    """As qmail does: first the error descriptor to its end, then wait for the program."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    text = b""
    while True:
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise TimeoutError
        piece = os.read(descriptor, 4096)
        if not piece:
            return text
        text += piece
