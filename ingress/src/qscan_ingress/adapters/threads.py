"""Work in threads that is never left running behind one's back."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def in_thread(function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Run a blocking function in a thread; when cancelled, wait for its end before going on.

    Functions that use a descriptor need this: `asyncio.to_thread` returns at once when it is
    cancelled, the descriptor is closed, its number given to the next message, and the thread goes
    on reading or writing there. A descriptor that the function returns would leak then, so it
    must not open one.
    """
    work = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        while not work.done():
            try:
                await asyncio.wait([work])
            except asyncio.CancelledError:
                continue  # asked twice: the answer is the same
        raise
