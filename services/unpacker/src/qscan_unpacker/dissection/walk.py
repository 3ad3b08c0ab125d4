"""What there is still to do in a message, and how its entities become components."""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import replace

from qscan_contracts.ids import ComponentPath
from qscan_contracts.vocabulary import Origin
from qscan_unpacker.dissection import transfer
from qscan_unpacker.dissection.boundaries import Buffer
from qscan_unpacker.dissection.collecting import Collector, Found, Place, SpanKind
from qscan_unpacker.dissection.entity import Entity, Source
from qscan_unpacker.dissection.holding import HeldContent

Explore = Callable[[Found, str], None]
"""Looks into a component; the text is its declared charset, ``""`` for none."""


class Walk:
    """The entities of a message that are still to be dissected, the main reading before all others."""

    def __init__(self, collector: Collector, explore: Explore) -> None:
        """Add to `collector`; `explore` is called with each component."""
        self.collector, self._explore = collector, explore
        self._pending: list[Entity] = []
        self._walked: set[tuple[int, int, int, int]] = set()
        self._serials = itertools.count()

    def take(self) -> Entity | None:
        """The next entity, or None when all are done."""
        return self._pending.pop() if self._pending else None

    def give_up(self) -> None:
        """Nothing more is taken. What is left holds maps of files, and a descriptor for each."""
        self._pending.clear()

    def add(self, entities: Iterable[Entity]) -> None:
        """Entities that come next, in order; those of further readings come last."""
        found = list(entities)
        if found and found[0].further:
            self._pending[:0] = reversed(found)
        else:
            self._pending.extend(reversed(found))

    def add_reading(self, entity: Entity) -> None:
        """Another reading of an entity. Where the entity is a part, it becomes one more child of its parent."""
        path = entity.path if entity.is_message else self.collector.child(entity.parent)
        reading = self.reading(entity, entity.start, entity.end)
        self.add([replace(entity, path=path, reading=reading, further=True)])

    def is_new(self, entity: Entity, start: int, body_start: int) -> bool:
        """Whether the same bytes were not dissected in the same way: readings of readings meet again."""
        key = (entity.source.serial, start, body_start, entity.end)
        known = key in self._walked
        self._walked.add(key)
        return not known

    def source(self, content: HeldContent, within: ComponentPath, *, raw: Buffer | None = None) -> Source:
        """Bytes that entities can be read from; `raw` is given for the raw message."""
        data = content.view() if raw is None else raw
        return Source(next(self._serials), data, content, within, is_raw=raw is not None)

    def reading(self, entity: Entity, start: int, end: int) -> int:
        """A new reading of a range of the entity's source; only those of the raw message are told apart."""
        return self.collector.reading(start, end) if entity.source.is_raw else entity.reading

    def note(self, entity: Entity, id_: str, path: ComponentPath, offset: int, length: int = 0) -> None:
        """Note a defect at a place in the entity's source."""
        self.collector.note(id_, path, offset, length, within=entity.source.within)

    def span(self, kind: SpanKind, start: int, end: int, entity: Entity) -> None:
        """Record structure of the raw message."""
        if entity.source.is_raw:
            self.collector.span(kind, start, end, entity.reading)

    # --------------------------------------------------------------------------------------------------- components

    def literal(self, source: Source, start: int, end: int, place: Place, charset: str = "") -> Found | None:
        """A component whose bytes stand in the source as they are: they are not copied. Raises OverBudgetError."""
        content = source.content.part(start, max(end, start) - start)
        if source.is_raw:
            place = replace(place, offset=start, encoded_size=content.size)
        return self._explored(self.collector.literal(content, place), charset)

    def decoded(self, decode: transfer.Decoder, body: Buffer, place: Place, charset: str = "") -> Found | None:
        """A component whose bytes are decoded. Raises OverBudgetError, IrregularError."""
        return self._explored(self.collector.decoded(decode(body), place), charset)

    def another(self, decode: transfer.Decoder, body: Buffer, place: Place) -> None:
        """Another decoding of the component at `place`, if it comes out as none before. Raises OverBudgetError."""
        another = replace(place, parent=place.path, depth=place.depth + 1, origin=Origin.DECODED, further=True)
        try:
            found = self.collector.another(decode(body), another)
        except transfer.IrregularError:
            return
        self._explored(found, "")

    def _explored(self, found: Found | None, charset: str) -> Found | None:
        if found is not None:
            self._explore(found, charset)
        return found
