"""Wires spam together."""

import asyncio

from qscan_contracts.components import Content
from qscan_contracts.ids import Sha256
from qscan_contracts.scanning import SpamRequest
from qscan_contracts.subjects import ScanRole, Service
from qscan_kit.bus import Bus
from qscan_kit.content import ContentSource, source
from qscan_kit.serving import serve_worker
from qscan_kit.worker import ScanWorker
from qscan_spam.adapters.spamd import Spamd
from qscan_spam.address import Address
from qscan_spam.scoring import Scoring
from qscan_spam.settings import SpamSettings


async def main(settings: SpamSettings, stop: asyncio.Event) -> None:
    """Serve until `stop` is set. It answers whether or not spamd is up: without it ``?/?``, at once."""
    spamd = Spamd(Address.parse(settings.address), connect_timeout_s=settings.connect_timeout_s)

    def worker(bus: Bus) -> ScanWorker[SpamRequest]:
        def source_of(content: Content, size: int, sha256: Sha256) -> ContentSource:
            return source(bus, content, size=size, sha256=sha256)

        scoring = Scoring(
            spamd,
            max_message_bytes=settings.max_message_bytes,
            timeout_s=settings.timeout_s,
            max_in_flight=settings.max_in_flight,
            max_wait_s=settings.max_wait_s,
            user_from_recipient=settings.user_from_recipient,
            source_of=source_of,
        )
        max_in_flight = settings.max_in_flight + settings.max_waiting
        return ScanWorker(bus, ScanRole.SPAM, SpamRequest, scoring.answer, max_in_flight=max_in_flight)

    await serve_worker(Service.SPAM, settings, stop, worker=worker, checks={"spamd": spamd.health})
