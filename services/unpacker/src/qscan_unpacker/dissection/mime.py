"""The MIME dissector: entities of a message as components (RFC 5322, 2045, 2046).

Iterative, on offsets into the raw bytes. It follows one reading per rule and notes a defect wherever another reader
might follow another; the raw message, which is always a component, covers those until every reading is followed.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from qscan_contracts.components import CandidateName, Component
from qscan_contracts.defects import Defect, defect
from qscan_contracts.ids import RAW_PATH, ComponentPath, EngineName, Sha256
from qscan_contracts.reports import EngineReport, Unscanned
from qscan_contracts.vocabulary import NameSource, Origin, UnscannedReason
from qscan_unpacker.dissection import transfer
from qscan_unpacker.dissection.budget import Budget, OverBudgetError
from qscan_unpacker.dissection.headers import (
    MIME_FIELDS,
    Field,
    Header,
    Structured,
    file_names,
    parse_header,
    parse_structured,
)
from qscan_unpacker.dissection.holding import HeldContent, Holding, MemoryContent

UNPACKER_ENGINE = EngineName("unpacker")
_TYPE = re.compile(rb"^[!#$%&'*+.^_`{|}~0-9a-z-]+/[!#$%&'*+.^_`{|}~0-9a-z-]+$")
_BOUNDARY_END = re.compile(rb"(--)?[ \t]*(\r?\n|\Z)")
_NOT_BLANK = re.compile(rb"\S")
_COMMENT = re.compile(rb"\([^()]*\)?")
_MAX_BOUNDARY = 70
_MAX_BOUNDARY_QMAIL_SCANNER = 250
_MAX_NAME = 256
_MAX_DEFECTS_OF_A_KIND = 64
"""What is done about a defect hangs on its kind alone, so the thousandth of a kind tells nothing new."""
_SEARCHED_BOUNDARY = 256
"""Of a longer delimiter only the beginning is searched for: `re` keeps what it compiled."""
_CR, _LF = 0x0D, 0x0A

Raw = bytes | memoryview


@dataclass(frozen=True)
class Found:
    """A component and its bytes."""

    component: Component
    content: HeldContent


@dataclass
class Dissection:
    """What the dissector made of a message. `top` is the header of the message itself."""

    top: Header
    found: list[Found] = field(default_factory=list)
    defects: list[Defect] = field(default_factory=list)
    reports: list[EngineReport] = field(default_factory=list)


@dataclass(frozen=True)
class _Entity:
    """An entity that is still to be dissected: header and body between two offsets of the raw message."""

    path: ComponentPath
    parent: ComponentPath
    depth: int
    start: int
    end: int
    is_message: bool
    """Whether it is a message (the raw one or a message/rfc822), so that its body is numbered below it."""


@dataclass(frozen=True)
class _Place:
    """Where a component belongs and where its encoded bytes stand in the raw message."""

    path: ComponentPath
    parent: ComponentPath
    depth: int
    origin: Origin
    offset: int
    encoded_size: int
    declared: str = ""
    names: tuple[CandidateName, ...] = ()


class MimeDissector:
    """Dissects one message. `raw` must stay as it is until the result is no longer used."""

    def __init__(
        self, raw: Raw, raw_sha256: Sha256, holding: Holding, budget: Budget, raw_content: HeldContent
    ) -> None:
        """Dissect `raw`; large decoded content goes to `holding`, and `budget` bounds it all."""
        self._raw, self._holding, self._budget = raw, holding, budget
        self._raw_component = Found(Component(RAW_PATH, None, 0, Origin.RAW, len(raw), raw_sha256), raw_content)
        self._result: Dissection
        self._boundaries: set[bytes] = set()
        self._noted: Counter[str] = Counter()

    def dissect(self) -> Dissection:
        """The components, the raw message first; never fails for what is in a message.

        Raises:
            OSError: the disk under the holding is full or broken.
        """
        top = parse_header(self._raw, 0, min(len(self._raw), self._budget.limits.max_header_bytes))
        self._result = Dissection(top, [self._raw_component])
        pending = [_Entity(RAW_PATH, RAW_PATH, 0, 0, len(self._raw), is_message=True)]
        try:
            while pending:
                pending.extend(self._entity(pending.pop()))
        except OverBudgetError as error:
            self._note(error.limit, RAW_PATH, 0)
            outcome = Unscanned.because(UnscannedReason.OVER_BUDGET, error.limit)
            self._result.reports.append(EngineReport(RAW_PATH, UNPACKER_ENGINE, "", "", outcome))
        self._result.found.sort(key=_in_order)
        return self._result

    def _note(self, id_: str, component: ComponentPath, offset: int, length: int = 0, detail: str = "") -> None:
        self._noted[id_] += 1
        if self._noted[id_] <= _MAX_DEFECTS_OF_A_KIND:
            self._result.defects.append(defect(id_, component, offset=offset, length=length, detail=detail))

    def _entity(self, entity: _Entity) -> Iterable[_Entity]:
        """Dissect one entity: emit its components, return the entities inside it."""
        limits = self._budget.limits
        header_end = min(entity.end, entity.start + limits.max_header_bytes)
        header = parse_header(self._raw, entity.start, header_end)
        if not header.has_blank_line and header_end < entity.end:
            raise OverBudgetError("budget.header_bytes")
        if len(header.fields) + len(header.junk) > limits.max_header_lines:
            raise OverBudgetError("budget.header_lines")
        self._header_defects(entity, header)
        content_type = self._content_type(entity, header)
        start, end = header.body_start, entity.end
        kind = content_type.value
        encoding = self._encoding(entity, header)
        if kind.startswith(b"multipart/"):
            if encoding not in transfer.IDENTITY:
                self._note("mime.multipart.encoded", entity.path, start)
            inner = self._multipart(entity, content_type, start, end)
            if inner is not None:
                return inner
        path = _below(entity.path, 1) if entity.is_message else entity.path
        self._leaf(entity, header, content_type, encoding, path)
        if kind == b"message/rfc822":
            if encoding in transfer.IDENTITY:
                self._budget.charge_component(entity.depth + 1)
                return [_Entity(path, path, entity.depth + 1, start, end, is_message=True)]
            self._note("mime.message.encoded", entity.path, start)
        elif kind in {b"message/partial", b"message/external-body"}:
            self._note(f"mime.{kind.decode().replace('/', '.').replace('-', '_')}", path, start)
        return []

    def _header_defects(self, entity: _Entity, header: Header) -> None:
        for offset, length in header.junk:
            self._note("header.line_without_colon", entity.path, offset, length)
        for offset in header.spaced:
            self._note("header.name.space", entity.path, offset)
        if not header.has_blank_line and header.body_start < len(self._raw):
            self._note("header.missing_blank_line", entity.path, header.body_start)
        seen: set[bytes] = set()
        for one in header.fields:
            if b"(" in one.name and _COMMENT.sub(b"", one.name).strip() in MIME_FIELDS:
                self._note("header.name.comment", entity.path, one.offset, len(one.name))
            if one.name not in MIME_FIELDS:
                continue
            if one.name in seen:
                self._note("mime.field.duplicate", entity.path, one.offset, len(one.name))
            seen.add(one.name)
            self._mime_field_defects(entity, one)

    def _mime_field_defects(self, entity: _Entity, one: Field) -> None:
        for byte, id_ in ((b"\x00", "header.nul"), (b"\r", "header.cr")):
            if byte in one.value.replace(b"\r\n", b"\n"):
                self._note(id_, entity.path, one.offset, len(one.value))
        if b"=?" in parse_structured(one.value).value:
            self._note("mime.field.encoded_word", entity.path, one.offset, len(one.value))
        if b"(" in one.value.partition(b";")[0]:
            self._note("mime.field.comment", entity.path, one.offset, len(one.value))

    def _content_type(self, entity: _Entity, header: Header) -> Structured:
        fields = header.all(b"content-type")
        if not fields:
            return Structured(b"text/plain", (), malformed=False)  # RFC 2045 §5.2
        structured = parse_structured(fields[0].value)
        if not _TYPE.match(structured.value):
            self._note("mime.content_type.invalid", entity.path, fields[0].offset, len(fields[0].value))
        if structured.malformed:
            self._note("mime.parameter.malformed", entity.path, fields[0].offset, len(fields[0].value))
        names = [name for name, _ in structured.parameters]
        if len(set(names)) != len(names):
            self._note("mime.parameter.duplicate", entity.path, fields[0].offset, len(fields[0].value))
        return structured

    def _encoding(self, entity: _Entity, header: Header) -> bytes:
        fields = header.all(b"content-transfer-encoding")
        if not fields:
            return b""
        # Comments are allowed around the value (RFC 2045 §6.1 refers to RFC 822 §3.4.3).
        value = re.sub(rb"\([^()]*\)", b"", parse_structured(fields[0].value).value).strip()
        if value not in transfer.IDENTITY and value not in transfer.DECODED:
            self._note("encoding.unknown", entity.path, fields[0].offset, len(fields[0].value))
        return value

    def _multipart(self, entity: _Entity, content_type: Structured, start: int, end: int) -> list[_Entity] | None:
        """The entities between the delimiters (RFC 2046 §5.1.1), or None where it cannot be split."""
        boundaries = content_type.parameter(b"boundary")
        boundary = boundaries[0].rstrip() if boundaries else b""
        if not boundary:
            self._note("mime.boundary.empty" if boundaries else "mime.boundary.missing", entity.path, start)
            return None
        if len(boundary) > _MAX_BOUNDARY:
            over = len(boundary) > _MAX_BOUNDARY_QMAIL_SCANNER
            self._note("mime.boundary.over_250" if over else "mime.boundary.too_long", entity.path, start)
        if boundary in self._boundaries:
            self._note("mime.boundary.duplicate", entity.path, start)
        self._boundaries.add(boundary)
        delimiters, closed_at = self._delimiters(boundary, start, end, depth=entity.depth + 1)
        if not delimiters:
            # A bounce often brings back the header alone, and in an empty body nothing can hide.
            if _NOT_BLANK.search(self._raw, start, end):
                self._note("mime.boundary.never_opened", entity.path, start)
            return None
        if closed_at is None:
            self._note("mime.boundary.never_closed", entity.path, end)
        self._outside(entity, Origin.PREAMBLE, 0, start, delimiters[0][0])
        inside = []
        for index, (_, after) in enumerate(delimiters, 1):
            stop = delimiters[index][0] if index < len(delimiters) else (end if closed_at is None else closed_at[0])
            path = _below(entity.path, index)
            inside.append(_Entity(path, entity.path, entity.depth + 1, after, max(stop, after), is_message=False))
        if closed_at is not None:
            self._outside(entity, Origin.EPILOGUE, len(delimiters) + 1, closed_at[1], end)
        return inside

    def _delimiters(
        self, boundary: bytes, start: int, end: int, *, depth: int
    ) -> tuple[list[tuple[int, int]], tuple[int, int] | None]:
        """(where the part before ends, where the part after begins) of each delimiter line, and of the closing one.

        The line end in front of a delimiter belongs to the delimiter. Each part is charged as it is found.
        """
        raw, mark, view = self._raw, b"--" + boundary, memoryview(self._raw)
        found: list[tuple[int, int]] = []
        pattern = re.compile(re.escape(mark[:_SEARCHED_BOUNDARY]))
        for match in pattern.finditer(raw, start, end):
            at = match.start()
            if (at != start and raw[at - 1] != _LF) or view[at : at + len(mark)] != mark:
                continue
            tail = _BOUNDARY_END.match(raw, at + len(mark), end)
            if tail is None:
                continue
            before = at
            if before > start:
                before -= 2 if before - 1 > start and raw[before - 2] == _CR else 1
            if tail[1]:
                return found, (before, tail.end())
            self._budget.charge_component(depth)
            found.append((before, tail.end()))
        return found, None

    def _outside(self, entity: _Entity, origin: Origin, index: int, start: int, end: int) -> None:
        """A preamble or epilogue, where there is more in it than white space."""
        if _NOT_BLANK.search(self._raw, start, max(start, end)) is None:
            return
        self._budget.charge_component(entity.depth + 1)
        place = _Place(_below(entity.path, index), entity.path, entity.depth + 1, origin, start, end - start)
        self._emit_raw(place)

    def _leaf(
        self, entity: _Entity, header: Header, content_type: Structured, encoding: bytes, path: ComponentPath
    ) -> None:
        """The body of an entity that is not split, decoded."""
        start, end = header.body_start, entity.end
        body = self._raw[start:end]
        names = self._names(header, content_type, path)
        depth = entity.depth + 1 if entity.is_message else entity.depth
        if entity.is_message:
            self._budget.charge_component(depth)
        declared = content_type.value.decode("ascii", errors="replace") if header.all(b"content-type") else ""
        place = _Place(path, entity.parent, depth, Origin.PART, start, end - start, declared, names)
        if encoding == b"base64":
            self._note_all(transfer.base64_defects(body), place)
            self._emit_decoded(transfer.decode_base64(body), place)
        elif encoding == b"quoted-printable":
            self._note_all(transfer.quoted_printable_defects(body), place)
            self._emit_decoded(transfer.decode_quoted_printable(body), place)
        else:
            self._emit_raw(place)

    def _names(self, header: Header, content_type: Structured, path: ComponentPath) -> tuple[CandidateName, ...]:
        """All candidate file names, and what is wrong with them."""
        names = [CandidateName(name, NameSource.CONTENT_TYPE_NAME) for name in file_names(content_type, b"name")]
        for one in header.all(b"content-disposition"):
            disposition = parse_structured(one.value)
            names += [
                CandidateName(name, NameSource.DISPOSITION_FILENAME) for name in file_names(disposition, b"filename")
            ]
        texts = {name.text for name in names}
        if any(len(text) > _MAX_NAME for text in texts):
            self._note("name.too_long", path, header.body_start)
        if any(character < " " for text in texts for character in text):
            self._note("name.control", path, header.body_start)
        return tuple(names)

    def _note_all(self, ids: Iterable[str], place: _Place) -> None:
        for id_ in ids:
            self._note(id_, place.path, place.offset, place.encoded_size)

    def _emit_raw(self, place: _Place) -> None:
        """A component whose bytes stand in the raw message as they are: they are not copied."""
        self._budget.charge_bytes(place.encoded_size)
        content = self._raw_component.content.part(place.offset, place.encoded_size)
        view = self._raw[place.offset : place.offset + place.encoded_size]
        self._emit(place, content, Sha256(hashlib.sha256(view).hexdigest()))

    def _emit_decoded(self, pieces: Iterable[bytes], place: _Place) -> None:
        self._emit(place, *self._holding.keep(self._charged(pieces)))

    def _emit(self, place: _Place, content: HeldContent, sha256: Sha256) -> None:
        component = Component(
            place.path,
            place.parent,
            place.depth,
            place.origin,
            content.size,
            sha256,
            names=place.names,
            content_type=place.declared,
            offset=place.offset,
            encoded_size=place.encoded_size,
        )
        self._result.found.append(Found(component, content))

    def _charged(self, pieces: Iterable[bytes]) -> Iterable[bytes]:
        for piece in pieces:
            self._budget.charge_bytes(len(piece))
            yield piece


def _in_order(found: Found) -> tuple[int, ...]:
    """By path, number by number; the raw message, whose path is empty, comes first."""
    path = found.component.path
    return tuple(map(int, path.split("."))) if path else ()


def _below(path: ComponentPath, index: int) -> ComponentPath:
    return ComponentPath(f"{path}.{index}" if path else str(index))


def content_of(raw: bytes) -> tuple[HeldContent, Sha256]:
    """A raw message in memory as held content, with its digest."""
    return MemoryContent(raw), Sha256(hashlib.sha256(raw).hexdigest())
