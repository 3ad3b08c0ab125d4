"""Components: everything that is scanned."""

from msgspec import Struct

from qscan_contracts.ids import ComponentPath, Sha256
from qscan_contracts.vocabulary import NameSource, Origin


class CandidateName(Struct, frozen=True, array_like=True):
    """A file name that some reading of the headers gives.

    `text` is decoded as that reading does; `source` says which header it came from. Personal: never in a log.
    """

    text: str
    source: NameSource


class Component(Struct, frozen=True, omit_defaults=True):
    """One thing to scan: a decoded part, an archive member, a preamble and so on.

    Attributes:
        path: decimal indices joined by ``.``; ``""`` is the raw message.
        parent: the path of the component or entity that it was found in; ``None`` for the raw message.
        depth: the number of containers around it; 0 for the raw message.
        size: bytes of the decoded content; what its container states where the content could not be had.
        sha256: of the decoded content; ``""`` where it could not be had: then the unpacker reports why.
        content_type: the declared type, lower case, ``type/subtype``; ``""`` when nothing is declared.
        detected_type: the type by content, ``""`` when unknown.
        encrypted: the content could not be read without a key that we do not have.
        offset: where the encoded content begins in the raw message, in bytes; ``None`` when it is not literally there.
        encoded_size: how many bytes of the raw message it takes there.
    """

    path: ComponentPath
    parent: ComponentPath | None
    depth: int
    origin: Origin
    size: int
    sha256: Sha256
    names: tuple[CandidateName, ...] = ()
    content_type: str = ""
    detected_type: str = ""
    encrypted: bool = False
    offset: int | None = None
    encoded_size: int | None = None


class Inline(Struct, frozen=True, tag="inline"):
    """Content that rides in the request."""

    data: bytes


class ByReference(Struct, frozen=True, tag="reference"):
    """Content that the worker pulls in chunks from the unpacker that holds it.

    `subject` is that unpacker's chunk subject; `token` is an unguessable name for the bytes, valid while the job
    runs. Whoever reads verifies size and SHA-256 (given beside it) before the result counts.
    """

    subject: str
    token: str


Content = Inline | ByReference


class ComponentContent(Struct, frozen=True):
    """A component and the way to its bytes."""

    component: Component
    content: Content


class ChunkRequest(Struct, frozen=True, array_like=True):
    """A worker asks for `length` bytes from `offset` of the content called `token`."""

    token: str
    offset: int
    length: int


class Chunk(Struct, frozen=True, array_like=True):
    """The bytes asked for; `found` is false when the unpacker no longer holds that content."""

    found: bool
    data: bytes = b""
