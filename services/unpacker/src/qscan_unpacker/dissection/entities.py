"""Entities of a message as components, in every plausible reading (RFC 5322, 2045, 2046).

Iterative, on offsets into the bytes. The main reading is the one that most mail clients follow; each place where
another reader would go another way is noted as a defect, and the other way is followed as well: as a further reading,
whose components stand beside those of the main one unless they come out the same.
"""

from dataclasses import replace

from qscan_unpacker.dissection.budget import OverBudgetError
from qscan_unpacker.dissection.collecting import SpanKind
from qscan_unpacker.dissection.entity import Entity
from qscan_unpacker.dissection.field_defects import header_defects
from qscan_unpacker.dissection.headers import Header, loose_fields, other_headers, parse_header
from qscan_unpacker.dissection.leaves import Leaves
from qscan_unpacker.dissection.line_ends import has_lone_cr, with_line_feeds
from qscan_unpacker.dissection.multiparts import Multiparts
from qscan_unpacker.dissection.structural_fields import structural_fields
from qscan_unpacker.dissection.walk import Walk


class EntityDissector:
    """Dissects what a walk has still to do."""

    def __init__(self, walk: Walk) -> None:
        """Take from `walk`, and add to it."""
        self._walk, self._multiparts, self._leaves = walk, Multiparts(walk), Leaves(walk)

    def run(self) -> None:
        """Dissect every entity that is left, and all that is in them. Raises OverBudgetError."""
        while (entity := self._walk.take()) is not None:
            self._dissect(entity)

    def _dissect(self, entity: Entity) -> None:
        self._walk.collector.budget.charge_time()
        if entity.is_message and entity.header is None:
            self._add_other_line_ends(entity)
        header = entity.header or self._parsed_header(entity)
        if not self._walk.is_new(entity, header.start, header.body_start):
            return
        self._walk.span(SpanKind.HEADER, entity.start, header.body_start, entity)
        loose = loose_fields(header, entity.source.data)
        if loose:
            length = header.body_start - header.start
            self._walk.note(entity, "header.field.disguised", entity.path, header.start, length)
        fields = structural_fields(header, loose, entity.default_type)
        if self._multiparts.divide(entity, header, fields):
            self._leaves.read_besides(entity, header, fields)
        else:
            self._leaves.read(entity, header, fields)

    def _add_other_line_ends(self, message: Entity) -> None:
        """The message as a reader sees it for whom a bare CR ends a line; those that are part of it come with it."""
        data = memoryview(message.source.data)
        if message.start == 0 and message.end == len(data) and has_lone_cr(data):
            content = self._walk.collector.hold(with_line_feeds(data))
            source = self._walk.source(content, message.source.within)
            self._walk.add([replace(message, source=source, further=True)])

    def _parsed_header(self, entity: Entity) -> Header:
        limits, data = self._walk.collector.budget.limits, entity.source.data
        header_end = min(entity.end, entity.start + limits.max_header_bytes)
        header = parse_header(data, entity.start, header_end)
        if not entity.path and not entity.further:
            self._walk.collector.dissection.top = header
        if not header.has_blank_line and header.body_start == header_end < entity.end:
            raise OverBudgetError("budget.header_bytes")
        if len(header.fields) + len(header.junk) > limits.max_header_lines:
            raise OverBudgetError("budget.header_lines")
        if any(field.value.count(b";") > limits.max_parameters for field in header.fields):
            raise OverBudgetError("budget.parameters")
        for id_, offset, length in header_defects(header, entity.end):
            self._walk.note(entity, id_, entity.path, offset, length)
        for id_, other in other_headers(header, data, entity.end):
            if not header.junk:  # which has been noted line by line
                self._walk.note(entity, id_, entity.path, other.body_start)
            self._walk.add_reading(replace(entity, header=other))
        return header
