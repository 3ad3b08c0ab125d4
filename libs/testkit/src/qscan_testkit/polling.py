"""Waiting for something without sleeping for a fixed time."""

import time
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")
_PAUSE_S = 0.01


def poll_until(condition: Callable[[], _T | None], timeout_s: float = 10.0, *, pause_s: float = _PAUSE_S) -> _T:
    """Wait until `condition` gives something that is true, and return that; `pause_s` between two looks.

    Raises:
        TimeoutError: it did not within `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    while not (result := condition()):
        if time.monotonic() >= deadline:
            message = f"not true within {timeout_s:g} s"
            raise TimeoutError(message)
        time.sleep(pause_s)
    return result
