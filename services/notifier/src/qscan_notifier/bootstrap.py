"""Wires notifier together."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from qscan_contracts.events import NoticeEvent
from qscan_contracts.subjects import NOTIFIER_CONSUMER, EventKind, Service
from qscan_kit import metrics
from qscan_kit.bus import Bus
from qscan_kit.consumer import EventConsumer
from qscan_kit.errors import SettingsError
from qscan_kit.handling import Work, serve_events
from qscan_kit.health import Check, Health
from qscan_kit.log import get_logger
from qscan_notifier.adapters.qmail_queue import QmailQueue
from qscan_notifier.adapters.sent_notices import SentNotices
from qscan_notifier.domain.notice import Administrator
from qscan_notifier.domain.rate import RateCap
from qscan_notifier.notifying import Notifying, Step
from qscan_notifier.settings import NotifierSettings

FORGET_EVERY_S = 3600.0
_log = get_logger()


async def main(
    settings: NotifierSettings, stop: asyncio.Event, *, reached: Callable[[Step], None] = lambda _: None
) -> None:
    """Serve until `stop` is set. Raises SettingsError when it cannot remember anything. `reached`: see `Notifying`."""
    if not settings.admin_address:
        _log.warning("no notices are sent: admin_address is not set")
        await _serve(settings, stop, notify=_say_nothing, checks={"notices": _off_health})
        return
    if settings.state_dir is None:
        # Not checked by the settings: `qscan up` adds its own folder to a qscan.toml that says nothing of it.
        raise SettingsError("state_dir must be set where admin_address is: an absolute path of a folder on a real disk")
    sent = SentNotices(settings.state_dir)
    try:
        sent.make()
        cap = RateCap(settings.max_notices_per_hour, sent.times_s())
    except OSError as error:
        text = f"cannot use the folder for what was sent: {error}; correct state_dir, or its owner and mode"
        raise SettingsError(text) from error
    injector = QmailQueue(settings.qmail_queue, timeout_s=settings.injection_timeout_s, environ=os.environ)
    notifying = Notifying(
        Administrator(settings.admin_address, settings.admin_description),
        injector,
        sent,
        cap,
        give_up_after_s=settings.give_up_after_s,
        clock=lambda: datetime.now(UTC),
        reached=reached,
    )

    async def state_health() -> Health:
        return await asyncio.to_thread(_state_health, sent, settings.state_dir)

    await _serve(
        settings,
        stop,
        notify=notifying.notify,
        checks={"qmail_queue": injector.health, "state": state_health},
        sent=sent,
    )


async def _serve(
    settings: NotifierSettings,
    stop: asyncio.Event,
    *,
    notify: Callable[[NoticeEvent], Awaitable[None]],
    checks: dict[str, Check],
    sent: SentNotices | None = None,
) -> None:
    def work(bus: Bus) -> Work:
        consumer = EventConsumer(
            bus, kind=EventKind.NOTICE, durable=NOTIFIER_CONSUMER, event_type=NoticeEvent, handle=notify
        )
        return Work(consumer, beside=() if sent is None else (_forget_old(sent, settings.remember_s),))

    await serve_events(Service.NOTIFIER, settings, stop, work=work, checks=checks)


async def _forget_old(sent: SentNotices, older_than_s: float) -> None:
    while True:
        try:
            await asyncio.to_thread(sent.forget, older_than_s)
        except OSError as error:
            _log.warning("cannot forget old notices", error=str(error))
        await asyncio.sleep(FORGET_EVERY_S)


async def _say_nothing(_: NoticeEvent) -> None:
    metrics.NOTICES.labels("off").inc()


async def _off_health() -> Health:
    return Health(ok=True, detail="no notices are sent: set admin_address to get them")


def _state_health(sent: SentNotices, folder: Path | None) -> Health:
    try:
        sent.probe()
    except OSError as error:
        return Health(ok=False, detail=f"cannot write to {folder}: {error}; notices wait in NATS")
    return Health(ok=True, detail="what was sent is remembered")
