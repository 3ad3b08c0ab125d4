"""Findings, actions and the decision table that policy hands back (DESIGN §7)."""

from msgspec import Struct

from qscan_contracts.defects import Defect
from qscan_contracts.ids import ComponentPath, FindingId
from qscan_contracts.vocabulary import ActionKind, EngineRole, QuarantineClass, UnscannedReason

DECISION_TABLE_VERSION = 1
"""The unpacker applies tables of this version only; any other makes it defer."""


class Action(Struct, frozen=True, omit_defaults=True):
    """What a rule asks for.

    Attributes:
        text: for `reject` and `defer` what the sender is told, printable ASCII without the code; else for people.
        subject_tag: for `tag`, put in front of the subject.
        header_fields: for `tag`, (name, value) of fields to add on top.
        redirect_to: for `redirect`.
        quarantine_class: for `quarantine` and `hold`; absent means by the verdict.
    """

    kind: ActionKind
    text: str = ""
    subject_tag: str = ""
    header_fields: tuple[tuple[str, str], ...] = ()
    redirect_to: str = ""
    quarantine_class: QuarantineClass | None = None


class Finding(Struct, frozen=True, omit_defaults=True):
    """Something that a rule or the dissector noticed, with what is to be done about it.

    Attributes:
        id: dotted and stable, like ``mime.boundary.duplicate`` or ``rule.block-eicar-name``.
        source: who found it: ``unpacker``, ``policy``, ``spam``, ``av``.
        component: the path of the component concerned; ``""`` for the message.
        detail: one line for people, from the rule. Cleaned of control characters.
        defect: what the dissector noted, where that is what the finding is about: its place and its rule.
    """

    id: FindingId
    source: str
    component: ComponentPath
    action: Action
    detail: str = ""
    defect: Defect | None = None


class SignatureRow(Struct, frozen=True, tag="signature"):
    """A detection by an engine of `role` whose signature name matches the shell pattern (case-insensitive)."""

    pattern: str
    action: Action
    role: EngineRole = EngineRole.VIRUS


class UnscannedRow(Struct, frozen=True, tag="unscanned"):
    """An unscanned report with this reason."""

    reason: UnscannedReason
    action: Action


class FindingRow(Struct, frozen=True, tag="finding"):
    """A defect of the dissector whose id matches the shell pattern.

    `hides_content`: where set, the row is only for defects whose flag is the same.
    """

    pattern: str
    action: Action
    hides_content: bool | None = None


class ScoreRow(Struct, frozen=True, tag="score"):
    """A spam score of at least `over_required` above what the filter requires, or `absolute` where that is set."""

    action: Action
    over_required: float = 0.0
    absolute: float | None = None


class SpamMissingRow(Struct, frozen=True, tag="spam_missing"):
    """The spam filter was asked and gave no score (``?/?``). Without such a row the message passes."""

    action: Action


Row = SignatureRow | UnscannedRow | FindingRow | ScoreRow | SpamMissingRow


class DecisionTable(Struct, frozen=True):
    """For what policy cannot see: fact → action. Among rows of one kind the first that matches counts.

    A detection or an unscanned report that no row matches is a defer: the table must be complete.
    """

    version: int
    rows: tuple[Row, ...]


class RecipientGroup(Struct, frozen=True):
    """Recipients with equal rules. `indices` count from 0 in the envelope; empty only for an empty envelope."""

    indices: tuple[int, ...]
    findings: tuple[Finding, ...]
    table: DecisionTable
