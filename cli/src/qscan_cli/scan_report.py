"""An answer of the intake API for people."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain

from msgspec import UnsetType

from qscan_cli.explain import tree
from qscan_cli.table import printable, screen_width, table
from qscan_cli.tree_drawing import drawing
from qscan_contracts.intake import ComponentAnswer, ReportAnswer, ScanAnswer

_INDENT = "  "


def report(name: str, answer: ScanAnswer) -> str:
    """The whole answer as text without a final line break."""
    return _indented(name, chain(_facts(answer), _recipients(answer), _tables(answer)))


def explanation(name: str, answer: ScanAnswer, *, colours: bool) -> str:
    """The answer with the tree of what was found in the message, as text without a final line break."""
    lines = drawing(tree(answer), width=screen_width() - len(_INDENT), colours=colours)
    engines = {"engines": "\n".join(_engines(answer))}
    return _indented(name, chain(_facts(answer, engines), _recipients(answer), [""], lines))


def _indented(name: str, lines: Iterable[str]) -> str:
    return "\n".join([printable(name), *(f"{_INDENT}{line}".rstrip() for line in lines)])


def _facts(answer: ScanAnswer, more: dict[str, str] | None = None) -> Iterator[str]:
    total_ms = answer.timing_ms.get("total")
    left_out = answer.findings_left_out
    facts = {
        "verdict": answer.verdict.value,
        "disposition": answer.disposition.value,
        "reason": printable(answer.reason) or "nothing was found",
        "spam": _spam(answer),
        "smtp": f"{answer.smtp.code} {answer.smtp.text}" if answer.smtp else "",
        "edits": str(len(answer.edits)) if answer.edits else "",
        "scan": f"{answer.scan_id}, {answer.raw_size} bytes{'' if total_ms is None else f', {total_ms:.0f} ms'}",
        **(more or {}),
        "left out": f"{left_out} findings, those with the mildest actions; all were decided on" if left_out else "",
    }
    width = max(len(fact) for fact in facts)
    for fact, value in facts.items():
        name = fact
        for line in value.splitlines():
            yield f"{name:{width}}  {line}"
            name = ""


def _recipients(answer: ScanAnswer) -> Iterator[str]:
    differing = [one for one in answer.recipients if one.disposition != answer.disposition]
    if differing:
        yield ""
        yield from table(
            ("recipient", "disposition"),
            [(printable(one.rcpt_to), one.disposition.value) for one in answer.recipients],
        ).splitlines()


def _tables(answer: ScanAnswer) -> Iterator[str]:
    if answer.findings:
        yield ""
        yield from table(
            ("finding", "in", "from", "action", "detail"),
            [
                (one.id, path(one.component), printable(one.source), one.action.value, printable(one.detail))
                for one in answer.findings
            ],
        ).splitlines()
    if not isinstance(answer.components, UnsetType):
        yield ""
        yield from table(
            ("component", "origin", "name", "type", "bytes", "engines say"),
            [_component(one) for one in answer.components],
        ).splitlines()


def _engines(answer: ScanAnswer) -> Iterator[str]:
    """A line for each engine: what it is, and how often it said what."""
    said: dict[str, Counter[str]] = {}
    for component in () if isinstance(answer.components, UnsetType) else answer.components:
        for one in component.reports:
            signatures = f", signatures {one.signatures_version}" if one.signatures_version else ""
            said.setdefault(printable(f"{one.engine} {one.engine_version}".strip() + signatures), Counter())[
                one.outcome
            ] += 1
    for engine, outcomes in said.items():
        yield f"{engine}: {', '.join(f'{count} {outcome}' for outcome, count in outcomes.most_common())}"


def path(component: str) -> str:
    """A component's path for people; the raw message has none."""
    return component or "raw"


def outcome(one: ReportAnswer) -> str:
    """What an engine says, in a few words."""
    match one.outcome:
        case "detected":
            what = printable(one.signature_name or "?")
        case "unscanned":
            what = f"unscanned ({one.reason.value if one.reason else '?'})"
        case clean:
            what = clean
    return f"{one.engine}: {what}"


def _component(one: ComponentAnswer) -> tuple[str, ...]:
    kind = one.content_type
    if one.detected_type and one.detected_type != one.content_type:
        kind = f"{kind} (really {one.detected_type})" if kind else one.detected_type
    return (
        path(one.path),
        one.origin.value,
        printable(" | ".join(one.names)),
        printable(kind),
        str(one.size),
        "\n".join(outcome(report) for report in one.reports) or "not asked",
    )


def _spam(answer: ScanAnswer) -> str:
    if answer.spam is None:
        return ""
    if answer.spam.score is None:
        return "?/? (no answer from the spam filter)"
    return f"{answer.spam.score:g}/{answer.spam.required or 0:g} ({printable(answer.spam.engine)})"
