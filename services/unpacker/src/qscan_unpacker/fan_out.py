"""Fan-out: the components of a message to the services, side by side, and their answers back."""

import asyncio
import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from qscan_contracts.components import Component, ComponentContent
from qscan_contracts.envelope import Envelope
from qscan_contracts.ids import ScanId, Sha256
from qscan_contracts.scanning import (
    MAX_INLINE_BYTES,
    MAX_REQUEST_BYTES,
    MAX_REQUEST_COMPONENTS,
    AvAnswer,
    AvRequest,
    MessageStructure,
    PolicyAnswer,
    PolicyRequest,
    SpamAnswer,
    SpamRequest,
    SpamScore,
)
from qscan_contracts.subjects import ScanRole
from qscan_contracts.vocabulary import EngineRole, SpamFilter, UnscannedReason
from qscan_kit.bus import encode
from qscan_unpacker.asking import Asker
from qscan_unpacker.contents import Lending
from qscan_unpacker.dissection.collecting import Dissection, Found
from qscan_unpacker.dissection.holding import MemoryContent
from qscan_unpacker.domain.aggregation import Failure, Reports, reports_of_batch

_NOT_ASKED = Failure(UnscannedReason.NO_RESPONDERS, "policy was not asked")
_ROOM_FOR_CONTENTS_BYTES = MAX_REQUEST_BYTES - 128 * 1024
"""The rest of a request is for the descriptions of its components."""


@dataclass
class Heard:
    """What the services said. `elapsed_s` is by service."""

    reports: Reports = field(default_factory=Reports)
    policy: PolicyAnswer | Failure = _NOT_ASKED
    spam: SpamScore | None = None
    elapsed_s: dict[str, float] = field(default_factory=dict)


class FanOut:
    """Asks av-gateway, policy and spam about one message."""

    def __init__(
        self,
        asker: Asker,
        *,
        roles: tuple[EngineRole, ...],
        scan_raw_message: bool,
        spam_timeout_s: float,
        max_av_requests: int,
    ) -> None:
        """Ask engines of `roles`; see the settings of the same names."""
        self._asker, self._roles, self._max_av_requests = asker, roles, max_av_requests
        self._scan_raw_message, self._spam_timeout_s = scan_raw_message, spam_timeout_s

    async def ask_all(
        self,
        scan_id: ScanId,
        envelope: Envelope,
        header_block: bytes,
        dissection: Dissection,
        lending: Lending,
        *,
        deadline: float,
    ) -> Heard:
        """Ask everyone at once and wait for all. Never fails: what is missing is a failure in the result.

        `header_block` is the top header as it stands; `deadline` is in seconds of the event loop's clock.
        """
        heard = Heard(Reports(list(dissection.reports)))
        places = asyncio.Semaphore(self._max_av_requests)
        # The gateway scans the longest, so its request leaves first.
        async with asyncio.TaskGroup() as tasks:
            for batch in batches(to_scan(dissection, raw=self._scan_raw_message)):
                tasks.create_task(self._ask_av(scan_id, batch, lending, heard, places, deadline))
            tasks.create_task(self._ask_policy(scan_id, envelope, header_block, dissection, lending, heard, deadline))
            if wants_spam_filter(envelope):
                tasks.create_task(self._ask_spam(scan_id, envelope, dissection.found[0], lending, heard, deadline))
        return heard

    async def _ask_av(
        self,
        scan_id: ScanId,
        batch: Sequence[Found],
        lending: Lending,
        heard: Heard,
        places: asyncio.Semaphore,
        deadline: float,
    ) -> None:
        started = time.perf_counter()
        async with places:
            contents = tuple(ComponentContent(_anonymous(one.component), lending.lend(one.content)) for one in batch)
            answer = await self._asker.ask(
                ScanRole.AV, AvAnswer, scan_id, lambda job: AvRequest(job, self._roles, contents), deadline=deadline
            )
        reports, roles = reports_of_batch([one.component.path for one in batch], self._roles, answer)
        heard.reports.reports += reports
        heard.reports.roles |= roles
        _clock(heard, "av", started)

    async def _ask_policy(
        self,
        scan_id: ScanId,
        envelope: Envelope,
        header_block: bytes,
        dissection: Dissection,
        lending: Lending,
        heard: Heard,
        deadline: float,
    ) -> None:
        started = time.perf_counter()
        components = tuple(dissection.components())
        structure = encode(
            MessageStructure(envelope, header_block, components, tuple(dissection.defects), components[0].size)
        )
        content = lending.lend(MemoryContent(structure))
        digest = Sha256(hashlib.sha256(structure).hexdigest())
        answer = await self._asker.ask(
            ScanRole.POLICY,
            PolicyAnswer,
            scan_id,
            lambda job: PolicyRequest(job, content, len(structure), digest),
            deadline=deadline,
        )
        heard.policy = answer
        _clock(heard, "policy", started)

    async def _ask_spam(
        self, scan_id: ScanId, envelope: Envelope, raw: Found, lending: Lending, heard: Heard, deadline: float
    ) -> None:
        started = time.perf_counter()
        content = lending.lend(raw.content)
        answer = await self._asker.ask(
            ScanRole.SPAM,
            SpamAnswer,
            scan_id,
            lambda job: SpamRequest(job, content, raw.component.size, raw.component.sha256, envelope),
            deadline=min(deadline, asyncio.get_running_loop().time() + self._spam_timeout_s),
        )
        if isinstance(answer, SpamAnswer):
            heard.spam = answer.score
        else:
            # The spam filter is no engine: without it the score is ?/? (DESIGN §1 rule 1).
            heard.spam = SpamScore("none", None, None, detail=answer.detail)
        _clock(heard, "spam", started)


def to_scan(dissection: Dissection, *, raw: bool) -> list[Found]:
    """The components that engines are asked about.

    All of them; the raw message may be left out by the site, unless its parts do not cover it: then a defect says
    that content can hide, or there is no part at all.
    """
    if raw or len(dissection.found) == 1 or any(one.hides_content for one in dissection.defects) or dissection.reports:
        return dissection.found
    return dissection.found[1:]


def wants_spam_filter(envelope: Envelope) -> bool:
    """Whether the spam filter is asked: not for relay clients, unless they want it (facts §1.4)."""
    match envelope.spam_filter:
        case SpamFilter.ON:
            return True
        case SpamFilter.OFF:
            return False
        case SpamFilter.AUTO:
            return not envelope.relay_client


def batches(found: Iterable[Found]) -> Iterator[list[Found]]:
    """Small components travel together, a large one in a request of its own (DESIGN §6)."""
    batch: list[Found] = []
    room = _ROOM_FOR_CONTENTS_BYTES
    for one in found:
        if one.content.size > MAX_INLINE_BYTES:
            yield [one]
            continue
        if batch and (one.content.size > room or len(batch) == MAX_REQUEST_COMPONENTS):
            yield batch
            batch, room = [], _ROOM_FOR_CONTENTS_BYTES
        batch.append(one)
        room -= one.content.size
    if batch:
        yield batch


def _anonymous(component: Component) -> Component:
    """The component as the gateway needs it: engines have no use for names."""
    return Component(
        component.path, component.parent, component.depth, component.origin, component.size, component.sha256
    )


def _clock(heard: Heard, service: str, started: float) -> None:
    elapsed = time.perf_counter() - started
    heard.elapsed_s[service] = max(elapsed, heard.elapsed_s.get(service, 0.0))
