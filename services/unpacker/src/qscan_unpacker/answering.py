"""The answer of the intake API, from what was found and decided (DESIGN §4)."""

from collections.abc import Iterable

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
from qscan_contracts.texts import printable_ascii
from qscan_contracts.vocabulary import ActionKind, Disposition
from qscan_unpacker.domain.decision import Decision

REJECT_CODE, DEFER_CODE = 554, 451
MAX_TEXT = 200
"""The MTA keeps 255 bytes of the whole line (facts §1.3); the class letter and our codes need some of them."""
MAX_FINDINGS = 1_000


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
        findings=tuple(_finding(finding) for finding in decision.findings[:MAX_FINDINGS]),
        components=OMITTED if components is None else tuple(_components(components, reports)),
        spam=None if spam is None else SpamScoreAnswer(spam.engine, spam.score, spam.required, spam.symbols),
        raw_size=raw.size,
        raw_sha256=raw.sha256,
        rules_version=rules_version,
        timing_ms=timing_ms,
    )


def _finding(finding: Finding) -> FindingAnswer:
    action: ActionKind = finding.action.kind
    return FindingAnswer(finding.id, finding.source, finding.component, action, clean_line(finding.detail, MAX_TEXT))


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
        )


def _report(report: EngineReport) -> ReportAnswer:
    outcome, signature_name, reason, retryable = "clean", None, None, False
    match report.outcome:
        case Clean():
            pass
        case Detected(name):
            outcome, signature_name = "detected", name
        case Unscanned(why, may_retry):
            outcome, reason, retryable = "unscanned", why, may_retry
    return ReportAnswer(
        report.engine,
        report.engine_version,
        report.signatures_version,
        outcome,
        signature_name,
        reason,
        retryable,
        report.cached,
    )
