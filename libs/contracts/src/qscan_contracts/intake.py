"""The intake API (DESIGN §4): the envelope of a framed request, and the answer."""

from msgspec import UNSET, Struct, UnsetType

from qscan_contracts.envelope import Envelope
from qscan_contracts.ids import ComponentPath, FindingId, ScanId, Sha256
from qscan_contracts.vocabulary import ActionKind, Disposition, Effects, Origin, UnscannedReason, Verdict

FRAMED_CONTENT_TYPE = "application/vnd.qscan.scan"
RAW_CONTENT_TYPE = "message/rfc822"
ENVELOPE_SIZE_HEADER = "X-Qscan-Envelope-Size"
MIN_ENVELOPE_BYTES = 2
MAX_ENVELOPE_BYTES = 8 * 1024 * 1024
PROBLEM_CONTENT_TYPE = "application/problem+json"
OMITTED = UNSET


class FramedEnvelope(Envelope, frozen=True, omit_defaults=True, kw_only=True):
    """The JSON in front of a framed message. `deadline_ms`: how long the sender will wait for the answer."""

    scan_id: ScanId | None = None
    deadline_ms: int | None = None
    effects: Effects = Effects.FULL


class RecipientAnswer(Struct, frozen=True):
    """What is done for one recipient. `deliver_to` differs from `rcpt_to` where a rule redirects."""

    index: int
    rcpt_to: str
    disposition: Disposition
    deliver_to: str


class SmtpReply(Struct, frozen=True):
    """What the MTA is to tell the client: `code` 451 or 554, `text` printable ASCII that ends in the (#x.y.z) code."""

    code: int
    text: str


class Edit(Struct, frozen=True):
    """Replace `delete` bytes at `offset` of the raw message by `insert` (base64 in JSON)."""

    offset: int
    delete: int
    insert: bytes


class FindingAnswer(Struct, frozen=True):
    """A finding as it is told."""

    id: FindingId
    source: str
    component: ComponentPath
    action: ActionKind
    detail: str


class ReportAnswer(Struct, frozen=True):
    """An engine's report as it is told; `outcome` is ``clean``, ``detected`` or ``unscanned``."""

    engine: str
    engine_version: str
    signatures_version: str
    outcome: str
    signature_name: str | None
    reason: UnscannedReason | None
    retryable: bool
    cached: bool


class ComponentAnswer(Struct, frozen=True):
    """A component as it is told; `names` holds every candidate file name."""

    path: ComponentPath
    parent: ComponentPath | None
    origin: Origin
    names: tuple[str, ...]
    content_type: str
    detected_type: str
    size: int
    sha256: Sha256
    reports: tuple[ReportAnswer, ...]


class SpamScoreAnswer(Struct, frozen=True):
    """The spam filter's score; both numbers are null where it gave none (``?/?``)."""

    engine: str
    score: float | None
    required: float | None
    symbols: tuple[str, ...]


class ScanAnswer(Struct, frozen=True, kw_only=True):
    """The answer to a scan. `components` is left out (`OMITTED`) with ``?detail=decision``."""

    scan_id: ScanId
    verdict: Verdict
    disposition: Disposition
    reason: str
    recipients: tuple[RecipientAnswer, ...]
    smtp: SmtpReply | None
    edits: tuple[Edit, ...]
    findings: tuple[FindingAnswer, ...]
    components: tuple[ComponentAnswer, ...] | UnsetType = UNSET
    spam: SpamScoreAnswer | None
    raw_size: int
    raw_sha256: Sha256
    rules_version: str
    timing_ms: dict[str, float]


class Decision(Struct, frozen=True, kw_only=True):
    """The part of a `ScanAnswer` that a program needs to act; it decodes from one with or without components."""

    scan_id: ScanId
    verdict: Verdict
    disposition: Disposition
    reason: str
    recipients: tuple[RecipientAnswer, ...]
    smtp: SmtpReply | None
    edits: tuple[Edit, ...]
    raw_size: int
    raw_sha256: Sha256


class Problem(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An RFC 9457 problem document. `detail` says what to do."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    scan_id: ScanId | None = None
