"""Waiting on the event loop for something that has no event of its own."""

import asyncio
from collections.abc import Awaitable, Callable

_PAUSE_S = 0.02


async def wait_until(condition: Callable[[], object], timeout_s: float = 15.0) -> None:
    """Ask `condition`, which may be asynchronous, until it is true.

    Raises:
        TimeoutError: it was not within `timeout_s`.
    """
    async with asyncio.timeout(timeout_s):
        while True:
            result = condition()
            if await result if isinstance(result, Awaitable) else result:
                return
            await asyncio.sleep(_PAUSE_S)
