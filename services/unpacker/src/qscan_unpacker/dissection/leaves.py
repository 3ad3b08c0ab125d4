"""Entities that are not divided: their bodies as components, decoded in every plausible way (RFC 2045 §6)."""

import re
from dataclasses import replace

from qscan_contracts.ids import ComponentPath
from qscan_contracts.vocabulary import Origin
from qscan_unpacker.dissection import transfer
from qscan_unpacker.dissection.boundaries import Buffer
from qscan_unpacker.dissection.collecting import Found, Place
from qscan_unpacker.dissection.entity import Entity
from qscan_unpacker.dissection.file_names import MAX_NAMES
from qscan_unpacker.dissection.headers import Header
from qscan_unpacker.dissection.structural_fields import StructuralFields, names
from qscan_unpacker.dissection.walk import Walk
from qscan_unpacker.dissection.wrapped import uuencode

_BASE64_TEXT = re.compile(rb"\s*+(?:[A-Za-z0-9+/]{4,}+={0,2}+\s++){0,200}?[A-Za-z0-9+/]{16}")
MESSAGE_TYPES = frozenset({b"message/rfc822", b"message/global", b"message/news", b"message/rfc2822"})
"""Whose bodies are messages."""
_POLICY_TYPES = {b"message/partial": "mime.message.partial", b"message/external-body": "mime.message.external_body"}
_MAX_NAME_CHARACTERS = 256


class Leaves:
    """Makes components of bodies."""

    def __init__(self, walk: Walk) -> None:
        """Add them to what `walk` collects, and to it the messages in them."""
        self._walk = walk

    def read(self, entity: Entity, header: Header, fields: StructuralFields) -> None:
        """The body of an entity, decoded in every way. Raises OverBudgetError."""
        walk, path, depth = self._walk, entity.path, entity.depth
        if entity.is_message:
            depth += 1
            walk.collector.budget.charge_component(depth)
            path = walk.collector.child(path)
        place = self._place(entity, header, fields, path, depth)
        body = entity.source.data[header.body_start : entity.end]
        encoding = fields.encodings[0]
        others: list[transfer.Decoder] = []
        if encoding in transfer.DECODED:
            found, others = self._decoded(entity, encoding, body, place, fields.charset)
        else:
            found = walk.literal(entity.source, header.body_start, entity.end, place, fields.charset)
        if found is not None:
            self._look_deeper(entity, header, fields, found)
        for decode in (*others, *self._further_decoders(header, fields, body)):
            walk.another(decode, body, place)

    def read_besides(self, entity: Entity, header: Header, fields: StructuralFields) -> None:
        """The body of an entity that was divided, as a reader takes it that sees no multipart. Raises OverBudgetError.

        Nothing comes of it unless there is such a reader: the type is ambiguous, or the multipart has a file name.
        """
        if not fields.may_be_leaf and not names(header, fields):
            return
        place = self._place(entity, header, fields, entity.path, entity.depth)
        body = entity.source.data[header.body_start : entity.end]
        for encoding in fields.encodings:
            decoders = (
                transfer.readings(encoding, body).decoders if encoding in transfer.DECODED else (transfer.pieces,)
            )
            for decode in decoders:
                self._walk.another(decode, body, place)

    def _decoded(
        self, entity: Entity, encoding: bytes, body: Buffer, place: Place, charset: str
    ) -> tuple[Found | None, list[transfer.Decoder]]:
        try:
            return self._walk.decoded(transfer.regular(encoding), body, place, charset), []
        except transfer.IrregularError:
            irregular = transfer.readings(encoding, body)
        for id_ in irregular.defects:
            self._walk.note(entity, id_, place.path, place.offset or 0, len(body))
        best, *others = irregular.decoders
        return self._walk.decoded(best, body, place, charset), others

    def _further_decoders(self, header: Header, fields: StructuralFields, body: Buffer) -> list[transfer.Decoder]:
        """Those of every other transfer encoding that the header may name."""
        main, *wanted = fields.encodings
        is_odd = main not in transfer.IDENTITY | transfer.DECODED or any(field.defect for field in header.fields)
        is_walked = not MESSAGE_TYPES.isdisjoint(fields.kinds)
        if main in transfer.IDENTITY and not is_walked and transfer.looks_quoted_printable(body):
            wanted.append(b"quoted-printable")
        if (is_odd or wanted) and _BASE64_TEXT.match(body) is not None:
            wanted.append(b"base64")
        decoders: list[transfer.Decoder] = []
        if b"x-uuencode" in fields.encodings:
            decoders.append(lambda encoded: uuencode.decode_body(bytes(encoded)))
        for encoding in dict.fromkeys(one for one in wanted if one != main):
            if encoding in transfer.DECODED:
                decoders += [transfer.regular(encoding), *transfer.readings(encoding, body).decoders]
            elif encoding in transfer.IDENTITY and main in transfer.DECODED:
                decoders.append(transfer.pieces)
        return decoders

    def _look_deeper(self, entity: Entity, header: Header, fields: StructuralFields, found: Found) -> None:
        """A message in a message, and the kinds of message that need a decision of the site."""
        walk, path, start = self._walk, found.component.path, header.body_start
        for kind in fields.kinds:
            if kind in _POLICY_TYPES:
                walk.note(entity, _POLICY_TYPES[kind], path, start)
        if MESSAGE_TYPES.isdisjoint(fields.kinds):
            return
        depth = found.component.depth + 1
        walk.collector.budget.charge_component(depth)
        reading = walk.reading(entity, start, entity.end)
        message = Entity(
            entity.source,
            path,
            path,
            depth,
            start,
            entity.end,
            is_message=True,
            reading=reading,
            further=entity.further,
        )
        if fields.encodings[0] in transfer.IDENTITY:
            walk.add([message])
            return
        # RFC 2046 §5.2.1 forbids it: some readers decode it, some do not.
        walk.note(entity, "mime.message.encoded", path, start)
        source = walk.source(found.content, path)
        walk.add([replace(message, source=source, start=0, end=found.content.size)])
        walk.add_reading(message)

    def _place(
        self, entity: Entity, header: Header, fields: StructuralFields, path: ComponentPath, depth: int
    ) -> Place:
        candidates = names(header, fields)
        if len(candidates) >= MAX_NAMES:  # of many, those behind the limit are not known
            self._walk.note(entity, "name.differ", path, header.body_start)
        if any(len(name.text) > _MAX_NAME_CHARACTERS for name in candidates):
            self._walk.note(entity, "name.too_long", path, header.body_start)
        if any(character < " " for name in candidates for character in name.text):
            self._walk.note(entity, "name.control", path, header.body_start)
        is_raw = entity.source.is_raw
        return Place(
            path,
            entity.parent,
            depth,
            Origin.PART,
            fields.declared,
            candidates,
            offset=header.body_start if is_raw else None,
            encoded_size=max(entity.end, header.body_start) - header.body_start if is_raw else None,
            reading=entity.reading,
            further=entity.further,
        )
