"""What the structural fields of a header say, in every reading of each (RFC 2045 §5 and §6, RFC 2183)."""

from collections.abc import Iterable
from dataclasses import dataclass

from qscan_contracts.components import CandidateName
from qscan_unpacker.dissection.continuations import continued
from qscan_unpacker.dissection.file_names import candidate_names
from qscan_unpacker.dissection.headers import Field, Header
from qscan_unpacker.dissection.structured import Structured, encodings, media_types, readings


@dataclass(frozen=True, slots=True)
class StructuralFields:
    """Every reading of what says how an entity is to be read, the regular one first.

    Attributes:
        raw_types: the values of Content-Type as they stand.
        types: their readings.
        kinds: the media types, lower case; the first is what holds without a Content-Type where there is none.
        encodings: the transfer encodings, lower case; ``b""`` where none is given.
        dispositions: the readings of Content-Disposition.
        is_declared: whether there is a Content-Type.
    """

    raw_types: list[bytes]
    types: list[Structured]
    kinds: list[bytes]
    encodings: list[bytes]
    dispositions: list[Structured]
    is_declared: bool

    @property
    def declared(self) -> str:
        """The declared type as text, ``""`` for none."""
        return self.kinds[0].decode("ascii", errors="replace") if self.is_declared else ""

    @property
    def charset(self) -> str:
        """The declared charset, the first of them; ``""`` for none."""
        for one in self.types:
            for value in one.parameter(b"charset"):
                return value.decode("ascii", errors="replace")
            for text in continued(one.parameters, b"charset"):
                return text
        return ""

    @property
    def is_multipart(self) -> bool:
        """Whether the main reading is a multipart."""
        return self.kinds[0].startswith(b"multipart")

    @property
    def may_be_multipart(self) -> bool:
        """Whether some reading is a multipart."""
        return any(kind.startswith(b"multipart") for kind in self.kinds)

    @property
    def may_be_leaf(self) -> bool:
        """Whether some reading is no multipart."""
        return not all(kind.startswith(b"multipart") for kind in self.kinds)


def structural_fields(header: Header, loose: list[Field], default_type: bytes) -> StructuralFields:
    """The readings of the fields of `header`, and of those that only some readers find in it (`loose`)."""
    raw_types = [*header.values(b"content-type"), *_values(loose, b"content-type")]
    types = _readings(raw_types)
    raw_encodings = header.values(b"content-transfer-encoding")
    named = encodings(_readings([*raw_encodings, *_values(loose, b"content-transfer-encoding")]))
    is_declared = bool(header.values(b"content-type"))
    kinds = media_types(types)
    return StructuralFields(
        raw_types,
        types,
        kinds if is_declared else list(dict.fromkeys([default_type, *kinds])),
        named if raw_encodings else list(dict.fromkeys([b"", *named])),
        _readings([*header.values(b"content-disposition"), *_values(loose, b"content-disposition")]),
        is_declared,
    )


def names(header: Header, fields: StructuralFields) -> tuple[CandidateName, ...]:
    """Every name that the header gives to its body."""
    descriptions, locations = header.values(b"content-description"), header.values(b"content-location")
    if not fields.types and not fields.dispositions and not descriptions and not locations:
        return ()
    lost_in_type = any(one.is_irregular for one in fields.types)
    lost_in_disposition = any(one.is_irregular for one in fields.dispositions)
    return candidate_names(
        fields.types,
        fields.dispositions,
        raw_types=fields.raw_types if lost_in_type else (),
        raw_dispositions=header.values(b"content-disposition") if lost_in_disposition else (),
        descriptions=descriptions,
        locations=locations,
    )


def _readings(values: Iterable[bytes]) -> list[Structured]:
    return [reading for value in values for reading in readings(value)]


def _values(fields: list[Field], name: bytes) -> list[bytes]:
    return [field.value for field in fields if field.name == name]
