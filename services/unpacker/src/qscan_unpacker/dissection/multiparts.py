"""Multiparts: their parts as entities, for every boundary that divides them in some reading (RFC 2046 §5.1)."""

import re
from collections.abc import Iterator
from dataclasses import replace

from qscan_contracts.ids import ComponentPath
from qscan_contracts.vocabulary import Origin
from qscan_unpacker.dissection import transfer
from qscan_unpacker.dissection.boundaries import (
    MAX_PREFIXED,
    Division,
    boundaries,
    declared_boundaries,
    divide,
    guessed_boundaries,
)
from qscan_unpacker.dissection.collecting import Place, SpanKind
from qscan_unpacker.dissection.entity import Entity
from qscan_unpacker.dissection.headers import Header
from qscan_unpacker.dissection.structural_fields import StructuralFields
from qscan_unpacker.dissection.walk import Walk

_NOT_BLANK = re.compile(rb"\S")
_MIME_FIELD = re.compile(rb"^content-(?:type|transfer-encoding|disposition)[ \t]*+:", re.IGNORECASE | re.MULTILINE)
_MAX_BOUNDARY_BYTES = 70
_MAX_BOUNDARY_BYTES_OF_QMAIL_SCANNER = 250
_MAX_BOUNDARIES = 8
"""So many boundaries of one multipart are tried; one that has more is malformed several times over."""


class Multiparts:
    """Divides the bodies of entities."""

    def __init__(self, walk: Walk) -> None:
        """Add the parts to `walk`."""
        self._walk = walk
        self._declared_at: dict[bytes, tuple[ComponentPath, int]] = {}
        """Boundaries, with the component and the offset in it where the header stands that declares them."""

    def divide(self, entity: Entity, header: Header, fields: StructuralFields) -> bool:
        """Divide the body by every boundary that opens something in it; whether the main reading is among these.

        Raises OverBudgetError.
        """
        marks = boundaries(fields.raw_types, fields.types)
        if not fields.may_be_multipart and not marks:
            return False
        start = header.body_start
        if len(marks) > _MAX_BOUNDARIES:
            self._walk.note(entity, "mime.parameter.duplicate", entity.path, header.start)
            del marks[_MAX_BOUNDARIES:]
        if fields.is_multipart:
            self._boundary_defects(entity, header, fields, marks)
        opened = list(self._opened(entity, marks, start))
        if opened and fields.is_multipart:
            (mark, division), *others = opened
            self._follow(entity, mark, division, fields)
        else:
            others = opened or self._guessed(entity, marks, start, fields)
        if opened and not fields.is_multipart:
            self._walk.note(entity, "mime.boundary.unexpected", entity.path, start)
        for mark, division in others:
            self._follow_other(entity, mark, division, fields)
        if fields.is_multipart:
            self._decoded(entity, header, fields)
        return bool(opened) and fields.is_multipart

    def _opened(self, entity: Entity, marks: list[bytes], start: int) -> Iterator[tuple[bytes, Division]]:
        for mark in marks:
            division = self._division(entity, mark, start)
            if division.parts:
                yield mark, division

    def _guessed(
        self, entity: Entity, marks: list[bytes], start: int, fields: StructuralFields
    ) -> list[tuple[bytes, Division]]:
        """What readers may make of a body that no stated boundary divides."""
        data, end = entity.source.data, entity.end
        if not fields.may_be_multipart or _NOT_BLANK.search(data, start, end) is None:
            return []
        if marks and fields.is_multipart:
            # A bounce often brings back the header alone, and in an empty body nothing can hide.
            self._walk.note(entity, "mime.boundary.never_opened", entity.path, start)
        return list(self._opened(entity, guessed_boundaries(data, start, end), start))

    def _division(self, entity: Entity, mark: bytes, start: int, *, prefixes: bool = False) -> Division:
        budget, depth = self._walk.collector.budget, entity.depth + 1
        return divide(entity.source.data, mark, start, entity.end, budget=budget, depth=depth, prefixes=prefixes)

    def _boundary_defects(self, entity: Entity, header: Header, fields: StructuralFields, marks: list[bytes]) -> None:
        if entity.header is not None:  # another reading of a header whose boundary was seen before
            return
        ids = []
        if not marks:
            stated = any(key.startswith(b"boundary") for one in fields.types for key, _ in one.parameters)
            ids.append("mime.boundary.empty" if stated else "mime.boundary.missing")
        else:
            if len(marks[0]) > _MAX_BOUNDARY_BYTES_OF_QMAIL_SCANNER:
                ids.append("mime.boundary.over_250")
            elif len(marks[0]) > _MAX_BOUNDARY_BYTES:
                ids.append("mime.boundary.too_long")
            place = (entity.source.within, header.start)
            if self._declared_at.setdefault(marks[0], place) != place:
                ids.append("mime.boundary.duplicate")
        if set(fields.encodings) - transfer.IDENTITY:
            ids.append("mime.multipart.encoded")
        for id_ in ids:
            self._walk.note(entity, id_, entity.path, header.body_start)

    # ---------------------------------------------------------------------------------------------- one division

    def _follow(self, entity: Entity, mark: bytes, division: Division, fields: StructuralFields) -> None:
        """The parts of a division as entities, and what is around them."""
        walk = self._walk
        default = b"message/rfc822" if fields.kinds[0] == b"multipart/digest" else b"text/plain"
        paths = walk.collector.children(entity.path, len(division.parts))
        self._outside(entity, Origin.PREAMBLE, *division.preamble)
        for start, end in division.delimiters:
            walk.span(SpanKind.DELIMITER, start, end, entity)
        if division.epilogue is None:
            walk.note(entity, "mime.boundary.never_closed", entity.path, entity.end)
        else:
            self._outside(entity, Origin.EPILOGUE, *division.epilogue)
        walk.add(
            Entity(
                entity.source,
                path,
                entity.path,
                entity.depth + 1,
                start,
                end,
                is_message=False,
                reading=entity.reading,
                further=entity.further,
                default_type=default,
            )
            for path, (start, end) in zip(paths, division.parts, strict=True)
        )
        self._beyond(entity, mark, division, fields)

    def _follow_other(self, entity: Entity, mark: bytes, division: Division, fields: StructuralFields) -> None:
        """Follow a division that only some readers make."""
        reading = self._walk.reading(entity, division.preamble[0], entity.end)
        alone = replace(division, again=None, prefixed={})
        self._follow(replace(entity, reading=reading, further=True), mark, alone, fields)

    def _outside(self, entity: Entity, origin: Origin, start: int, end: int) -> None:
        """A preamble or epilogue, where there is more in it than white space."""
        walk, data = self._walk, entity.source.data
        if _NOT_BLANK.search(data, start, max(start, end)) is None:
            walk.span(SpanKind.BLANK, start, end, entity)
            return
        collector = walk.collector
        collector.budget.charge_component(entity.depth + 1)
        path = collector.first_child(entity.path) if origin is Origin.PREAMBLE else collector.child(entity.path)
        place = Place(path, entity.path, entity.depth + 1, origin, reading=entity.reading, further=entity.further)
        walk.literal(entity.source, start, end, place)
        field = _MIME_FIELD.search(data, start, end)
        if field is not None:
            # Some readers take for a part what begins like one, wherever the delimiters are.
            part = replace(entity, parent=entity.path, depth=entity.depth + 1, start=field.start(), end=end)
            walk.add_reading(replace(part, is_message=False, header=None))

    def _beyond(self, entity: Entity, mark: bytes, division: Division, fields: StructuralFields) -> None:
        """What other readers of the same boundary see: parts behind the end, and delimiters that are longer."""
        if division.again is not None:
            self._walk.note(entity, "mime.boundary.outside", entity.path, division.again)
            again = self._division(entity, mark, division.again)
            if again.parts:
                self._follow_other(entity, mark, again, fields)
        if division.prefixed:
            start = division.preamble[0]
            # Of those of other multiparts in it, whose boundaries begin with this one, nearly every reader knows.
            others = set(division.prefixed) - declared_boundaries(entity.source.data, start, entity.end)
            if others or len(division.prefixed) > MAX_PREFIXED:
                first = min(division.prefixed[one] for one in others or division.prefixed)
                self._walk.note(entity, "mime.boundary.prefix", entity.path, first)
            with_prefixes = self._division(entity, mark, start, prefixes=True)
            self._follow_other(entity, mark, with_prefixes, fields)

    def _decoded(self, entity: Entity, header: Header, fields: StructuralFields) -> None:
        """A multipart under a transfer encoding, against RFC 2045 §6.4, as a reader sees it that decodes first."""
        walk, depth = self._walk, entity.depth + 1
        body = entity.source.data[header.body_start : entity.end]
        place = Place(entity.path, entity.path, depth, Origin.DECODED, reading=entity.reading, further=True)
        bare = tuple(field for field in header.fields if field.name != b"content-transfer-encoding")
        for encoding in [one for one in fields.encodings if one in transfer.DECODED]:
            try:
                found = walk.collector.another(transfer.regular(encoding)(body), place)
            except transfer.IrregularError:
                found = walk.collector.another(transfer.readings(encoding, body).decoders[0](body), place)
            if found is None:
                continue
            path, content = found.component.path, found.content
            inner = replace(entity, source=walk.source(content, path), path=path, parent=path, depth=depth)
            inner = replace(inner, start=0, end=content.size, header=Header(bare, 0, 0, has_blank_line=True))
            walk.add([replace(inner, is_message=True, further=True)])
