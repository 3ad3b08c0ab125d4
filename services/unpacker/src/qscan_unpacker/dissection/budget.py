"""One budget per message: charged before something is produced; running out is a named defect."""

from collections.abc import Callable
from dataclasses import dataclass, field


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
    """Seconds of CPU time."""
    components: int = 0
    decoded_bytes: int = 0
    seconds_elsewhere: float = 0.0
    """CPU time that other processes have spent on the message."""
    started_s: float = field(init=False)

    def __post_init__(self) -> None:
        """Start the clock."""
        self.started_s = self.clock()

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

    def charge_time(self) -> None:
        """See whether there is time left. Raises OverBudgetError."""
        if self.seconds_left() < 0:
            raise OverBudgetError("budget.seconds")

    def seconds_left(self) -> float:
        """Of CPU time."""
        return self.limits.max_dissection_s - self.seconds_elsewhere - (self.clock() - self.started_s)
