"""Entities of a message as components, in every plausible reading (RFC 5322, 2045, 2046).

Iterative, on offsets into the bytes. The main reading is the one that most mail clients follow; each place where
another reader would go another way is noted as a defect, and the other way is followed as well: as a further reading,
whose components stand beside those of the main one unless they come out the same.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from qscan_contracts.components import CandidateName
from qscan_contracts.ids import ComponentPath
from qscan_contracts.vocabulary import Origin
from qscan_unpacker.dissection import transfer
from qscan_unpacker.dissection.boundaries import Buffer, Division, boundaries, divide, guessed_boundaries
from qscan_unpacker.dissection.budget import OverBudgetError
from qscan_unpacker.dissection.collecting import MAIN_READING, Collector, Found, Place, SpanKind
from qscan_unpacker.dissection.field_defects import header_defects
from qscan_unpacker.dissection.file_names import candidate_names
from qscan_unpacker.dissection.headers import Field, Header, loose_fields, other_headers, parse_header
from qscan_unpacker.dissection.holding import HeldContent
from qscan_unpacker.dissection.structured import Structured, encodings, media_types, readings

_NOT_BLANK = re.compile(rb"\S")
_LONE_CR = re.compile(rb"\r(?!\n)")
_MIME_FIELD = re.compile(rb"^content-(?:type|transfer-encoding|disposition)[ \t]*+:", re.IGNORECASE | re.MULTILINE)
_BASE64_TEXT = re.compile(rb"\s*+(?:[A-Za-z0-9+/]{4,}+={0,2}+\s++){0,200}?[A-Za-z0-9+/]{16}")
_MESSAGE_TYPES = frozenset({b"message/rfc822", b"message/global", b"message/news", b"message/rfc2822"})
_POLICY_TYPES = {b"message/partial": "mime.message.partial", b"message/external-body": "mime.message.external_body"}
_DECODED = frozenset({b"base64", b"quoted-printable"})
_MAX_BOUNDARY = 70
_MAX_BOUNDARY_QMAIL_SCANNER = 250
_MAX_NAME = 256
_MAX_BOUNDARIES = 8
"""So many boundaries of one multipart are tried; one that has more is malformed several times over."""


@dataclass(frozen=True, slots=True)
class Source:
    """The bytes that entities are read from: the raw message, or a component that is a message itself.

    Attributes:
        within: the component whose content it is; places are told in that.
    """

    data: Buffer
    content: HeldContent
    within: ComponentPath
    is_raw: bool


@dataclass(frozen=True, slots=True)
class Entity:
    """An entity that is still to be dissected: header and body between two offsets of its source.

    Attributes:
        path: of the entity; of a message its body is numbered below it.
        header: None where it is still to be parsed; given where another reading of the header is followed.
        further: whether only some readers see this entity; what comes out as in another reading is left out then.
        default_type: of an entity without Content-Type (RFC 2045 §5.2, RFC 2046 §5.1.5).
    """

    source: Source
    path: ComponentPath
    parent: ComponentPath
    depth: int
    start: int
    end: int
    is_message: bool
    reading: int = MAIN_READING
    further: bool = False
    header: Header | None = None
    default_type: bytes = b"text/plain"


@dataclass(frozen=True, slots=True)
class _Fields:
    """What the structural fields of a header say, every reading of each."""

    raw_types: list[bytes]
    types: list[Structured]
    kinds: list[bytes]
    encodings: list[bytes]
    dispositions: list[Structured]
    is_declared: bool
    """Whether there is a Content-Type."""


class EntityWalker:
    """Dissects messages into entities."""

    def __init__(self, collector: Collector, explore: Callable[[Found, str], None]) -> None:
        """Add to `collector`; `explore` is called with each component and its declared charset, to look into it."""
        self._collector, self._explore = collector, explore
        self._pending: list[Entity] = []
        self._boundaries: set[bytes] = set()
        self._walked: set[tuple[int, int, int, int]] = set()

    def add(self, message: Entity) -> None:
        """A message that is still to be dissected. Raises OverBudgetError."""
        self._pending.append(message)

    def run(self) -> None:
        """Dissect what was added, and all that is in it. Raises OverBudgetError."""
        while self._pending:
            entity = self._pending.pop()
            if entity.is_message and not entity.further:
                self._other_line_ends(entity)
            self._entity(entity)

    def _other_line_ends(self, message: Entity) -> None:
        """The message as a reader sees it for whom a bare CR ends a line. The offsets stay the same."""
        data = memoryview(message.source.data)[message.start : message.end]
        if not has_lone_cr(data):
            return
        content = self._collector.hold(_LONE_CR.sub(b"\n", piece) for piece in _pieces_between_cr(data))
        source = Source(content.view(), content, message.source.within, is_raw=False)
        self._pending.insert(0, replace(message, source=source, start=0, end=content.size, further=True))

    # ------------------------------------------------------------------------------------------------ one entity

    def _entity(self, entity: Entity) -> None:
        header = entity.header or self._parsed_header(entity)
        if not self._is_new(entity, header):
            return
        self._span(SpanKind.HEADER, entity.start, header.body_start, entity)
        loose = loose_fields(header, entity.source.data)
        if loose:
            self._note(entity, "header.field.disguised", entity.path, header.start, header.body_start - header.start)
        fields = _fields(header, loose, entity.default_type)
        if self._divided(entity, header, fields):
            return
        self._leaf(entity, header, fields)

    def _is_new(self, entity: Entity, header: Header) -> bool:
        """Whether the same bytes were not dissected in the same way: readings of readings meet again."""
        key = (id(entity.source.data), header.start, header.body_start, entity.end)
        known = key in self._walked
        self._walked.add(key)
        return not known

    def _parsed_header(self, entity: Entity) -> Header:
        limits = self._collector.budget.limits
        header_end = min(entity.end, entity.start + limits.max_header_bytes)
        header = parse_header(entity.source.data, entity.start, header_end)
        if not entity.path and not entity.further:
            self._collector.dissection.top = header
        if not header.has_blank_line and header_end < entity.end and header.body_start == header_end:
            raise OverBudgetError("budget.header_bytes")
        if len(header.fields) + len(header.junk) > limits.max_header_lines:
            raise OverBudgetError("budget.header_lines")
        if any(field.value.count(b";") > limits.max_parameters for field in header.fields):
            raise OverBudgetError("budget.parameters")
        for id_, offset, length in header_defects(header, entity.end):
            self._note(entity, id_, entity.path, offset, length)
        for id_, other in other_headers(header, entity.source.data, entity.end):
            if not header.junk:  # which has been noted line by line
                self._note(entity, id_, entity.path, other.body_start)
            self._further(replace(entity, header=other))
        return header

    def _further(self, entity: Entity) -> None:
        """Follow another reading of an entity, behind everything that is known of the others."""
        path = entity.path if entity.is_message else self._collector.child(entity.parent)
        reading = self._collector.reading(entity.start, entity.end) if entity.source.is_raw else entity.reading
        self._pending.insert(0, replace(entity, path=path, reading=reading, further=True))

    def _note(self, entity: Entity, id_: str, path: ComponentPath, offset: int, length: int = 0) -> None:
        self._collector.note(id_, path, offset, length, within=entity.source.within)

    def _span(self, kind: SpanKind, start: int, end: int, entity: Entity) -> None:
        if entity.source.is_raw:
            self._collector.span(kind, start, end, entity.reading)

    # --------------------------------------------------------------------------------------------------- multiparts

    def _divided(self, entity: Entity, header: Header, fields: _Fields) -> bool:
        """Divide the body by every boundary that opens something in it; whether the main reading does so."""
        is_multipart = fields.kinds[0].startswith(b"multipart")
        any_multipart = is_multipart or any(kind.startswith(b"multipart") for kind in fields.kinds)
        marks = boundaries(fields.raw_types, fields.types)[:_MAX_BOUNDARIES]
        start, end = header.body_start, entity.end
        if not any_multipart and not marks:
            return False
        data = entity.source.data
        if is_multipart:
            self._boundary_defects(entity, start, fields, marks)
        opened = [(mark, division) for mark in marks if (division := self._division(entity, mark, start)).parts]
        if not opened and any_multipart and _NOT_BLANK.search(data, start, end):
            if marks and is_multipart:
                # A bounce often brings back the header alone, and in an empty body nothing can hide.
                self._note(entity, "mime.boundary.never_opened", entity.path, start)
            guessed = [mark for mark in guessed_boundaries(data, start, end) if mark not in marks]
            opened = [(mark, division) for mark in guessed if (division := self._division(entity, mark, start)).parts]
            for mark, division in opened:
                self._other_division(entity, mark, division, fields)
            opened = []
        elif opened and not is_multipart:
            self._note(entity, "mime.boundary.unexpected", entity.path, start)
        if is_multipart and set(fields.encodings) & _DECODED:
            self._decoded_multipart(entity, header, fields)
        for mark, division in opened[1 if is_multipart else 0 :]:
            self._other_division(entity, mark, division, fields)
        if opened and is_multipart:
            mark, division = opened[0]
            self._follow(entity, mark, division, fields)
            if any(not kind.startswith(b"multipart") for kind in fields.kinds) or self._names(header, fields):
                self._other_leaves(entity, header, fields)
            return True
        return False

    def _division(self, entity: Entity, mark: bytes, start: int, *, prefixes: bool = False) -> Division:
        def charge() -> None:
            self._collector.budget.charge_component(entity.depth + 1)

        return divide(entity.source.data, mark, start, entity.end, charge=charge, prefixes=prefixes)

    def _boundary_defects(self, entity: Entity, start: int, fields: _Fields, marks: list[bytes]) -> None:
        if entity.header is not None:
            return
        path = entity.path
        if not marks:
            stated = any(key.startswith(b"boundary") for one in fields.types for key, _ in one.parameters)
            self._note(entity, "mime.boundary.empty" if stated else "mime.boundary.missing", path, start)
            return
        if len(marks[0]) > _MAX_BOUNDARY:
            over = len(marks[0]) > _MAX_BOUNDARY_QMAIL_SCANNER
            self._note(entity, "mime.boundary.over_250" if over else "mime.boundary.too_long", path, start)
        if marks[0] in self._boundaries:
            self._note(entity, "mime.boundary.duplicate", path, start)
        self._boundaries.add(marks[0])
        if set(fields.encodings) - transfer.IDENTITY:
            self._note(entity, "mime.multipart.encoded", path, start)

    def _follow(self, entity: Entity, mark: bytes, division: Division, fields: _Fields) -> None:
        """The parts of a division as entities, and what is around them."""
        collector, depth = self._collector, entity.depth + 1
        default = b"message/rfc822" if fields.kinds[0] == b"multipart/digest" else b"text/plain"
        paths = collector.children(entity.path, len(division.parts))
        self._outside(entity, Origin.PREAMBLE, *division.preamble)
        for start, end in division.delimiters:
            self._span(SpanKind.DELIMITER, start, end, entity)
        inside = [
            Entity(
                entity.source,
                path,
                entity.path,
                depth,
                start,
                end,
                is_message=False,
                reading=entity.reading,
                further=entity.further,
                default_type=default,
            )
            for path, (start, end) in zip(paths, division.parts, strict=True)
        ]
        if division.epilogue is None:
            self._note(entity, "mime.boundary.never_closed", entity.path, entity.end)
        else:
            self._outside(entity, Origin.EPILOGUE, *division.epilogue)
        if entity.further:
            self._pending[:0] = reversed(inside)  # behind everything that is known of the other readings
        else:
            self._pending.extend(reversed(inside))
        self._beyond(entity, mark, division, fields)

    def _beyond(self, entity: Entity, mark: bytes, division: Division, fields: _Fields) -> None:
        """What other readers of the same boundary see: parts behind the end, and delimiters that are longer."""
        if division.again is not None:
            self._note(entity, "mime.boundary.outside", entity.path, division.again)
            again = self._division(entity, mark, division.again)
            if again.parts:
                self._other_division(entity, mark, again, fields)
        if division.prefixed and not self._declared_elsewhere(entity, mark, division):
            self._note(entity, "mime.boundary.prefix", entity.path, division.prefixed[0])
            self._other_division(
                entity, mark, self._division(entity, mark, division.preamble[0], prefixes=True), fields
            )

    def _declared_elsewhere(self, entity: Entity, mark: bytes, division: Division) -> bool:
        """Whether all the longer delimiters are those of other multiparts, of which this boundary is the beginning."""
        data = entity.source.data
        for at in division.prefixed:
            line = bytes(data[at : at + 2 + _MAX_BOUNDARY_QMAIL_SCANNER]).partition(b"\n")[0].strip()
            longer = line[2:].removesuffix(b"--")
            declared = re.compile(rb"boundary\s*=\s*\"?" + re.escape(longer), re.IGNORECASE)
            if declared.search(data, 0, entity.end) is None:
                return False
        return True

    def _other_division(self, entity: Entity, mark: bytes, division: Division, fields: _Fields) -> None:
        """Follow a division that only some readers make."""
        start, end = division.preamble[0], entity.end
        reading = self._collector.reading(start, end) if entity.source.is_raw else entity.reading
        again = replace(division, again=None, prefixed=[])
        self._follow(replace(entity, reading=reading, further=True), mark, again, fields)

    def _outside(self, entity: Entity, origin: Origin, start: int, end: int) -> None:
        """A preamble or epilogue, where there is more in it than white space."""
        if _NOT_BLANK.search(entity.source.data, start, max(start, end)) is None:
            self._span(SpanKind.BLANK, start, end, entity)
            return
        self._collector.budget.charge_component(entity.depth + 1)
        collector = self._collector
        path = collector.first_child(entity.path) if origin is Origin.PREAMBLE else collector.child(entity.path)
        place = Place(path, entity.path, entity.depth + 1, origin, reading=entity.reading, further=entity.further)
        found = self._literal(entity.source, start, end, place)
        if found is not None:
            self._explore(found, "")
        field = _MIME_FIELD.search(entity.source.data, start, end)
        if field is not None:
            # Some readers take for a part what begins like one, wherever the delimiters are.
            part = replace(entity, parent=entity.path, depth=entity.depth + 1, start=field.start(), end=end)
            self._further(replace(part, is_message=False, header=None))

    def _decoded_multipart(self, entity: Entity, header: Header, fields: _Fields) -> None:
        """A multipart under a transfer encoding, which RFC 2045 §6.4 forbids, as a reader sees it that decodes first."""
        for encoding in [one for one in fields.encodings if one in _DECODED]:
            content = self._collector.hold(
                self._best_decoding(encoding, entity.source.data[header.body_start : entity.end])
            )
            bare = tuple(field for field in header.fields if field.name != b"content-transfer-encoding")
            source = Source(content.view(), content, entity.path, is_raw=False)
            inner = Header(bare, 0, 0, has_blank_line=True)
            self._further(replace(entity, source=source, start=0, end=content.size, header=inner))

    def _best_decoding(self, encoding: bytes, body: Buffer) -> Iterator[bytes]:
        try:
            pieces = list(transfer.regular(encoding)(body))
        except transfer.IrregularError:
            return transfer.readings(encoding, body).decoders[0](body)
        return iter(pieces)

    # ------------------------------------------------------------------------------------------------------- leaves

    def _leaf(self, entity: Entity, header: Header, fields: _Fields) -> None:
        """The body of an entity that is not divided, decoded in every way."""
        collector = self._collector
        depth = entity.depth + 1 if entity.is_message else entity.depth
        if entity.is_message:
            collector.budget.charge_component(depth)
        path = collector.child(entity.path) if entity.is_message else entity.path
        place = self._place(entity, header, fields, path, depth)
        body = entity.source.data[header.body_start : entity.end]
        encoding = fields.encodings[0]
        others: list[transfer.Decoder] = []
        if encoding in _DECODED:
            found, others = self._decoded_leaf(entity, encoding, body, place)
        else:
            found = self._literal(entity.source, header.body_start, entity.end, place)
        if found is not None:
            self._explore(found, _charset(fields))
            self._look_deeper(entity, header, fields, found)
        self._further_decodings(entity, header, fields, place, others)

    def _decoded_leaf(
        self, entity: Entity, encoding: bytes, body: Buffer, place: Place
    ) -> tuple[Found | None, list[transfer.Decoder]]:
        try:
            return self._collector.decoded(transfer.regular(encoding)(body), place), []
        except transfer.IrregularError:
            irregular = transfer.readings(encoding, body)
        for id_ in irregular.defects:
            self._note(entity, id_, place.path, place.offset or 0, len(body))
        return self._collector.decoded(irregular.decoders[0](body), place), list(irregular.decoders[1:])

    def _look_deeper(self, entity: Entity, header: Header, fields: _Fields, found: Found) -> None:
        """A message in a message, and the kinds of message that need a decision of the site."""
        path = found.component.path
        for kind in fields.kinds:
            if kind in _POLICY_TYPES:
                self._note(entity, _POLICY_TYPES[kind], path, header.body_start)
        if not _MESSAGE_TYPES & set(fields.kinds):
            return
        self._collector.budget.charge_component(found.component.depth + 1)
        if fields.encodings[0] in transfer.IDENTITY:
            source, start, end = entity.source, header.body_start, entity.end
        else:
            self._note(entity, "mime.message.encoded", path, header.body_start)
            source, start, end = Source(found.content.view(), found.content, path, is_raw=False), 0, found.content.size
        reading = self._collector.reading(start, end) if source.is_raw else entity.reading
        self._pending.append(
            Entity(
                source,
                path,
                path,
                found.component.depth + 1,
                start,
                end,
                is_message=True,
                reading=reading,
                further=entity.further,
            )
        )

    def _further_decodings(
        self, entity: Entity, header: Header, fields: _Fields, place: Place, decoders: list[transfer.Decoder]
    ) -> None:
        """The body under every other transfer encoding that the header may name, and in every other decoding of one."""
        body = entity.source.data[header.body_start : entity.end]
        wanted = fields.encodings[1:]
        odd = fields.encodings[0] not in transfer.IDENTITY | _DECODED or any(field.defect for field in header.fields)
        if (odd or len(fields.encodings) > 1) and _BASE64_TEXT.match(body) is not None:
            wanted = [*wanted, b"base64"]
        for encoding in dict.fromkeys(one for one in wanted if one != fields.encodings[0]):
            if encoding in _DECODED:
                decoders = [*decoders, transfer.regular(encoding), *transfer.readings(encoding, body).decoders]
            elif encoding in transfer.IDENTITY and fields.encodings[0] in _DECODED:
                decoders = [*decoders, transfer.pieces]
        for decode in decoders:
            self._another(decode, body, place)

    def _another(self, decode: transfer.Decoder, body: Buffer, place: Place) -> None:
        another = replace(place, parent=place.path, depth=place.depth + 1, origin=Origin.DECODED, further=True)
        try:
            found = self._collector.another(decode(body), another)
        except transfer.IrregularError:
            return
        if found is not None:
            self._explore(found, "")

    def _other_leaves(self, entity: Entity, header: Header, fields: _Fields) -> None:
        """The body of a divided multipart, as a reader takes it that sees no multipart."""
        place = self._place(entity, header, fields, entity.path, entity.depth)
        body = entity.source.data[header.body_start : entity.end]
        for encoding in fields.encodings:
            if encoding in _DECODED:
                for decode in transfer.readings(encoding, body).decoders:
                    self._another(decode, body, place)
            else:
                self._another(transfer.pieces, body, place)

    def _place(self, entity: Entity, header: Header, fields: _Fields, path: ComponentPath, depth: int) -> Place:
        names = self._names(header, fields)
        if names:
            if any(len(name.text) > _MAX_NAME for name in names):
                self._note(entity, "name.too_long", path, header.body_start)
            if any(character < " " for name in names for character in name.text):
                self._note(entity, "name.control", path, header.body_start)
        declared = fields.kinds[0].decode("ascii", errors="replace") if fields.is_declared else ""
        offset = header.body_start if entity.source.is_raw else None
        size = entity.end - header.body_start if entity.source.is_raw else None
        return Place(
            path,
            entity.parent,
            depth,
            Origin.PART,
            declared,
            names,
            offset,
            size,
            reading=entity.reading,
            further=entity.further,
        )

    def _names(self, header: Header, fields: _Fields) -> tuple[CandidateName, ...]:
        described, located = header.all(b"content-description"), header.all(b"content-location")
        if not fields.types and not fields.dispositions and not described and not located:
            return ()
        dispositions = header.all(b"content-disposition")
        return candidate_names(
            fields.types,
            fields.dispositions,
            raw_types=fields.raw_types if any(one.is_irregular for one in fields.types) else (),
            raw_dispositions=[field.value for field in dispositions]
            if any(one.is_irregular for one in fields.dispositions)
            else (),
            descriptions=[field.value for field in described],
            locations=[field.value for field in located],
        )

    def _literal(self, source: Source, start: int, end: int, place: Place) -> Found | None:
        """A component whose bytes stand in the source as they are: they are not copied."""
        content = source.content.part(start, max(end, start) - start)
        if source.is_raw:
            place = replace(place, offset=start, encoded_size=content.size)
        return self._collector.literal(content, place)


def _fields(header: Header, loose: list[Field], default_type: bytes) -> _Fields:
    """The readings of the structural fields; the regular ones first, or what holds where there are none."""
    regular = header.all(b"content-type")
    raw_types = [field.value for field in (*regular, *_named(loose, b"content-type"))]
    types = [reading for raw in raw_types for reading in readings(raw)]
    raw_encodings = [
        field.value
        for fields in (header.all(b"content-transfer-encoding"), _named(loose, b"content-transfer-encoding"))
        for field in fields
    ]
    named = encodings(reading for raw in raw_encodings for reading in readings(raw))
    kinds = media_types(types)
    return _Fields(
        raw_types,
        types,
        kinds if regular else [default_type, *kinds],
        named if header.all(b"content-transfer-encoding") else list(dict.fromkeys([b"", *named])),
        [
            reading
            for field in (*header.all(b"content-disposition"), *_named(loose, b"content-disposition"))
            for reading in readings(field.value)
        ],
        is_declared=bool(regular),
    )


def _named(fields: list[Field], name: bytes) -> list[Field]:
    return [field for field in fields if field.name == name]


def _charset(fields: _Fields) -> str:
    """The declared charset, the first of them."""
    for one in fields.types:
        for value in one.parameter(b"charset"):
            return value.decode("ascii", errors="replace")
    return ""


def has_lone_cr(data: memoryview) -> bool:
    """Whether there is a CR without its LF; in pieces, and fast where there is no CR at all."""
    return any(b"\r" in piece and _LONE_CR.search(piece) is not None for piece in _pieces_between_cr(data))


def _pieces_between_cr(data: memoryview) -> Iterator[bytes]:
    """All bytes, in pieces none of which ends between a CR and its LF."""
    at, size = 0, len(data)
    while at < size:
        end = min(size, at + transfer.PIECE_BYTES)
        if end < size and data[end - 1] == 0x0D:
            end -= 1 if end - 1 > at else -1
        yield bytes(data[at:end])
        at = end
