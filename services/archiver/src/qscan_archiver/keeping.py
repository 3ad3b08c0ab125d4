"""Takes a handed-over message into the quarantine: any number of times, with one effect.

A crash between any two steps is repaired by the next delivery of the same event (docs/states.md).
"""

import asyncio
import errno
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from qscan_archiver.adapters.maildir import Maildir, write_out
from qscan_archiver.lost import LostMessages
from qscan_archiver.unframing import Unframer
from qscan_contracts.events import QuarantineEvent
from qscan_contracts.ids import SCAN_ID_PATTERN
from qscan_contracts.vocabulary import QuarantineClass
from qscan_kit.errors import ContentUnavailableError, PoisonError
from qscan_kit.log import get_logger
from qscan_kit.mail_store import MailStore

_SCAN_ID = re.compile(SCAN_ID_PATTERN)
_log = get_logger()


class Step(StrEnum):
    """The steps in their order; a crash may come after any of them."""

    CREATED = "created"
    """There is an empty file in tmp."""
    WRITTEN = "written"
    """It holds the message, perhaps not yet on disk."""
    SYNCED = "synced"
    """It holds the message on disk."""
    MOVED = "moved"
    """It is in new, perhaps not yet on disk."""
    ARRIVED = "arrived"
    """It is in new, on disk."""
    DELETED = "deleted"
    """The object is gone; only the event is left to be acknowledged."""


def _nothing(_: Step) -> None:
    """What is done at each step in a service."""


class Keeping:
    """Writes messages from the store into the maildirs of the quarantine."""

    def __init__(
        self,
        store: MailStore,
        maildirs: Mapping[QuarantineClass, Maildir],
        lost: LostMessages,
        *,
        min_free_bytes: int,
        reached: Callable[[Step], None] = _nothing,
    ) -> None:
        """Keep `min_free_bytes` free on the disk. `reached` is told each step: tests let the process die there."""
        self._store, self._maildirs, self._lost = store, maildirs, lost
        self._min_free_bytes, self._reached = min_free_bytes, reached

    async def keep(self, event: QuarantineEvent) -> None:
        """On return the message is in the quarantine, on disk, and gone from the store.

        Raises:
            PoisonError: the event names no message of ours.
            ContentUnavailableError: the message is neither in the store nor in the quarantine; it is reported as lost.
            BusUnavailableError, OSError: not now; try again.
        """
        if not _SCAN_ID.fullmatch(event.scan_id):
            raise PoisonError(f"{event.scan_id!r} is no scan id")
        maildir = self._maildirs[event.quarantine_class]
        if not await asyncio.to_thread(maildir.holds, event.scan_id):
            await self._write(event, maildir)
        # Also where it was there already: the crash may have come before this.
        await asyncio.to_thread(maildir.sync)
        self._reached(Step.ARRIVED)
        await self._store.delete(event.object.name)
        self._reached(Step.DELETED)
        self._lost.found(event.scan_id)
        _log.info(
            "quarantined",
            scan_id=event.scan_id,
            quarantine_class=event.quarantine_class,
            object_bytes=event.object.size,
        )

    async def _write(self, event: QuarantineEvent, maildir: Maildir) -> None:
        free = await asyncio.to_thread(maildir.free_bytes)
        if free - event.object.size < self._min_free_bytes:
            text = f"only {free} bytes are free at {maildir.root}: make room (qscan clean), the message waits in NATS"
            raise OSError(errno.ENOSPC, text)
        path, file = await asyncio.to_thread(maildir.create, event.scan_id)
        try:
            self._reached(Step.CREATED)
            await self._fill(event, file)
            self._reached(Step.WRITTEN)
            await asyncio.to_thread(write_out, file)
            self._reached(Step.SYNCED)
            await asyncio.to_thread(maildir.move_to_new, path, event.scan_id)
            self._reached(Step.MOVED)
        except BaseException:
            await asyncio.to_thread(_give_up, path, file)
            raise

    async def _fill(self, event: QuarantineEvent, file: BinaryIO) -> None:
        unframer = Unframer(file, event.scan_id)
        try:
            await self._store.read_into(event.object, unframer)
            await asyncio.to_thread(unframer.finish)
        except ContentUnavailableError as error:
            self._lost.report(event.scan_id, str(error))
            raise


def _give_up(path: Path, file: BinaryIO) -> None:
    path.unlink(missing_ok=True)
    try:
        file.close()  # may try once more to write what a full disk has refused
    except OSError:
        return
