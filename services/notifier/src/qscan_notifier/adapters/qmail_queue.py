"""Hands a message to qmail-queue as qmail-inject does (facts §1): message on 0, envelope on 1, answer by exit code.

Directly, with an environment without QMAILQUEUE, so that it is not scanned.
"""

import asyncio
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from qscan_kit.health import Health

PERMANENT_CODES = frozenset({*range(11, 41), 115})
NOT_HANDED_DOWN = ("QMAILQUEUE", "QSCAN_NOTIFIER_")
"""Variables that begin so: the one would make some qmail scan the notice, the others hold our password."""


class InjectionRefusedError(Exception):
    """qmail-queue will never take it."""


class InjectionFailedError(Exception):
    """qmail-queue did not take it this time."""


class QmailQueue:
    """The program at `program`."""

    def __init__(self, program: Path, *, timeout_s: float, environ: Mapping[str, str]) -> None:
        """Give it `environ` without what is `NOT_HANDED_DOWN`, and kill it after `timeout_s`."""
        self._program, self._timeout_s = program, timeout_s
        self._environ = {name: value for name, value in environ.items() if not name.startswith(NOT_HANDED_DOWN)}

    async def inject(self, message: bytes, recipient: bytes) -> None:
        """Queue a message to one recipient with the null sender.

        Raises:
            InjectionRefusedError: a permanent exit code.
            InjectionFailedError: any other one, or it could not be started, or took too long.
        """
        process = self._start(message, b"F\0T" + recipient + b"\0\0")
        try:
            code = await asyncio.to_thread(process.wait, self._timeout_s)
        except BaseException as error:
            # Also when we are to end: it has not said yes, and will be asked again.
            process.kill()
            await asyncio.to_thread(process.wait)
            if isinstance(error, subprocess.TimeoutExpired):
                raise InjectionFailedError(f"{self._program} took more than {self._timeout_s:g} s") from error
            raise
        if code in PERMANENT_CODES:
            raise InjectionRefusedError(f"{self._program} refused the notice with exit code {code}")
        if code != 0:
            raise InjectionFailedError(f"{self._program} ended with {code}")

    def _start(self, message: bytes, envelope: bytes) -> subprocess.Popen[bytes]:
        with ExitStack() as stack:
            # Files and not pipes: nothing can be cut short by our end, and nothing has to be written while it runs.
            message_file, envelope_file = (stack.enter_context(_readable(data)) for data in (message, envelope))
            try:
                # Not asyncio's: uvloop leaves copies of descriptors and a pipe of its own open in the child.
                return subprocess.Popen(
                    [self._program],
                    stdin=message_file,
                    stdout=envelope_file,
                    stderr=subprocess.DEVNULL,
                    env=self._environ,
                    cwd="/",
                )
            except OSError as error:
                raise InjectionFailedError(f"cannot start {self._program}: {error}") from error

    async def health(self) -> Health:
        """Whether it could be started."""
        if os.access(self._program, os.X_OK) and self._program.is_file():
            return Health(ok=True, detail=f"notices go through {self._program}")
        detail = f"{self._program} cannot be executed: correct qmail_queue, or leave admin_address empty"
        return Health(ok=False, detail=detail)


@contextmanager
def _readable(data: bytes) -> Iterator[int]:
    """A descriptor of its own to read `data` from, from its beginning, and to do nothing else with."""
    written = os.memfd_create("notice", os.MFD_CLOEXEC)
    try:
        with os.fdopen(written, "wb", closefd=False) as file:
            file.write(data)
        descriptor = os.open(f"/proc/self/fd/{written}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(written)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
