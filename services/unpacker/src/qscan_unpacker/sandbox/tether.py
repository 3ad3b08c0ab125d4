"""The service's end of a child: its channel, which carries frames, and its leash, on which it lives."""

import socket
import time
from collections.abc import Callable

from qscan_unpacker.sandbox import leash
from qscan_unpacker.sandbox.wire import Order, Reply, read_reply, send_order

FORKSERVER_TIMEOUT_S = 2.0
"""The forkserver answers at once or is broken."""
EXIT_GRACE_S = 0.5
"""A child that has closed its channel should be gone by then; it is killed if not."""


class EndedError(Exception):
    """The child, or the forkserver with it, is not there any more."""


class TakesTooLongError(Exception):
    """The deadline is over."""


class Tether:
    """One living child. Belongs to one thread; after `end` it is of no use."""

    def __init__(self, channel: socket.socket, child_leash: socket.socket, ended: Callable[[], None]) -> None:
        """Own both sockets from now on; `ended` is called when the child is gone."""
        self._channel, self._leash, self._ended = channel, child_leash, ended
        self._leash.settimeout(FORKSERVER_TIMEOUT_S)

    def give(self, order: Order, descriptor: int, deadline_s: float) -> None:
        """Give the child a container; `deadline_s` by the monotonic clock.

        Raises:
            EndedError, TakesTooLongError: see there.
        """
        try:
            self._channel.settimeout(_left_s(deadline_s))
            send_order(self._channel, order, descriptor)
        except TimeoutError as error:
            raise TakesTooLongError from error
        except OSError as error:
            raise EndedError from error

    def next_reply(self, deadline_s: float) -> Reply:
        """Wait for what the child says next.

        Raises:
            EndedError, TakesTooLongError: see there.
            BrokenFrameError: what it said is no reply.
        """

        def receive_into(buffer: memoryview) -> int:
            self._channel.settimeout(_left_s(deadline_s))
            return self._channel.recv_into(buffer)

        try:
            reply = read_reply(receive_into)
        except TimeoutError as error:
            raise TakesTooLongError from error
        except OSError as error:
            raise EndedError from error
        if reply is None:
            raise EndedError
        return reply

    def has_more_to_say(self) -> bool:
        """Whether it said or did something that nobody has asked for."""
        self._channel.settimeout(0)
        try:
            return self._channel.recv(1, socket.MSG_PEEK) is not None
        except BlockingIOError:
            return False
        except OSError:
            return True

    def allow(self, cpu_s: float) -> None:
        """Let it use so many seconds of processor time from now on. Raises EndedError."""
        self._ask(leash.Allow(cpu_s))

    def used_s(self) -> float:
        """Seconds of processor time that it has used, as the kernel counts them. Raises EndedError."""
        return self._ask(leash.HowMuch())

    def end(self, grace_s: float = 0) -> leash.Exited | None:
        """Kill the child, after `grace_s` if it does not end by itself, and wait until it is gone.

        Returns nothing where the forkserver has gone too; it takes its children with it.
        """
        try:
            return self._end(grace_s)
        finally:
            self._ended()

    def _end(self, grace_s: float) -> leash.Exited | None:
        self._channel.close()
        with self._leash:
            if grace_s > 0 and (exited := self._wait_for_exit(grace_s)) is not None:
                return exited
            try:
                self._leash.shutdown(socket.SHUT_WR)
            except OSError:
                return None
            return self._wait_for_exit(FORKSERVER_TIMEOUT_S)

    def _wait_for_exit(self, timeout_s: float) -> leash.Exited | None:
        deadline_s = time.monotonic() + timeout_s
        try:
            while True:
                self._leash.settimeout(_left_s(deadline_s))
                packet = self._leash.recv(leash.MAX_PACKET_BYTES)
                if not packet:
                    return None
                report = leash.decode_report(packet)
                if isinstance(report, leash.Exited):
                    return report
        except OSError:
            return None

    def _ask(self, request: leash.Allow | leash.HowMuch) -> float:
        try:
            self._leash.settimeout(FORKSERVER_TIMEOUT_S)
            self._leash.send(leash.encode(request))
            packet = self._leash.recv(leash.MAX_PACKET_BYTES)
        except OSError as error:
            raise EndedError from error
        if not packet:
            raise EndedError
        report = leash.decode_report(packet)
        if not isinstance(report, leash.Used):
            raise EndedError
        return report.cpu_s


def _left_s(deadline_s: float) -> float:
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s
