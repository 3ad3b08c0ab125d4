"""Reading what callers hand over, to its end, without ever blocking the loop.

The descriptors share their open file description with the caller, so O_NONBLOCK may not be set on
them, and «readable» may no longer be true a moment later if a hostile caller reads as well. Pipes
are therefore spliced into a pipe of our own, which has a non-blocking form on every kernel; sockets
are asked with MSG_DONTWAIT; regular files are read in a thread.
"""

import asyncio
import os
import socket
import stat
from typing import Protocol

from qscan_ingress.adapters.threads import in_thread

CHUNK_BYTES = 65_536
"""As much as a pipe holds by default."""
_SPLICE_F_NONBLOCK = 2  # os.SPLICE_F_NONBLOCK only since Python 3.12
_NULL_DEVICE = os.makedev(1, 3)


class Source(Protocol):
    """Something to read to its end. It does not own the descriptor."""

    async def read(self) -> bytes:
        """The next bytes, empty at the end. Raises OSError when it cannot be read."""


class ScratchPipe:
    """A pipe of our own that bytes pass through; always empty between two calls."""

    def __init__(self) -> None:
        """Open it. Raises OSError when there are too many open files."""
        self._out, self._in = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def take(self, descriptor: int) -> bytes:
        """What is in the pipe `descriptor` now, at most `CHUNK_BYTES`; empty at its end.

        Raises:
            BlockingIOError: nothing is there yet.
            OSError: it cannot be read.
        """
        size = os.splice(descriptor, self._in, CHUNK_BYTES, flags=_SPLICE_F_NONBLOCK)
        return os.read(self._out, size) if size else b""

    def close(self) -> None:
        """Close both ends."""
        os.close(self._in)
        os.close(self._out)


class _Waiting:
    """Reads when something is there, and waits for the loop to say so when not."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def _read_now(self) -> bytes:
        raise NotImplementedError

    async def read(self) -> bytes:
        while True:
            try:
                return self._read_now()
            except BlockingIOError:
                await _readable(self._descriptor)


class _Pipe(_Waiting):
    def __init__(self, descriptor: int, scratch: ScratchPipe) -> None:
        super().__init__(descriptor)
        self._scratch = scratch

    def _read_now(self) -> bytes:
        return self._scratch.take(self._descriptor)


class _Socket(_Waiting):
    def _read_now(self) -> bytes:
        with socket.socket(fileno=os.dup(self._descriptor)) as duplicate:
            return duplicate.recv(CHUNK_BYTES, socket.MSG_DONTWAIT)


class _RegularFile:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    async def read(self) -> bytes:
        return await in_thread(os.read, self._descriptor, CHUNK_BYTES)


class _Nothing:
    async def read(self) -> bytes:
        return b""


def source(descriptor: int, scratch: ScratchPipe) -> Source:
    """How to read a descriptor of this kind.

    Raises:
        OSError: it is of a kind that no caller of qmail-queue uses (a terminal, a folder).
    """
    status = os.fstat(descriptor)
    if stat.S_ISFIFO(status.st_mode):
        return _Pipe(descriptor, scratch)
    if stat.S_ISSOCK(status.st_mode):
        return _Socket(descriptor)
    if stat.S_ISREG(status.st_mode):
        return _RegularFile(descriptor)
    if stat.S_ISCHR(status.st_mode) and status.st_rdev == _NULL_DEVICE:
        return _Nothing()
    message = "the descriptor is no pipe, socket or regular file"
    raise OSError(message)


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def wake() -> None:
        loop.remove_reader(descriptor)  # level-triggered: it would call again and again
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(descriptor, wake)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)
