"""The answer of the intake API, from what was found and decided (DESIGN §4)."""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from qscan_contracts.components import Component
from qscan_contracts.decisions import Finding
from qscan_contracts.envelope import Envelope
from qscan_contracts.ids import ComponentPath, ScanId
from qscan_contracts.intake import (
    OMITTED,
    ComponentAnswer,
    Edit,
    FindingAnswer,
    RecipientAnswer,
    ReportAnswer,
    ScanAnswer,
    SmtpReply,
    SpamScoreAnswer,
)
from qscan_contracts.reports import Clean, Detected, EngineReport, Unscanned
from qscan_contracts.scanning import SpamScore
from qscan_contracts.texts import one_line, printable_ascii
from qscan_contracts.vocabulary import RIDERS, STRICTNESS, ActionKind, Disposition
from qscan_unpacker.domain.decision import Decision

REJECT_CODE, DEFER_CODE = 554, 451
MAX_TEXT = 200
"""The MTA keeps 255 bytes of the whole line (facts §1.3); the class letter and our codes need some of them."""
MAX_EVIDENCE = 400
"""What was seen may be two long file names that differ at their ends."""
MAX_FINDINGS = 1_000
_UNNOTICED = frozenset({ActionKind.OFF, ActionKind.LOG})


def smtp_reply(disposition: Disposition, text: str) -> SmtpReply | None:
    """What the client is told for `reject` and `defer`; the text is generic, the cause is in the log."""
    if disposition is Disposition.REJECT:
        return SmtpReply(REJECT_CODE, f"{clean_line(text or 'message refused by site policy', MAX_TEXT)} (#5.7.1)")
    if disposition is Disposition.DEFER:
        text = text or "message could not be scanned now, try again later"
        return SmtpReply(DEFER_CODE, f"{clean_line(text, MAX_TEXT)} (#4.3.0)")
    return None


def clean_line(text: str, max_length: int) -> str:
    """Text that is safe in an SMTP line, a header or a log, cut."""
    return printable_ascii(text)[:max_length]


def answer(
    *,
    scan_id: ScanId,
    envelope: Envelope,
    decision: Decision,
    edits: tuple[Edit, ...],
    components: Iterable[Component] | None,
    reports: Iterable[EngineReport],
    spam: SpamScore | None,
    raw: Component,
    rules_version: str,
    timing_ms: dict[str, float],
) -> ScanAnswer:
    """Put the answer together. `components` is None with ``?detail=decision``."""
    findings = strictest(decision.findings, MAX_FINDINGS)
    return ScanAnswer(
        scan_id=scan_id,
        verdict=decision.verdict,
        disposition=decision.disposition,
        reason=clean_line(decision.reason, MAX_TEXT),
        recipients=tuple(
            RecipientAnswer(index, rcpt_to, decision.per_recipient[index], rcpt_to)
            for index, rcpt_to in enumerate(envelope.rcpt_to)
        ),
        smtp=smtp_reply(decision.disposition, decision.sender_text),
        edits=edits,
        findings=tuple(_finding(finding) for finding in findings),
        findings_left_out=len(decision.findings) - len(findings),
        components=OMITTED if components is None else tuple(_components(components, reports)),
        spam=None if spam is None else SpamScoreAnswer(spam.engine, spam.score, spam.required, spam.symbols),
        raw_size=raw.size,
        raw_sha256=raw.sha256,
        rules_version=rules_version,
        timing_ms=timing_ms,
    )


def strictest(findings: Sequence[Finding], max_findings: int) -> Sequence[Finding]:
    """At most `max_findings`, in their order: of too many those that explain the disposition.

    Among equals each id comes before those told already: a limit is named once, what it left out a thousand times.
    """
    if len(findings) <= max_findings:
        return findings
    ids: set[str] = set()
    ranked = []
    for index, finding in enumerate(findings):
        ranked.append((-_strictness(finding.action.kind), finding.id in ids, index))
        ids.add(finding.id)
    return [findings[index] for index in sorted(index for _, _, index in sorted(ranked)[:max_findings])]


def _strictness(kind: ActionKind) -> int:
    """That of the disposition; riders that nobody notices count least."""
    if kind in _UNNOTICED:
        return -1
    return STRICTNESS[Disposition.DELIVER if kind in RIDERS else Disposition(kind.value)]


def _finding(finding: Finding) -> FindingAnswer:
    told = FindingAnswer(
        finding.id,
        finding.source,
        finding.component,
        finding.action.kind,
        clean_line(finding.detail, MAX_TEXT),
    )
    defect = finding.defect
    if defect is None:
        return told
    return replace(
        told,
        evidence=one_line(defect.detail, MAX_EVIDENCE),
        offset=defect.offset,
        length=defect.length,
        within=defect.within,
        rfc=defect.rfc,
        hides_content=defect.hides_content,
    )


def _components(components: Iterable[Component], reports: Iterable[EngineReport]) -> Iterable[ComponentAnswer]:
    by_path: dict[ComponentPath, list[ReportAnswer]] = {}
    for report in reports:
        by_path.setdefault(report.path, []).append(_report(report))
    for one in components:
        names = tuple(dict.fromkeys(name.text for name in one.names))
        yield ComponentAnswer(
            one.path,
            one.parent,
            one.origin,
            names,
            one.content_type,
            one.detected_type,
            one.size,
            one.sha256,
            tuple(by_path.get(one.path, ())),
            one.encrypted,
            one.offset,
            one.encoded_size,
        )


def _report(report: EngineReport) -> ReportAnswer:
    outcome, signature_name, reason, retryable, detail = "clean", None, None, False, ""
    match report.outcome:
        case Clean():
            pass
        case Detected(name):
            outcome, signature_name = "detected", name
        case Unscanned(why, may_retry, more):
            outcome, reason, retryable, detail = "unscanned", why, may_retry, one_line(more, MAX_EVIDENCE)
    return ReportAnswer(
        report.engine,
        report.engine_version,
        report.signatures_version,
        outcome,
        signature_name,
        reason,
        retryable,
        report.cached,
        detail,
    )
