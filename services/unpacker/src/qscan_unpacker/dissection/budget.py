"""One budget per message: charged before something is produced; running out is a named defect."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What one message may take."""

    max_depth: int = 50
    max_components: int = 2_000
    max_component_bytes: int = 250_000_000
    max_decoded_bytes: int = 500_000_000
    max_ratio: int = 250
    """Bytes that come out of a container for each byte of it."""
    ratio_counts_above_bytes: int = 16_000_000
    """Less than this may come out at any ratio: a small file of zeros harms nobody."""
    max_header_bytes: int = 262_144
    max_header_lines: int = 5_000
    max_parameters: int = 500
    """Of one header field."""
    max_name_characters: int = 4_000_000
    """Of all file names and declared types together: policy gets them in one piece, and an answer has them all."""
    max_password_attempts: int = 64
    max_dissection_s: float = 8.0
    """Of CPU time, so that a busy machine does not make an ordinary message a bomb."""


class OverBudgetError(Exception):
    """A limit was reached. `limit` is the id of the defect, like ``budget.depth``."""

    def __init__(self, limit: str) -> None:
        super().__init__(limit)
        self.limit = limit


@dataclass
class Budget:
    """What is left of a message's limits."""

    limits: Limits
    clock: Callable[[], float]
    """Seconds of CPU time of this thread."""
    components: int = 0
    decoded_bytes: int = 0
    name_characters: int = 0
    spent_s: float = 0.0
    """CPU time that the message has taken before the clock was started, and in other processes."""
    _started_s: float | None = None
    _at_most_s: float = math.inf

    @contextmanager
    def counting(self, at_most_s: float = math.inf) -> Iterator[None]:
        """Count the time inside the block, all of it in one thread, which may not take longer than `at_most_s`."""
        self._started_s, self._at_most_s = self.clock(), at_most_s
        try:
            yield
        finally:
            self.spent_s += self.clock() - self._started_s
            self._started_s = None

    def charge_component(self, depth: int) -> None:
        """One more component at `depth`. Raises OverBudgetError."""
        if depth > self.limits.max_depth:
            raise OverBudgetError("budget.depth")
        if self.components >= self.limits.max_components:
            raise OverBudgetError("budget.components")
        self.charge_time()
        self.components += 1

    def charge_bytes(self, count: int, *, of_component: int = 0) -> None:
        """`count` more decoded bytes, before they are kept, of a component that has `of_component` with them.

        Raises OverBudgetError.
        """
        self.decoded_bytes += count
        if of_component > self.limits.max_component_bytes:
            raise OverBudgetError("budget.component_bytes")
        if self.decoded_bytes > self.limits.max_decoded_bytes:
            raise OverBudgetError("budget.bytes")
        self.charge_time()

    def charge_names(self, characters: int) -> None:
        """So many more characters of names, before they are kept. Raises OverBudgetError."""
        self.name_characters += characters
        if self.name_characters > self.limits.max_name_characters:
            raise OverBudgetError("budget.names")

    def charge_time(self) -> None:
        """See whether there is time left. Raises OverBudgetError."""
        if self.seconds_left() < 0:
            raise OverBudgetError("budget.seconds")

    def seconds_left(self) -> float:
        """Of CPU time."""
        counted_s = 0.0 if self._started_s is None else self.clock() - self._started_s
        return min(self.limits.max_dissection_s - self.spent_s, self._at_most_s) - counted_s
