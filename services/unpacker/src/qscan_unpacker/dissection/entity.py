"""Entities of a message and the bytes that they are read from (RFC 2045 §2.4)."""

from dataclasses import dataclass

from qscan_contracts.ids import ComponentPath
from qscan_unpacker.dissection.boundaries import Buffer
from qscan_unpacker.dissection.collecting import MAIN_READING
from qscan_unpacker.dissection.headers import Header
from qscan_unpacker.dissection.holding import HeldContent


@dataclass(frozen=True, slots=True)
class Source:
    """The bytes that entities are read from: the raw message, or something decoded that is a message itself.

    Attributes:
        serial: another one for each source of a message.
        within: the component whose content it is; places are told in that.
        is_raw: whether it is the raw message.
    """

    serial: int
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
