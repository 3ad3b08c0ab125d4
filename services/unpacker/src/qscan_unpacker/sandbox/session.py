"""One message's way into the sandbox: containers in, their members out, and `Done` whatever happens to the child."""

import fcntl
import os
import signal
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Self

from qscan_contracts.vocabulary import UnscannedReason
from qscan_kit import metrics
from qscan_kit.log import get_logger
from qscan_unpacker.dissection.holding import FileContent, HeldContent
from qscan_unpacker.opening.members import PIECE_BYTES, OpenRequest
from qscan_unpacker.sandbox.checking import LyingChildError, Replying
from qscan_unpacker.sandbox.leash import Exited, cpu_limit_s
from qscan_unpacker.sandbox.tether import EXIT_GRACE_S, EndedError, TakesTooLongError, Tether
from qscan_unpacker.sandbox.wire import BrokenFrameError, Done, Ended, Order, Reply

MAX_CHILDREN = 4
"""Of one message: what has crashed that many is not given another one."""
MAX_LOG_LINES = 5
"""Of one message: a thousand containers that fail alike say no more."""

_MUCH_MEMORY = 0.6
"""A child that died with so much of its memory in use ran out of it: what it asked for last did not fit any more."""
_ALL_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL

_log = get_logger()


class ChildEnd(StrEnum):
    """How a child ended, as the metrics count it."""

    DONE = "done"
    """Its message is over."""
    STOPPED = "stopped"
    """The service has seen enough, for instance of a bomb."""
    PROCESSOR_TIME = "processor_time"
    MEMORY = "memory"
    """It crashed with nearly all the memory that it may have in use."""
    TOOK_TOO_LONG = "took_too_long"
    CRASHED = "crashed"
    KILLED = "killed"
    """By somebody else: most likely the machine, or the container, had no memory left."""
    FORBIDDEN_CALL = "forbidden_call"
    LEFT = "left"
    """It ended by itself before its message was over."""
    NONSENSE = "nonsense"
    """It said what no child of ours says."""
    NO_FORKSERVER = "no_forkserver"
    """It went with its forkserver, which was killed or crashed."""


class SandboxUnavailableError(Exception):
    """No child can be had now. The text says why."""


class _CannotGoOnError(Exception):
    """The container cannot be read on, whatever the child would say."""

    def __init__(self, reason: UnscannedReason, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


class Session:
    """The sandbox of one message; a context manager, at its end the child is gone. Belongs to one thread at a time.

    The first container forks a child, and the others go to the same one as long as it lives. So a child that one
    container has taken over can lie about those behind it, of the same message; nothing else is in its reach.
    """

    def __init__(self, fork: Callable[[float, float], Tether], timeout_s: float, memory_bytes: int) -> None:
        """Nothing is forked yet.

        Args:
            fork: gives a child with so many seconds of processor time, and waits for it until some moment of the
                monotonic clock. Raises SandboxUnavailableError.
            timeout_s: for all containers together, by the clock on the wall, from the first one on.
            memory_bytes: what each child may use.
        """
        self._fork, self._timeout_s = fork, timeout_s
        self._much_memory_bytes = int(memory_bytes * _MUCH_MEMORY)
        self._deadline_s = 0.0
        self._child: Tether | None = None
        self._children = 0
        self._log_lines = 0
        self._allowed_s = 0.0
        self._cpu_s_of_child = 0.0
        self._cpu_s_of_ended = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end_child(ChildEnd.DONE)

    @property
    def cpu_s_used(self) -> float:
        """Seconds of processor time that the children have used, counted by the kernel; complete between two `open`."""
        return self._cpu_s_of_ended + self._cpu_s_of_child

    def open(self, content: HeldContent, request: OpenRequest, cpu_s: float) -> Generator[Reply, None, None]:
        """What is in a container: members as `Begun`, any number of `Piece`, `Ended`; `Unopened`; `Noted`.

        One `Done` comes last, also when the child crashes, hangs or lies. Closing the generator before that kills the
        child. One container at a time.

        Args:
            content: the container; it is neither changed nor kept.
            request: limits that hold even if the opener, or whoever took over the child, does not mind them.
            cpu_s: seconds of processor time; rounded up to whole ones.
        """
        replying = Replying(request)
        try:
            yield from self._replies(content, request, cpu_s, replying)
        except _CannotGoOnError as error:
            metrics.CONTAINERS.labels(request.kind, error.reason).inc()
            if self._may_log():
                _log.warning("container not opened", kind=request.kind, bytes=content.size, detail=error.detail)
            if replying.in_member:
                yield Ended(error.reason, error.detail)
            yield Done(error.reason, error.detail)

    def _replies(
        self, content: HeldContent, request: OpenRequest, cpu_s: float, replying: Replying
    ) -> Generator[Reply, None, None]:
        deadline_s = self._deadline_s = self._deadline_s or time.monotonic() + self._timeout_s
        child = self._child_with(cpu_s, deadline_s)
        done: Done | None = None
        try:
            with _readable(content) as (descriptor, start):
                child.give(Order(request, start, content.size), descriptor, deadline_s)
            while done is None:
                reply = child.next_reply(deadline_s)
                replying.check(reply)
                if isinstance(reply, Done):
                    self._cpu_s_of_child = child.used_s()
                    done = reply
                else:
                    yield reply
        except EndedError:
            raise self._how_it_ended(self._end_child(grace_s=EXIT_GRACE_S)) from None
        except TakesTooLongError:
            self._end_child(ChildEnd.TOOK_TOO_LONG)
            raise _CannotGoOnError(UnscannedReason.UNPACKER_FAILED, "opening took longer than allowed") from None
        except (BrokenFrameError, LyingChildError) as error:
            self._end_child(ChildEnd.NONSENSE)
            raise _CannotGoOnError(UnscannedReason.UNPACKER_FAILED, f"unpacker said nonsense: {error}") from None
        except OSError as error:
            raise _CannotGoOnError(UnscannedReason.UNPACKER_FAILED, error.strerror or type(error).__name__) from error
        except GeneratorExit:
            metrics.CONTAINERS.labels(request.kind, "stopped").inc()
            raise
        finally:
            if done is None:
                self._end_child(ChildEnd.STOPPED)
        metrics.CONTAINERS.labels(request.kind, done.reason or "opened").inc()
        if done.where and self._may_log():
            _log.error("opener failed", kind=request.kind, bytes=content.size, error=done.detail, where=done.where)
        yield done

    def _child_with(self, cpu_s: float, deadline_s: float) -> Tether:
        """The living child, or a new one, with so much processor time. Raises _CannotGoOnError."""
        if cpu_s <= 0:
            raise _CannotGoOnError(UnscannedReason.OVER_BUDGET, "budget.seconds")
        if self._child is not None and self._child.has_more_to_say():
            self._end_child(ChildEnd.NONSENSE)
        if self._child is not None:
            try:
                self._child.allow(cpu_s)
            except EndedError:
                self._end_child()
            else:
                return self._child
        if self._children >= MAX_CHILDREN:
            raise _CannotGoOnError(UnscannedReason.UNPACKER_FAILED, f"{MAX_CHILDREN} unpackers died of this message")
        self._children += 1
        try:
            self._child = self._fork(cpu_s, deadline_s)
        except SandboxUnavailableError as error:
            raise _CannotGoOnError(UnscannedReason.UNPACKER_FAILED, str(error)) from error
        metrics.SANDBOX_CHILDREN_LIVING.inc()
        self._allowed_s = cpu_limit_s(cpu_s)
        return self._child

    def _end_child(self, end: ChildEnd | None = None, grace_s: float = 0) -> Exited | None:
        """Kill the child if there is one; without `end`, because it has ended by itself or should have."""
        if self._child is None:
            return None
        exited = self._child.end(grace_s)
        self._child = None
        metrics.SANDBOX_CHILDREN_LIVING.dec()
        metrics.SANDBOX_CHILDREN.labels(end or self._end_of(exited)).inc()
        self._cpu_s_of_ended += self._cpu_s_of_child if exited is None else exited.cpu_s
        self._cpu_s_of_child = 0.0
        return exited

    def _may_log(self) -> bool:
        self._log_lines += 1
        return self._log_lines <= MAX_LOG_LINES

    def _end_of(self, exited: Exited | None) -> ChildEnd:
        if exited is None:
            return ChildEnd.NO_FORKSERVER
        number = -exited.exit_code
        # SIGKILL comes behind a SIGXCPU that was held off, and from a machine without memory.
        if number == signal.SIGXCPU or (number == signal.SIGKILL and exited.cpu_s >= self._allowed_s):
            return ChildEnd.PROCESSOR_TIME
        if number <= 0:
            return ChildEnd.LEFT
        if number == signal.SIGSYS:
            return ChildEnd.FORBIDDEN_CALL
        if number == signal.SIGKILL:
            return ChildEnd.KILLED
        return ChildEnd.MEMORY if exited.peak_memory_bytes >= self._much_memory_bytes else ChildEnd.CRASHED

    def _how_it_ended(self, exited: Exited | None) -> _CannotGoOnError:
        if exited is None:
            return _CannotGoOnError(UnscannedReason.UNPACKER_FAILED, "unpacker and its forkserver have gone")
        match self._end_of(exited):
            case ChildEnd.PROCESSOR_TIME:
                return _CannotGoOnError(UnscannedReason.OVER_BUDGET, "budget.seconds")
            case ChildEnd.MEMORY:
                return _CannotGoOnError(UnscannedReason.OVER_BUDGET, "budget.memory")
            case ChildEnd.FORBIDDEN_CALL:
                detail = "unpacker tried a forbidden system call"
            case ChildEnd.LEFT:
                detail = f"unpacker ended with status {exited.exit_code}"
            case _:
                detail = f"unpacker killed by {_name(-exited.exit_code)}"
        return _CannotGoOnError(UnscannedReason.UNPACKER_FAILED, detail)


def _name(number: int) -> str:
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"


@contextmanager
def _readable(content: HeldContent) -> Iterator[tuple[int, int]]:
    """A descriptor through which the content can be read and not be written, and where it begins. Raises OSError."""
    if isinstance(content, FileContent):
        # Opened anew: who holds it cannot write, and does not move our offset.
        descriptor, start = os.open(f"/proc/self/fd/{content.descriptor}", os.O_RDONLY | os.O_CLOEXEC), content.start
    else:
        descriptor, start = _sealed_copy(content), 0
    try:
        yield descriptor, start
    finally:
        os.close(descriptor)


def _sealed_copy(content: HeldContent) -> int:
    descriptor = os.memfd_create("qscan-container", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        for offset in range(0, content.size, PIECE_BYTES):
            left = memoryview(content.read(offset, PIECE_BYTES))
            while left:
                left = left[os.write(descriptor, left) :]
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _ALL_SEALS)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
