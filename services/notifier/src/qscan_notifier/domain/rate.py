"""A bound on how many notices go out in an hour: a flood of mail must not become a flood of notices."""

from collections import deque
from collections.abc import Iterable

WINDOW_S = 3600.0


class RateCap:
    """At most `max_per_hour` within any hour; counts what it has held back since it last let something through."""

    def __init__(self, max_per_hour: int, sent_at_s: Iterable[float] = ()) -> None:
        """Start from the times (seconds since the epoch) of what was sent before."""
        self._max_per_hour = max_per_hour
        self._sent_at_s = deque(sorted(sent_at_s))
        self.held_back = 0

    def allows(self, now_s: float) -> bool:
        """Whether one more may go out now; where not, it counts as held back."""
        while self._sent_at_s and self._sent_at_s[0] <= now_s - WINDOW_S:
            self._sent_at_s.popleft()
        if len(self._sent_at_s) < self._max_per_hour:
            return True
        self.held_back += 1
        return False

    def sent(self, now_s: float) -> None:
        """One went out."""
        self._sent_at_s.append(now_s)
        self.held_back = 0
