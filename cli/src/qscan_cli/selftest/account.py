"""What happened to a message, in a sentence for people: what the table has no room for."""

from collections.abc import Iterator

from msgspec import UnsetType

from qscan_cli.selftest.expectations import Outcome
from qscan_cli.table import printable
from qscan_contracts.intake import ComponentAnswer

_TOLD_FIELDS = (b"X-Spam-Status:", b"Subject:")


def account(outcome: Outcome) -> str:
    """One line; empty when there is nothing to tell."""
    return "; ".join(part for part in _parts(outcome) if part)


def _parts(outcome: Outcome) -> Iterator[str]:
    yield _rules(outcome)
    yield _engines(outcome)
    yield _delivery(outcome)


def _rules(outcome: Outcome) -> str:
    found = [one for one in outcome.answer.findings if one.id.startswith("rule.")]
    return ", ".join(f"{one.id} fits component {one.component or 'raw'}" for one in found)


def _engines(outcome: Outcome) -> str:
    components = outcome.answer.components
    if isinstance(components, UnsetType):
        return ""
    reports = [(component, report) for component in components for report in component.reports]
    hits: dict[str, list[str]] = {}
    for component, report in reports:
        if report.outcome == "detected":
            found = f"{report.engine} found {printable(report.signature_name or '?')}"
            hits.setdefault(found, []).append(_place(component))
    if hits:
        return ", ".join(f"{found} in {' and in '.join(places)}" for found, places in hits.items())
    engines = " and ".join(dict.fromkeys(report.engine for _, report in reports if report.outcome == "clean"))
    return f"{engines} says clean of all {len(components)} components" if engines else ""


def _place(component: ComponentAnswer) -> str:
    if not component.path:
        return "the raw message"
    name = f" ({printable(component.names[0])})" if component.names else ""
    return f"component {component.path}{name}"


def _delivery(outcome: Outcome) -> str:
    if outcome.recorded is None or outcome.recorded == outcome.message.content:
        return ""
    header = outcome.recorded.partition(b"\n\n")[0].split(b"\n")
    told = [line.decode("ascii", "replace") for line in header if line.startswith(_TOLD_FIELDS)]
    return f"arrived with {' and '.join(printable(line) for line in told)}" if told else "arrived with edits"
