"""Tells the administrator what happened to a message: once, as far as that can be known (docs/states.md)."""

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

from qscan_contracts.events import NoticeEvent
from qscan_contracts.ids import SCAN_ID_PATTERN
from qscan_kit import metrics
from qscan_kit.errors import PoisonError
from qscan_kit.log import get_logger
from qscan_notifier.adapters.qmail_queue import InjectionRefusedError
from qscan_notifier.adapters.sent_notices import SentNotices
from qscan_notifier.domain.notice import Administrator, compose
from qscan_notifier.domain.rate import RateCap
from qscan_notifier.domain.silence import reason_for_silence

_SCAN_ID = re.compile(SCAN_ID_PATTERN)
_log = get_logger()


class Injector(Protocol):
    """A way into the mail system that is not scanned."""

    async def inject(self, message: bytes, recipient: bytes) -> None:
        """See `QmailQueue.inject`."""
        ...


class Step(StrEnum):
    """The steps in their order; a crash may come after any of them."""

    COMPOSED = "composed"
    INJECTED = "injected"
    """The mail system has it; this is not remembered yet."""
    REMEMBERED = "remembered"


def _nothing(_: Step) -> None:
    """What is done at each step in a service."""


class Notifying:
    """Sends notices."""

    def __init__(
        self,
        administrator: Administrator,
        injector: Injector,
        sent: SentNotices,
        cap: RateCap,
        *,
        give_up_after_s: float,
        clock: Callable[[], datetime],
        reached: Callable[[Step], None] = _nothing,
    ) -> None:
        """Send to `administrator` through `injector` within `cap`. `reached` is told each step: tests die there."""
        self._administrator, self._injector, self._sent, self._cap = administrator, injector, sent, cap
        self._give_up_after_s, self._clock, self._reached = give_up_after_s, clock, reached

    async def notify(self, event: NoticeEvent) -> None:
        """On return the notice is with the mail system, or there is none to be sent.

        Raises:
            PoisonError: the event names no message of ours.
            InjectionFailedError, OSError: not now; try again.
        """
        if not _SCAN_ID.fullmatch(event.scan_id):
            raise PoisonError(f"{event.scan_id!r} is no scan id")
        end = await self._end_of(event)
        metrics.NOTICES.labels(end).inc()
        _log.info("notice", scan_id=event.scan_id, end=end)

    async def _end_of(self, event: NoticeEvent) -> str:
        silence = reason_for_silence(event, self._administrator.address)
        if silence is not None:
            return silence
        if await asyncio.to_thread(self._sent.holds, event.scan_id):
            return "already_sent"
        now = self._clock()
        if _age_s(event.received_at, now) > self._give_up_after_s:
            return "too_old"
        if not self._cap.allows(now.timestamp()):
            if self._cap.held_back == 1:
                _log.warning("too many notices, the next ones are not sent; see max_notices_per_hour")
            return "over_rate"
        held_back = self._cap.held_back
        message = compose(event, self._administrator, now=now, held_back=held_back)
        self._reached(Step.COMPOSED)
        try:
            await self._injector.inject(message, self._administrator.address.encode("ascii"))
        except InjectionRefusedError as error:
            _log.error("notice refused", scan_id=event.scan_id, error=str(error))
            return "refused"
        self._reached(Step.INJECTED)
        # From here to the end of `add` a crash means that the notice is sent twice, with the same Message-ID.
        await asyncio.to_thread(self._sent.add, event.scan_id)
        self._reached(Step.REMEMBERED)
        self._cap.sent(now.timestamp())
        if held_back:
            _log.warning("notices are sent again", held_back=held_back)
        return "sent"


def _age_s(received_at: str, now: datetime) -> float:
    """How old the matter is; 0 where the event does not say it in a way that can be read."""
    try:
        received = datetime.fromisoformat(received_at)
    except ValueError:
        return 0.0
    return (now - (received if received.tzinfo is not None else received.replace(tzinfo=UTC))).total_seconds()
