"""Kills and stops parts of a running system at random moments while mail flows through it."""

import random
import signal
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from qscan_testkit.mail_load import MailLoad
from qscan_testkit.polling import poll_until
from qscan_testkit.running_system import FORKSERVER, GUARDIAN, UP, NotRunningError, RunningSystem, Signalled

QUEUE = "qscan-queue"
"""Stands for the program of any message that is under way."""
LONGEST_STOP_S = 12.0
_SHORTEST_STOP_S = 0.5
_LONGEST_PAUSE_S = 0.6
_RECOVERY_S = 2.0
_APPEAR_TIMEOUT_S = 60.0
_STOPPING_AT_ONCE = 2


@dataclass
class Tally:
    """What was done to one part."""

    kills: int = 0
    stops: int = 0
    stopped_s: float = 0.0


@dataclass
class Disruptor:
    """Does `kills` kills and as many stops to every part, in random order; see `run`."""

    system: RunningSystem
    load: MailLoad
    source: random.Random
    tallies: dict[str, Tally] = field(default_factory=dict)
    _restarting: threading.RLock = field(default_factory=threading.RLock)
    """Held while there is no `qscan up`."""
    _errors: list[BaseException] = field(default_factory=list)

    def run(self, kills: int) -> None:
        """Kill one after the other, and stop two at a time meanwhile; everything is running again at the end.

        Raises:
            TimeoutError: a part did not come back.
        """
        parts = [*self.system.parts(), FORKSERVER, QUEUE]
        self.tallies = {part: Tally() for part in parts}
        stops = self._shuffled(parts, kills)
        lanes = [
            threading.Thread(target=self._stop_all, args=(stops[lane::_STOPPING_AT_ONCE], self._own_source()))
            for lane in range(_STOPPING_AT_ONCE)
        ]
        for thread in lanes:
            thread.start()
        try:
            self._kill_all(self._shuffled(parts, kills))
        finally:
            for thread in lanes:
                thread.join()
        if self._errors:
            raise self._errors[0]
        self.system.await_ready()

    def _own_source(self) -> random.Random:
        return random.Random(self.source.random())  # noqa: S311  # no secret

    def _shuffled(self, parts: Iterable[str], times: int) -> list[str]:
        targets = [part for part in parts for _ in range(times)]
        self.source.shuffle(targets)
        return targets

    def _kill_all(self, targets: Iterable[str]) -> None:
        for part in targets:
            self._kill(part)
            self.tallies[part].kills += 1
            # Half of the kills meet a system that is still recovering from the one before.
            if self.source.random() < 1 / 2:
                with suppress(TimeoutError):
                    self.system.await_ready(timeout_s=_RECOVERY_S)
            time.sleep(self.source.uniform(0, _LONGEST_PAUSE_S))

    def _kill(self, part: str) -> None:
        if part == UP:
            with self._restarting:
                # Two faults at once, `qscan up` and its guardian, are more than it promises to survive.
                poll_until(lambda: self._has_pid(GUARDIAN), _APPEAR_TIMEOUT_S)
                self.system.kill()
                self.system.start_without_waiting()
                poll_until(lambda: self._has_pid("ingress"), _APPEAR_TIMEOUT_S)
        elif part == QUEUE:
            poll_until(lambda: self.load.signal_one(signal.SIGKILL, self.source), _APPEAR_TIMEOUT_S)
        else:
            before = poll_until(lambda: self._pid(part), _APPEAR_TIMEOUT_S)
            with suppress(NotRunningError):
                self.system.signal(part, signal.SIGKILL).close()
            if part == GUARDIAN:
                poll_until(lambda: self._pid(part) not in {None, before}, _APPEAR_TIMEOUT_S)

    def _pid(self, part: str) -> int | None:
        try:
            return self.system.pid(part)
        except NotRunningError:
            return None

    def _has_pid(self, part: str) -> bool:
        return self._pid(part) is not None

    def _stop_all(self, targets: Iterable[str], source: random.Random) -> None:
        try:
            for part in targets:
                # Mostly short, so that there is mail that gets through, and sometimes longer than any patience.
                longest_s = LONGEST_STOP_S - _SHORTEST_STOP_S
                self._stop(part, _SHORTEST_STOP_S + longest_s * source.random() ** 4, source)
                time.sleep(source.uniform(0, _LONGEST_PAUSE_S))
        except BaseException as error:  # lint: allow-broad-except because `run` raises it in its own thread
            self._errors.append(error)

    def _stop(self, part: str, duration_s: float, source: random.Random) -> None:
        if part == QUEUE:
            pid = poll_until(lambda: self.load.signal_one(signal.SIGSTOP, source), _APPEAR_TIMEOUT_S)
            time.sleep(duration_s)
            self.load.resume(pid)
        else:
            with poll_until(lambda: self._stopped(part), _APPEAR_TIMEOUT_S):
                time.sleep(duration_s)
        tally = self.tallies[part]
        tally.stops, tally.stopped_s = tally.stops + 1, tally.stopped_s + duration_s

    def _stopped(self, part: str) -> Signalled | None:
        with self._restarting:
            try:
                return self.system.signal(part, signal.SIGSTOP)
            except NotRunningError:
                return None
