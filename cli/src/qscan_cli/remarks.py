"""What is to be said about one node of the tree: what engines say, defects, rules, and what is done about each."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from qscan_cli.explain import Node
from qscan_contracts.ids import RAW_PATH, FindingId
from qscan_contracts.intake import FindingAnswer, ReportAnswer
from qscan_contracts.vocabulary import RIDERS, STRICTNESS, ActionKind, Disposition

MAX_ALIKE = 3
"""What differs by its place only is shown so often; the rest is counted."""
UNNOTICED = -1
"""The strictness of what nobody notices: it is less than a delivery with a rider."""
_DELIVERS = STRICTNESS[Disposition.DELIVER]


@dataclass(frozen=True)
class Remark:
    """One remark.

    Attributes:
        actions: what the rules of the recipients make of it; empty where the answer does not say.
        text: as the answer has it, of any length; it may quote the message.
    """

    id: FindingId
    actions: tuple[ActionKind, ...]
    text: str

    @property
    def strictness(self) -> int:
        """That of the strictest action."""
        return max(map(_strictness, self.actions), default=_DELIVERS)


def remarks(node: Node) -> Iterator[Remark]:
    """All remarks about a node, the strictest first; of many of a kind only the first and their number."""
    found = sorted(_all(node), key=lambda one: -one.strictness)
    of_kind = Counter((one.id, one.actions) for one in found)
    shown: Counter[tuple[FindingId, tuple[ActionKind, ...]]] = Counter()
    for one in found:
        kind = (one.id, one.actions)
        shown[kind] += 1
        if shown[kind] <= MAX_ALIKE:
            yield one
        elif shown[kind] == MAX_ALIKE + 1:
            yield Remark(one.id, one.actions, f"and {of_kind[kind] - MAX_ALIKE} more of this kind noted here")


def _all(node: Node) -> Iterator[Remark]:
    """What was found, with all actions that it has for some recipient, and reports of which no finding tells."""
    reports = [] if node.component is None else [one for one in node.component.reports if one.outcome != "clean"]
    actions: dict[tuple[FindingId, str], list[ActionKind]] = {}
    for finding in node.findings:
        known = actions.setdefault((finding.id, _text(finding, reports)), [])
        if finding.action not in known:
            known.append(finding.action)
    for report in reports:
        if not any(_is_about(finding, report) for finding in node.findings):
            actions.setdefault((FindingId(report.outcome), _report_text(report)), [])
    for (id_, text), kinds in actions.items():
        yield Remark(id_, tuple(kinds), text)


def _is_about(finding: FindingAnswer, report: ReportAnswer) -> bool:
    """Whether the unpacker made this finding of this report."""
    if report.outcome == "detected":
        return finding.id.endswith(".detected") and finding.detail == report.signature_name
    return finding.source == report.engine and finding.id == f"unscanned.{report.reason}"


def _text(finding: FindingAnswer, reports: Sequence[ReportAnswer]) -> str:
    about = [_report_text(report) for report in reports if _is_about(finding, report)]
    return "; ".join(about) or _finding_text(finding)


def _report_text(report: ReportAnswer) -> str:
    if report.outcome == "detected":
        return f"{report.signature_name or '?'}, says {report.engine}"
    text = f"{report.engine}: {report.detail or report.reason or '?'}"
    return f"{text}; may be had later" if report.retryable else text


def _finding_text(finding: FindingAnswer) -> str:
    seen = ": ".join(text for text in (finding.detail, finding.evidence) if text)
    facts = (seen, _place(finding), finding.rfc, "can hide content" if finding.hides_content else "")
    return "; ".join(fact for fact in facts if fact)


def _place(finding: FindingAnswer) -> str:
    if finding.offset is None:
        return ""
    place = f"at byte {finding.offset}"
    if finding.within != RAW_PATH:
        place += f" of the content of {finding.within}"
    return f"{place}, {finding.length} long" if finding.length else place


def _strictness(kind: ActionKind) -> int:
    if kind in {ActionKind.OFF, ActionKind.LOG}:
        return UNNOTICED
    return _DELIVERS if kind in RIDERS else STRICTNESS[Disposition(kind.value)]
