"""Containers of a message, opened in the sandbox: their members become components, and are looked into in turn."""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from qscan_contracts.components import CandidateName
from qscan_contracts.defects import CATALOGUE
from qscan_contracts.ids import ComponentPath, FindingId
from qscan_contracts.vocabulary import NameSource, Origin, UnscannedReason
from qscan_unpacker.dissection.budget import OverBudgetError
from qscan_unpacker.dissection.collecting import Collector, Found, Place
from qscan_unpacker.dissection.holding import HeldContent
from qscan_unpacker.opening.kinds import ContainerKind
from qscan_unpacker.opening.members import OpenRequest
from qscan_unpacker.sandbox.wire import Begun, Done, Ended, Noted, Piece, Reply, Unopened


class Opening(Protocol):
    """Opens containers of one message, somewhere where they can do no harm."""

    @property
    def cpu_s_used(self) -> float:
        """Seconds of CPU time that it has taken so far."""
        ...

    def open(self, content: HeldContent, request: OpenRequest, cpu_s: float) -> Generator[Reply, None, None]:
        """What is in `content`; the last reply is `Done`, whatever happens. Closing the iterator ends the work."""
        ...


class _BombError(Exception):
    """More comes out of a container than any honest one holds."""


MAX_BOMBS = 3
"""Of one message. Each ends its child, and a message has `MAX_CHILDREN` of these at most."""


@dataclass(frozen=True)
class _Container:
    found: Found
    kinds: tuple[ContainerKind, ...]


class Containers:
    """The containers that were found in a message and are still to be opened."""

    def __init__(self, collector: Collector, explore: Callable[[Found], None]) -> None:
        """Add to `collector`; `explore` is called with each member, to look into it."""
        self._collector, self._explore = collector, explore
        self._pending: deque[_Container] = deque()
        self._came_out_bytes = 0
        self._bombs = 0

    def __bool__(self) -> bool:
        """Whether there are any left."""
        return bool(self._pending)

    def add(self, found: Found, kinds: tuple[ContainerKind, ...]) -> None:
        """`found` is a container of each of these kinds, to one reader or another."""
        self._pending.append(_Container(found, kinds))

    def open_next(self, opening: Opening, passwords: tuple[str, ...]) -> None:
        """Open one of them. Raises OverBudgetError."""
        container = self._pending.popleft()
        outcomes = [(kind, *self._open(container.found, kind, opening, passwords)) for kind in container.kinds]
        any_member = any(members for _, members, _ in outcomes)
        reported = set()
        for kind, members, done in outcomes:
            if done.reason is None or (done.reason, done.detail) in reported:
                continue
            # What only looked like a container is none; another reading of the bytes has shown what they are.
            # What nothing here opens has been recognised for certain.
            may_be_none = done.reason is UnscannedReason.NOT_UNPACKABLE and kind is not ContainerKind.UNSUPPORTED
            if may_be_none and any_member and not members:
                continue
            reported.add((done.reason, done.detail))
            self._report(container.found, done.reason, done.detail)
        if self._bombs >= MAX_BOMBS:
            raise OverBudgetError("budget.ratio")

    def _open(
        self, found: Found, kind: ContainerKind, opening: Opening, passwords: tuple[str, ...]
    ) -> tuple[int, Done]:
        """The number of members, and how it ended."""
        if kind is ContainerKind.UNSUPPORTED:
            return 0, Done(UnscannedReason.NOT_UNPACKABLE, found.component.detected_type or "unsupported format")
        budget = self._collector.budget
        budget.charge_time()
        limits = budget.limits
        if budget.components >= limits.max_components:
            raise OverBudgetError("budget.components")
        request = OpenRequest(
            kind,
            passwords,
            max_members=limits.max_components - budget.components,
            max_member_bytes=limits.max_component_bytes,
            max_bytes=limits.max_decoded_bytes - budget.decoded_bytes,
            names=tuple(name.text for name in found.component.names),
        )
        members = 0
        self._came_out_bytes = 0
        before_s = opening.cpu_s_used
        try:
            with closing(opening.open(found.content, request, budget.seconds_left())) as replies:
                for reply in replies:
                    match reply:
                        case Begun():
                            members += 1
                            self._member(found, reply, replies)
                        case Unopened():
                            members += 1
                            self._unopened(found, reply)
                        case Noted():
                            self._note(found, reply)
                        case Done():
                            return members, reply
                        case Piece() | Ended():
                            continue  # of a member that never began; whoever checks the child knows
        except _BombError:
            self._bombs += 1
            return members, Done(UnscannedReason.BOMB, "budget.ratio")
        finally:
            budget.spent_s += opening.cpu_s_used - before_s
        return members, Done(UnscannedReason.UNPACKER_FAILED, "the sandbox said nothing more")

    def _member(self, container: Found, begun: Begun, replies: Iterator[Reply]) -> None:
        place = self._place(container, begun.names, encrypted=begun.encrypted)
        ended: list[Ended] = []
        found = self._collector.decoded(self._pieces(container, replies, ended), place)
        # The stream ends with the member's end, or the sandbox is broken: then the container's report says so.
        reason = ended[0].reason if ended else UnscannedReason.UNPACKER_FAILED
        if found is None:
            return
        if reason is not None:
            self._report(found, reason, ended[0].detail if ended else "cut off")
        self._explore(found)

    def _pieces(self, container: Found, replies: Iterator[Reply], ended: list[Ended]) -> Iterator[memoryview]:
        limits = self._collector.budget.limits
        most = max(limits.ratio_counts_above_bytes, limits.max_ratio * container.component.size)
        for reply in replies:
            match reply:
                case Piece(data):
                    self._came_out_bytes += len(data)
                    if self._came_out_bytes > most:
                        raise _BombError
                    yield data
                case Ended():
                    ended.append(reply)
                    return
                case _:
                    return

    def _unopened(self, container: Found, reply: Unopened) -> None:
        encrypted = reply.reason is UnscannedReason.ENCRYPTED
        place = self._place(container, reply.names, encrypted=encrypted)
        self._collector.unopened(place, reply.size, reply.reason, reply.detail)
        self._note_limit(place.path, reply.reason, reply.detail)
        if encrypted:
            self._collector.note("archive.encrypted", place.path, 0)

    def _place(self, container: Found, names: tuple[str, ...], *, encrypted: bool) -> Place:
        component = container.component
        self._collector.budget.charge_component(component.depth + 1)
        return Place(
            self._collector.child(component.path),
            component.path,
            component.depth + 1,
            Origin.MEMBER,
            names=tuple(CandidateName(name, NameSource.MEMBER) for name in dict.fromkeys(names) if name),
            encrypted=encrypted,
        )

    def _note(self, container: Found, noted: Noted) -> None:
        if FindingId(noted.id) in CATALOGUE:
            path = container.component.path
            self._collector.note(noted.id, path, noted.offset, noted.length, noted.detail, within=path)

    def _report(self, found: Found, reason: UnscannedReason, detail: str) -> None:
        path = found.component.path
        self._collector.report(path, reason, detail)
        self._note_limit(path, reason, detail)

    def _note_limit(self, path: ComponentPath, reason: UnscannedReason, detail: str) -> None:
        """What a report calls by the name of a defect is one; a limit of a format has no name of its own."""
        if FindingId(detail) in CATALOGUE:
            self._collector.note(detail, path, 0, within=path)
        elif reason is UnscannedReason.OVER_BUDGET:
            self._collector.note("budget.elements", path, 0, detail=detail, within=path)
