"""Removes what crashes have left: stale files in the maildirs' tmp, and objects that no event will ever ask for."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from qscan_archiver.adapters.maildir import Maildir
from qscan_archiver.lost import LostMessages
from qscan_kit.errors import BusUnavailableError, ContentUnavailableError
from qscan_kit.log import get_logger
from qscan_kit.mail_store import MailStore

_log = get_logger()


class Sweeper:
    """Sweeps at the start and then at regular times."""

    def __init__(
        self,
        store: MailStore,
        maildirs: Iterable[Maildir],
        lost: LostMessages,
        *,
        backlog: Callable[[], Awaitable[tuple[int, int]]],
        buried: Callable[[], Awaitable[int]],
        leftover_after_s: float,
        stale_after_s: float,
    ) -> None:
        """Use `backlog` (events that wait, events that are delivered and not settled) and `buried` (events).

        `leftover_after_s`: longer than any hand-off can take, which is bounded by the message's deadline.
        """
        self._store, self._maildirs, self._lost = store, tuple(maildirs), lost
        self._backlog, self._buried = backlog, buried
        self._leftover_after_s, self._stale_after_s = leftover_after_s, stale_after_s

    async def run(self, every_s: float) -> None:
        """Sweep until cancelled; what fails is tried again the next time."""
        while True:
            try:
                await self.sweep_maildirs()
                await self.sweep_store()
            except (BusUnavailableError, ContentUnavailableError, OSError, TimeoutError) as error:
                _log.warning("cannot sweep", error=str(error) or type(error).__name__)
            await asyncio.sleep(every_s)

    async def sweep_maildirs(self) -> int:
        """Remove stale files; how many. Raises OSError."""
        removed = 0
        for maildir in self._maildirs:
            removed += await asyncio.to_thread(maildir.remove_stale, self._stale_after_s)
        if removed:
            _log.info("stale files removed", count=removed)
        return removed

    async def sweep_store(self) -> int:
        """Delete objects that nobody will ask for any more; how many. Raises BusUnavailableError, TimeoutError.

        Such an object was stored by an unpacker that did not come to publish the event, so its sender was told to
        send again. It is known by its age, and by there being no event left that might mean it: none waits, none is
        being worked on but those of lost messages, and none was buried (its object may be all there is of a message).
        The objects are listed first: an event for one of them that came later would be counted.
        """
        leftovers = await self._store.leftovers(older_than_s=self._leftover_after_s)
        if not leftovers:
            return 0
        waiting, unsettled = await self._backlog()
        if waiting or unsettled > len(self._lost) or await self._buried():
            return 0
        deleted = 0
        for leftover in leftovers:
            if leftover.name not in self._lost:
                await self._store.discard(leftover)
                deleted += 1
        if deleted:
            _log.warning("leftover objects deleted", count=deleted)
        return deleted
