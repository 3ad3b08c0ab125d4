"""Requests and replies of scanning: what the unpacker asks and what the services answer (DESIGN §6)."""

from msgspec import Struct

from qscan_contracts.components import Component, ComponentContent, Content
from qscan_contracts.decisions import RecipientGroup
from qscan_contracts.defects import Defect
from qscan_contracts.envelope import Envelope
from qscan_contracts.ids import JobId, ScanId, Sha256
from qscan_contracts.reports import EngineCard, EngineReport
from qscan_contracts.vocabulary import EngineRole

MAX_REQUEST_BYTES = 512 * 1024
MAX_REQUEST_COMPONENTS = 64
MAX_INLINE_BYTES = 256 * 1024
"""Components up to this size ride in the request; larger ones are pulled in chunks."""
CHUNK_BYTES = 256 * 1024
PROGRESS_EVERY_S = 2.0
"""A worker that needs longer than this says so, and goes on saying so."""
SILENCE_S = 6.0
"""After this long without a word the worker counts as dead."""


class Job(Struct, frozen=True):
    """What every request carries. `timeout_ms`: what is left of the message's deadline when it was sent."""

    id: JobId
    scan_id: ScanId
    timeout_ms: int


class AvRequest(Struct, frozen=True):
    """Scan each of these components with every engine of each of these roles."""

    job: Job
    roles: tuple[EngineRole, ...]
    components: tuple[ComponentContent, ...]


class AvAnswer(Struct, frozen=True, tag="av"):
    """Exactly one report for each pair of a component that was asked and an engine in `engines`."""

    engines: tuple[EngineCard, ...]
    reports: tuple[EngineReport, ...]


class MessageStructure(Struct, frozen=True):
    """All that policy sees of a message.

    Attributes:
        header_block: the bytes of the top header, at most the unpacker's `max_header_bytes`.
        raw_size: bytes of the raw message.
    """

    envelope: Envelope
    header_block: bytes
    components: tuple[Component, ...]
    defects: tuple[Defect, ...]
    raw_size: int


class PolicyRequest(Struct, frozen=True):
    """Evaluate the rules. `structure` holds an encoded `MessageStructure` of `size` bytes with this `sha256`."""

    job: Job
    structure: Content
    size: int
    sha256: Sha256


class PolicyAnswer(Struct, frozen=True, tag="policy"):
    """Every recipient's index is in exactly one group; an empty envelope has one group without indices."""

    rules_version: str
    groups: tuple[RecipientGroup, ...]


class SpamRequest(Struct, frozen=True):
    """Score the raw message. `recipient` only where there is exactly one (facts §4.3)."""

    job: Job
    raw: Content
    size: int
    sha256: Sha256
    envelope: Envelope


class SpamScore(Struct, frozen=True):
    """What a spam filter says. Without a score (too big, failed, absent) both numbers are ``None``: ``?/?``."""

    engine: str
    score: float | None
    required: float | None
    symbols: tuple[str, ...] = ()
    detail: str = ""


class SpamAnswer(Struct, frozen=True, tag="spam"):
    """The one score."""

    score: SpamScore


class Progress(Struct, frozen=True, tag="progress"):
    """The worker is alive and still at it."""


class Busy(Struct, frozen=True, tag="busy"):
    """The worker is full; ask again after a while, or ask another."""


class Refused(Struct, frozen=True, tag="refused"):
    """The worker cannot do this job at all: it is not ready, or it could not read the request."""

    detail: str


Reply = Progress | Busy | Refused | AvAnswer | PolicyAnswer | SpamAnswer
