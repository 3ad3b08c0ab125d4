"""`qscan up`'s side of the guardian (see `guardian`), and what each child does before it becomes its program."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from qscan_cli.up import guardian

_PR_SET_PDEATHSIG = 1
_EXIT_ORPHAN = 125
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Ask the kernel to send this process a signal when `parent` dies; called between fork and exec.

    A program that changes its user loses this, and it says nothing about grandchildren: for both there is the guardian.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent:  # it died in between
        os._exit(_EXIT_ORPHAN)


class Guard:
    """The guardian process; whoever made it watches it, and replaces it if it dies before `close`."""

    def __init__(self, lock: int) -> None:
        """Start a guardian that shares the locked descriptor `lock`."""
        self._lock = lock
        self._groups: set[int] = set()
        # The reading end stays open here too: a child that registers while the guardian is dead loses nothing.
        self._reader, self._writer = os.pipe()
        self._process = self._start()

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """The guardian of now."""
        return self._process

    def register_in_child(self) -> Callable[[], None]:
        """What a child does between fork and exec: be bound to this process, and be known to the guardian."""
        parent, writer = os.getpid(), self._writer

        def register() -> None:
            die_with_parent(parent)
            os.write(writer, b"+%d\n" % os.getpid())

        return register

    def registered(self, group: int) -> None:
        """Remember a group that has registered itself, for the next guardian if this one is killed."""
        self._groups.add(group)

    def forget(self, group: int) -> None:
        """Everybody in the group is gone: its number may be given to others now."""
        self._groups.discard(group)
        os.write(self._writer, b"-%d\n" % group)

    def replace(self) -> None:
        """Start another guardian, because somebody has killed this one."""
        self._process = self._start()
        for group in self._groups:
            os.write(self._writer, b"+%d\n" % group)

    def close(self) -> None:
        """Let the guardian finish what is left, and wait for it."""
        os.close(self._writer)
        os.close(self._reader)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(guardian.LONGEST_WAIT_S + 1)

    def _start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(guardian.__file__))],
            stdin=self._reader,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[self._lock],
            start_new_session=True,
            cwd="/",
            env={"LANG": "C.UTF-8"},
        )
