"""The decision: from reports, findings and policy's tables to a verdict and a disposition per recipient (DESIGN §7).

Pure, and it knows no rule files: policy's decision table says what each fact is worth.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from qscan_contracts.decisions import (
    DECISION_TABLE_VERSION,
    Action,
    DecisionTable,
    Finding,
    FindingRow,
    RecipientGroup,
    ScoreRow,
    SignatureRow,
    SpamMissingRow,
    UnscannedRow,
)
from qscan_contracts.defects import CATALOGUE, Defect
from qscan_contracts.ids import RAW_PATH, FindingId
from qscan_contracts.reports import Clean, Detected, EngineReport, Unscanned
from qscan_contracts.scanning import PolicyAnswer, SpamScore
from qscan_contracts.vocabulary import (
    RIDERS,
    STRICTNESS,
    ActionKind,
    Disposition,
    EngineRole,
    QuarantineClass,
    UnscannedReason,
    Verdict,
)
from qscan_unpacker.domain.aggregation import Failure, Reports

_VERDICT_RANK = {verdict: rank for rank, verdict in enumerate(Verdict)}
_NOT_NAMING = frozenset({ActionKind.OFF, ActionKind.LOG})
"""Findings and unscanned components with these actions do not give the message its name."""
_FINAL_IN_SPITE_OF_MISSING = frozenset({Disposition.QUARANTINE, Disposition.REJECT, Disposition.DISCARD})
_KEPT = frozenset({Disposition.QUARANTINE, Disposition.HOLD})
_NO_ROW = Action(ActionKind.DEFER, text="the site's policy does not say what to do with this message")
CLASS_OF_VERDICT = {
    Verdict.VIRUS: QuarantineClass.VIRUSES,
    Verdict.SPAM: QuarantineClass.SPAM,
    Verdict.POLICY: QuarantineClass.POLICY,
    Verdict.UNSCANNABLE: QuarantineClass.POLICY,
    Verdict.CLEAN: QuarantineClass.POLICY,
}


@dataclass(frozen=True)
class Facts:
    """All that is known of a message when it is decided on.

    Attributes:
        policy: the answer of policy, or why there is none.
        spam: the score, or None where the spam filter was not asked.
    """

    recipient_count: int
    reports: Reports
    defects: tuple[Defect, ...]
    policy: PolicyAnswer | Failure
    spam: SpamScore | None
    spam_required: bool = False


@dataclass(frozen=True)
class Weighed:
    """One fact and what it is worth to some recipients.

    Attributes:
        verdict: the name that this fact would give to the message.
        reason: one line for people.
        sender_text: what the sender may be told when this is why the message is deferred or rejected.
    """

    finding: Finding
    verdict: Verdict
    reason: str
    sender_text: str = ""
    waits: bool = False
    """A required report is missing or may be had later."""

    @property
    def disposition(self) -> Disposition:
        """What the action makes of the message."""
        kind = self.finding.action.kind
        return Disposition.DELIVER if kind in RIDERS else Disposition(kind.value)


@dataclass(frozen=True)
class Decision:
    """What is done with a message.

    Attributes:
        disposition: what the MTA is told.
        per_recipient: one for each recipient, in order.
        findings: everything that was weighed, for the answer; clean reports are no findings.
        sender_text: for `reject` and `defer`, without the code.
        riders: the actions of those who get the message, in order, for the edits.
        quarantine_class: where it is kept, if it is kept for anyone.
    """

    verdict: Verdict
    disposition: Disposition
    per_recipient: tuple[Disposition, ...]
    reason: str
    findings: tuple[Finding, ...]
    sender_text: str
    riders: tuple[Action, ...]
    quarantine_class: QuarantineClass

    @property
    def kept_for(self) -> tuple[int, ...]:
        """Indices of the recipients for whom it goes to the quarantine."""
        return tuple(index for index, disposition in enumerate(self.per_recipient) if disposition in _KEPT)


def decide(facts: Facts) -> Decision:
    """Apply the decision tables. Total: whatever is missing or does not fit together is a defer."""
    groups, problem = _groups(facts)
    if problem is not None:
        return _undecidable(facts, problem)
    weighed = [list(_weigh(group, facts)) for group in groups]
    dispositions = [_disposition(facts_of_group) for facts_of_group in weighed]
    return _combine(facts, groups, weighed, dispositions)


def _groups(facts: Facts) -> tuple[Sequence[RecipientGroup], Failure | None]:
    """Policy's groups, or why they cannot be used."""
    if isinstance(facts.policy, Failure):
        return (), facts.policy
    groups = facts.policy.groups
    if any(group.table.version != DECISION_TABLE_VERSION for group in groups):
        return (), _unusable("policy answered with a decision table of another version")
    indices = sorted(index for group in groups for index in group.indices)
    nobody = facts.recipient_count > 0 and not all(group.indices for group in groups)
    if not groups or nobody or indices != list(range(facts.recipient_count)):
        return (), _unusable("policy's groups do not hold every recipient exactly once")
    return groups, None


def _unusable(detail: str) -> Failure:
    return Failure(UnscannedReason.ENGINE_FAILED, detail)


def _weigh(group: RecipientGroup, facts: Facts) -> Iterator[Weighed]:
    table = group.table
    for finding in group.findings:
        yield Weighed(finding, Verdict.POLICY, finding.detail or finding.id, finding.action.text)
    for report in facts.reports.reports:
        weighed = _weigh_report(report, facts.reports.role_of(report), table)
        if weighed is not None:
            yield weighed
    for defect in facts.defects:
        yield _weigh_defect(defect, table)
    if facts.spam is not None:
        yield from _weigh_spam(facts.spam, table, required=facts.spam_required)


def _weigh_report(report: EngineReport, role: EngineRole, table: DecisionTable) -> Weighed | None:
    match report.outcome:
        case Clean():
            return None
        case Detected(name):
            action = _signature_action(name, role, table)
            finding = Finding(FindingId(f"{role}.detected"), "av", report.path, action, name)
            if role is not EngineRole.VIRUS:  # what the site keeps in is no business of the sender's
                return Weighed(finding, Verdict.POLICY, name, action.text)
            return Weighed(finding, Verdict.VIRUS, name, action.text or f"virus found: {name}")
        case Unscanned(reason, retryable):
            action = next(
                (row.action for row in table.rows if isinstance(row, UnscannedRow) and row.reason == reason), _NO_ROW
            )
            finding = Finding(FindingId(f"unscanned.{reason}"), report.engine, report.path, action, str(reason))
            why = f"{report.engine}: {reason}"
            return Weighed(finding, Verdict.UNSCANNABLE, why, action.text or _unscanned_text(report), waits=retryable)


def _signature_action(name: str, role: EngineRole, table: DecisionTable) -> Action:
    folded = name.lower()
    for row in table.rows:
        if isinstance(row, SignatureRow) and row.role == role and fnmatchcase(folded, row.pattern.lower()):
            return row.action
    return _NO_ROW


def _unscanned_text(report: EngineReport) -> str:
    if isinstance(report.outcome, Unscanned) and report.outcome.retryable:
        return "virus scanner not available, try again later"
    return "message could not be scanned completely"


def _weigh_defect(defect: Defect, table: DecisionTable) -> Weighed:
    action = next(
        (
            row.action
            for row in table.rows
            if isinstance(row, FindingRow)
            and row.hides_content in {None, defect.hides_content}
            and fnmatchcase(defect.id, row.pattern)
        ),
        _NO_ROW,
    )
    kind = CATALOGUE.get(defect.id)
    title = kind.title if kind is not None else defect.id
    finding = Finding(defect.id, "unpacker", defect.component, action, title, defect)
    return Weighed(finding, Verdict.POLICY, title, action.text or "message is malformed")


def _weigh_spam(spam: SpamScore, table: DecisionTable, *, required: bool) -> Iterator[Weighed]:
    if spam.score is None or spam.required is None:
        action = next((row.action for row in table.rows if isinstance(row, SpamMissingRow)), None)
        if required:
            action = Action(ActionKind.DEFER)
        if action is not None:
            finding = Finding(FindingId("spam.missing"), "spam", RAW_PATH, action, "no spam score (?/?)")
            text = "spam filter not available, try again later"
            yield Weighed(finding, Verdict.UNSCANNABLE, "no spam score", text, waits=required)
        return
    for row in table.rows:
        if isinstance(row, ScoreRow):
            threshold = row.absolute if row.absolute is not None else spam.required + row.over_required
            if spam.score >= threshold:
                detail = f"score {spam.score:g} of {spam.required:g}"
                finding = Finding(FindingId("spam.score"), "spam", RAW_PATH, row.action, detail)
                yield Weighed(finding, Verdict.SPAM, detail, row.action.text or "message looks like spam")
                return


def _disposition(weighed: Sequence[Weighed]) -> Disposition:
    """The strictest wins; what may be scanned later waits, unless something in hand settles it (DESIGN §7)."""
    strictest = max((one.disposition for one in weighed), key=STRICTNESS.__getitem__, default=Disposition.DELIVER)
    if any(one.waits for one in weighed) and strictest not in _FINAL_IN_SPITE_OF_MISSING:
        return Disposition.DEFER
    return strictest


def _combine(
    facts: Facts,
    groups: Sequence[RecipientGroup],
    weighed: Sequence[Sequence[Weighed]],
    dispositions: Sequence[Disposition],
) -> Decision:
    """One answer for the MTA out of one disposition per group (DESIGN §7, «After DATA»)."""
    everything = [one for group in weighed for one in group]
    # An envelope without recipients is decided by its only group.
    wanted = [Disposition.DEFER] * facts.recipient_count
    for group, disposition in zip(groups, dispositions, strict=True):
        for index in group.indices:
            wanted[index] = disposition
    overall = _overall(dispositions)
    if overall in {Disposition.DEFER, Disposition.REJECT}:
        wanted = [overall] * facts.recipient_count
    else:
        # Nobody is told of a reject after all: what the others do not get is kept.
        wanted = [Disposition.QUARANTINE if one is Disposition.REJECT else one for one in wanted]
    decisive = _decisive(everything, overall)
    verdict = _verdict(everything)
    riders = tuple(
        dict.fromkeys(
            one.finding.action
            for group, disposition in zip(weighed, dispositions, strict=True)
            if disposition is Disposition.DELIVER
            for one in group
            if one.finding.action.kind in RIDERS
        )
    )
    keeping = _decisive([one for one in everything if one.disposition in _KEPT], overall)
    chosen_class = keeping.finding.action.quarantine_class if keeping is not None else None
    return Decision(
        verdict=verdict,
        disposition=overall,
        per_recipient=tuple(wanted),
        reason=_reason(everything, verdict, decisive),
        findings=tuple(dict.fromkeys(one.finding for one in everything)),
        sender_text=decisive.sender_text if decisive is not None else "",
        riders=riders,
        quarantine_class=chosen_class or CLASS_OF_VERDICT[verdict],
    )


def _overall(dispositions: Sequence[Disposition]) -> Disposition:
    if Disposition.DEFER in dispositions:
        return Disposition.DEFER
    if all(one is Disposition.REJECT for one in dispositions):
        return Disposition.REJECT
    if Disposition.DELIVER in dispositions:
        return Disposition.DELIVER
    for kept in (Disposition.QUARANTINE, Disposition.REJECT, Disposition.HOLD):
        if kept in dispositions:
            return Disposition.HOLD if kept is Disposition.HOLD else Disposition.QUARANTINE
    return Disposition.DISCARD


def _decisive(weighed: Sequence[Weighed], overall: Disposition) -> Weighed | None:
    """The fact that explains the disposition: the strictest, and among equals the worst name."""
    candidates: Sequence[Weighed] = weighed
    if overall is Disposition.DEFER:
        candidates = [one for one in weighed if one.waits or one.disposition is Disposition.DEFER] or weighed
    return max(
        candidates,
        key=lambda one: (STRICTNESS[one.disposition], _VERDICT_RANK[one.verdict]),
        default=None,
    )


def _verdict(weighed: Sequence[Weighed]) -> Verdict:
    named = (
        one.verdict
        for one in weighed
        if one.finding.action.kind not in _NOT_NAMING
        or (one.verdict is Verdict.VIRUS and one.finding.action.kind is not ActionKind.OFF)
        or one.waits
    )
    return max(named, key=_VERDICT_RANK.__getitem__, default=Verdict.CLEAN)


def _reason(weighed: Sequence[Weighed], verdict: Verdict, decisive: Weighed | None) -> str:
    """What named the message; where several did, the one with the strictest action."""
    if verdict is Verdict.CLEAN:
        return "nothing found"
    naming = [one for one in weighed if one.verdict is verdict]
    if decisive is not None and decisive.verdict is verdict:
        return decisive.reason
    return max(naming, key=lambda one: STRICTNESS[one.disposition]).reason


def _undecidable(facts: Facts, problem: Failure) -> Decision:
    """Without policy's word nothing is decided: the sender keeps the message."""
    detected = any(isinstance(report.outcome, Detected) for report in facts.reports.reports)
    action = Action(ActionKind.DEFER)
    finding = Finding(FindingId("policy.missing"), "unpacker", RAW_PATH, action, problem.detail)
    return Decision(
        verdict=Verdict.VIRUS if detected else Verdict.UNSCANNABLE,
        disposition=Disposition.DEFER,
        per_recipient=(Disposition.DEFER,) * facts.recipient_count,
        reason=f"policy: {problem.detail}",
        findings=(finding,),
        sender_text="site policy not available, try again later",
        riders=(),
        quarantine_class=QuarantineClass.POLICY,
    )
