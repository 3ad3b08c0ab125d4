"""Wires archiver together."""

import asyncio
from collections.abc import Callable, Mapping

from qscan_archiver.adapters.maildir import Maildir
from qscan_archiver.keeping import Keeping, Step
from qscan_archiver.lost import LostMessages
from qscan_archiver.settings import ArchiverSettings
from qscan_archiver.sweeping import Sweeper
from qscan_contracts.events import QuarantineEvent
from qscan_contracts.subjects import ARCHIVER_CONSUMER, EventKind, Service
from qscan_contracts.vocabulary import QuarantineClass
from qscan_kit.bus import Bus
from qscan_kit.consumer import EventConsumer
from qscan_kit.errors import SettingsError
from qscan_kit.handling import Work, serve_events
from qscan_kit.health import Health
from qscan_kit.mail_store import MailStore
from qscan_kit.stream import buried_events


async def main(
    settings: ArchiverSettings, stop: asyncio.Event, *, reached: Callable[[Step], None] = lambda _: None
) -> None:
    """Serve until `stop` is set. Raises SettingsError when the quarantine cannot be made. `reached`: see `Keeping`."""
    maildirs = {name: Maildir(settings.quarantine_dir / name) for name in QuarantineClass}
    try:
        for maildir in maildirs.values():
            maildir.make()
    except OSError as error:
        text = f"cannot make the quarantine: {error}; correct quarantine_dir, or its owner and mode"
        raise SettingsError(text) from error
    lost = LostMessages()

    def work(bus: Bus) -> Work:
        store = MailStore(bus)
        keeping = Keeping(store, maildirs, lost, min_free_bytes=settings.min_free_bytes, reached=reached)
        consumer = EventConsumer(
            bus,
            kind=EventKind.QUARANTINE,
            durable=ARCHIVER_CONSUMER,
            event_type=QuarantineEvent,
            handle=keeping.keep,
        )
        sweeper = Sweeper(
            store,
            maildirs.values(),
            lost,
            backlog=consumer.backlog,
            buried=lambda: buried_events(bus),
            leftover_after_s=settings.leftover_after_s,
            stale_after_s=settings.stale_after_s,
        )
        return Work(consumer, beside=(sweeper.run(settings.sweep_every_s),))

    async def quarantine_health() -> Health:
        return await asyncio.to_thread(_health, maildirs, settings.min_free_bytes)

    checks = {"quarantine": quarantine_health, "missing_messages": lost.health}
    await serve_events(Service.ARCHIVER, settings, stop, work=work, checks=checks)


def _health(maildirs: Mapping[QuarantineClass, Maildir], min_free_bytes: int) -> Health:
    """Whether something can be written, asked by writing."""
    for maildir in maildirs.values():
        try:
            maildir.probe()
            free = maildir.free_bytes()
        except OSError as error:
            return Health(ok=False, detail=f"cannot write to {maildir.root}: {error}; messages wait in NATS")
        if free < min_free_bytes:
            detail = f"only {free} bytes are free at {maildir.root}: make room (qscan clean), messages wait in NATS"
            return Health(ok=False, detail=detail)
    return Health(ok=True, detail=f"can be written: {', '.join(maildirs)}")
