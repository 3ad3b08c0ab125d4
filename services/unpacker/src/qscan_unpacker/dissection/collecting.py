"""What a dissection finds, collected: components with their bytes, defects, reports, and where everything stands."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from qscan_contracts.components import CandidateName, Component
from qscan_contracts.defects import Defect, defect
from qscan_contracts.ids import RAW_PATH, ComponentPath, EngineName, Sha256
from qscan_contracts.reports import EngineReport, Unscanned
from qscan_contracts.vocabulary import Origin, UnscannedReason
from qscan_unpacker.dissection.budget import Budget
from qscan_unpacker.dissection.headers import NO_HEADER, Header
from qscan_unpacker.dissection.holding import HeldContent, Holding, Piece
from qscan_unpacker.dissection.true_types import true_type

UNPACKER_ENGINE = EngineName("unpacker")
MAIN_READING = 0
_MAX_DEFECTS_OF_A_KIND = 64
"""What is done about a defect hangs on its kind alone, so the thousandth of a kind tells nothing new."""
_HEAD_BYTES = 64 * 1024
"""What is looked at for the type of a component that is not in memory."""


@dataclass(frozen=True)
class Found:
    """A component and its bytes."""

    component: Component
    content: HeldContent
    reading: int = MAIN_READING


class SpanKind(StrEnum):
    """What bytes of the raw message are that are no content."""

    HEADER = "header"
    DELIMITER = "delimiter"
    BLANK = "blank"
    """White space in front of the first delimiter, or behind the last."""


@dataclass(frozen=True, slots=True)
class Span:
    """A range of the raw message that is structure in one reading of it."""

    kind: SpanKind
    start: int
    end: int
    reading: int


@dataclass
class Dissection:
    """What the dissector made of a message.

    Attributes:
        top: the header of the message itself.
        found: the components, the raw message first.
        unopened: components whose bytes could not be had; for each there is a report that says why.
        reports: about components that could not be had, or that were not looked into as far as they should.
        spans: with the components, all bytes of the raw message in each reading.
        readings: (start, end) of the range of the raw message that each reading is of; the main one is the first.
    """

    found: list[Found]
    top: Header = NO_HEADER
    unopened: list[Component] = field(default_factory=list)
    defects: list[Defect] = field(default_factory=list)
    reports: list[EngineReport] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    readings: list[tuple[int, int]] = field(default_factory=list)

    def components(self) -> list[Component]:
        """All of them, by path, number by number; the raw message, whose path is empty, comes first."""
        return sorted([*(one.component for one in self.found), *self.unopened], key=_in_order)

    def sort(self) -> None:
        """Put what was found in the order of the paths."""
        self.found.sort(key=lambda found: _in_order(found.component))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a component belongs: everything about it but its bytes.

    Attributes:
        offset: of its encoded bytes in the raw message, None where they are not literally in it.
        encoded_size: how many these are.
        further: whether only some readers see this; what comes out as a component before it is left out then.
    """

    path: ComponentPath
    parent: ComponentPath
    depth: int
    origin: Origin
    declared: str = ""
    names: tuple[CandidateName, ...] = ()
    offset: int | None = None
    encoded_size: int | None = None
    encrypted: bool = False
    reading: int = MAIN_READING
    further: bool = False


class Collector:
    """Collects one message's dissection, within its budget."""

    def __init__(self, dissection: Dissection, holding: Holding, budget: Budget) -> None:
        """Add to `dissection`; large content goes to `holding`, and `budget` bounds it all."""
        self.dissection, self.budget, self._holding = dissection, budget, holding
        self._noted: Counter[str] = Counter()
        self._children: Counter[ComponentPath] = Counter()
        self._known: dict[tuple[Sha256, bool], set[CandidateName]] = {}

    def note(
        self,
        id_: str,
        component: ComponentPath,
        offset: int,
        length: int = 0,
        detail: str = "",
        *,
        within: ComponentPath = RAW_PATH,
    ) -> None:
        """Note a defect of a kind in the catalogue, at a place within the content of a component."""
        self._noted[id_] += 1
        if self._noted[id_] <= _MAX_DEFECTS_OF_A_KIND:
            self.dissection.defects.append(
                defect(id_, component, offset=offset, length=length, detail=detail, within=within)
            )

    def report(self, path: ComponentPath, reason: UnscannedReason, detail: str) -> None:
        """Report that something of a component was not looked at."""
        outcome = Unscanned.because(reason, detail)
        self.dissection.reports.append(EngineReport(path, UNPACKER_ENGINE, "", "", outcome))

    def child(self, path: ComponentPath) -> ComponentPath:
        """The path of one more child of `path`."""
        self._children[path] += 1
        return below(path, self._children[path])

    def first_child(self, path: ComponentPath) -> ComponentPath:
        """The path of what stands in front of the parts of `path`: 0, unless another reading has something there."""
        first = below(path, 0)
        if first in self._children:
            return self.child(path)
        self._children[first] = 0
        return first

    def children(self, path: ComponentPath, count: int) -> list[ComponentPath]:
        """The paths of `count` more children of `path`."""
        return [self.child(path) for _ in range(count)]

    def span(self, kind: SpanKind, start: int, end: int, reading: int) -> None:
        """Record structure; nothing for an empty range."""
        if end > start:
            self.dissection.spans.append(Span(kind, start, end, reading))

    def reading(self, start: int, end: int) -> int:
        """A new reading of ``raw[start:end]``."""
        self.dissection.readings.append((start, end))
        return len(self.dissection.readings) - 1

    def literal(self, content: HeldContent, place: Place) -> Found | None:
        """A component whose bytes are held already. They are not copied. Raises OverBudgetError."""
        self.budget.charge_bytes(content.size)
        return self._add(content, Sha256(hashlib.sha256(content.view()).hexdigest()), place)

    def decoded(self, pieces: Iterable[Piece], place: Place) -> Found | None:
        """A component whose bytes are decoded now. Raises OverBudgetError, and what `pieces` raises."""
        content, sha256 = self._holding.keep(self._charged(pieces))
        return self._add(content, sha256, place)

    def another(self, pieces: Iterable[Piece], place: Place) -> Found | None:
        """Another decoding of a component. The path is that of its parent until it is known that there is one.

        Raises OverBudgetError, and what `pieces` raises.
        """
        content, sha256 = self._holding.keep(self._charged(pieces))
        if not content.size or self._is_known(sha256, place):
            return None
        self.budget.charge_component(place.depth)
        return self._add(content, sha256, replace(place, path=self.child(place.parent)))

    def hold(self, pieces: Iterable[Piece]) -> HeldContent:
        """Bytes that are no component, held as long as the message. Raises OverBudgetError."""
        return self._holding.keep(self._charged(pieces))[0]

    def unopened(self, place: Place, size: int, reason: UnscannedReason, detail: str) -> None:
        """A component whose bytes cannot be had. `size`: what is stated of it. Raises OverBudgetError."""
        self._charge_names(place)
        self.dissection.unopened.append(_component(place, size, Sha256(""), ""))
        self.report(place.path, reason, detail)

    def _add(self, content: HeldContent, sha256: Sha256, place: Place) -> Found | None:
        """Add it, unless it is a further reading that came out the same as anything before."""
        if place.further and self._is_known(sha256, place):
            return None
        self._charge_names(place)
        self._known.setdefault(_read_as(sha256, place), set()).update(place.names)
        size = content.size
        head = content.view() if size <= _HEAD_BYTES else content.read(0, _HEAD_BYTES)
        component = _component(place, size, sha256, true_type(head, size))
        found = Found(component, content, place.reading)
        self.dissection.found.append(found)
        return found

    def _charge_names(self, place: Place) -> None:
        self.budget.charge_names(len(place.declared) + sum(len(name.text) for name in place.names))

    def _is_known(self, sha256: Sha256, place: Place) -> bool:
        key = _read_as(sha256, place)
        return key in self._known and self._known[key].issuperset(place.names)

    def _charged(self, pieces: Iterable[Piece]) -> Iterable[Piece]:
        size = 0
        for piece in pieces:
            size += len(piece)
            self.budget.charge_bytes(len(piece), of_component=size)
            yield piece


def _read_as(sha256: Sha256, place: Place) -> tuple[Sha256, bool]:
    """What tells components apart: their bytes, and whether these are walked as a message or searched as a text."""
    return sha256, place.declared.startswith("message/")


def _component(place: Place, size: int, sha256: Sha256, detected_type: str) -> Component:
    return Component(
        place.path,
        place.parent,
        place.depth,
        place.origin,
        size,
        sha256,
        names=place.names,
        content_type=place.declared,
        detected_type=detected_type,
        encrypted=place.encrypted,
        offset=place.offset,
        encoded_size=place.encoded_size,
    )


def _in_order(component: Component) -> tuple[int, ...]:
    return tuple(map(int, component.path.split("."))) if component.path else ()


def below(path: ComponentPath, index: int) -> ComponentPath:
    """The path of the child of `path` with this index."""
    return ComponentPath(f"{path}.{index}" if path else str(index))
