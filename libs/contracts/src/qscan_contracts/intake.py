"""The intake API (DESIGN §4): the envelope of a framed request, and the answer."""

from msgspec import UNSET, Struct, UnsetType

from qscan_contracts.envelope import Envelope
from qscan_contracts.ids import RAW_PATH, ComponentPath, FindingId, ScanId, Sha256
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
    """A finding as it is told. What stands below `detail` is known of the dissector's defects only.

    Attributes:
        detail: one line for people: the rule's text, the signature's name, what kind of defect it is.
        evidence: what was seen there, in one line for people: which limit, which names ….
        offset: where, in bytes from the start of the content of `within`.
        length: bytes concerned; 0 for «here».
        within: the path of the component in whose decoded content that is; ``""`` is the raw message.
        rfc: the rule that is broken, for example ``RFC 2046 §5.1.1``; may be ``""`` for a defect, too.
        hides_content: whether readers that differ here may see content that another does not see.
    """

    id: FindingId
    source: str
    component: ComponentPath
    action: ActionKind
    detail: str
    evidence: str = ""
    offset: int | None = None
    length: int | None = None
    within: ComponentPath = RAW_PATH
    rfc: str = ""
    hides_content: bool | None = None


class ReportAnswer(Struct, frozen=True):
    """An engine's report as it is told; `outcome` is ``clean``, ``detected`` or ``unscanned``.

    `detail` says more about `reason`, in one line for people: which limit was hit, what the engine said. It is for
    those who may see the answer as a whole, so for nobody who only sends mail.
    """

    engine: str
    engine_version: str
    signatures_version: str
    outcome: str
    signature_name: str | None
    reason: UnscannedReason | None
    retryable: bool
    cached: bool
    detail: str = ""


class ComponentAnswer(Struct, frozen=True):
    """A component as it is told.

    Attributes:
        parent: the path of the component or entity that it was found in; null for the raw message.
        names: every candidate file name.
        size: bytes of the decoded content; what its container states where `sha256` is empty.
        sha256: of the decoded content; ``""`` where that could not be had: then a report of the unpacker says why.
        encrypted: the content could not be read without a key that qscan does not have.
        offset: where the encoded content begins in the raw message, in bytes; null when it is not literally there.
        encoded_size: how many bytes of the raw message it takes there.
    """

    path: ComponentPath
    parent: ComponentPath | None
    origin: Origin
    names: tuple[str, ...]
    content_type: str
    detected_type: str
    size: int
    sha256: Sha256
    reports: tuple[ReportAnswer, ...]
    encrypted: bool = False
    offset: int | None = None
    encoded_size: int | None = None


class SpamScoreAnswer(Struct, frozen=True):
    """The spam filter's score; both numbers are null where it gave none (``?/?``)."""

    engine: str
    score: float | None
    required: float | None
    symbols: tuple[str, ...]


class ScanAnswer(Struct, frozen=True, kw_only=True):
    """The answer to a scan.

    Attributes:
        findings: those with the strictest actions, where there are too many for an answer.
        findings_left_out: how many more there were; all of them counted for the decision.
        components: left out (`OMITTED`) with ``?detail=decision``.
    """

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
    findings_left_out: int = 0


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
