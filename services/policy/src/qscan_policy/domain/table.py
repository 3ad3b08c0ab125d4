"""The decision table: actions for what policy cannot see, and the proof that it has an answer to everything."""

from collections.abc import Iterator, Sequence

from qscan_contracts.decisions import (
    DECISION_TABLE_VERSION,
    DecisionTable,
    FindingRow,
    Row,
    ScoreRow,
    SignatureRow,
    SpamMissingRow,
    UnscannedRow,
)
from qscan_contracts.defects import CATALOGUE
from qscan_contracts.vocabulary import RETRYABLE_REASONS, RIDERS, ActionKind, EngineRole, UnscannedReason
from qscan_policy.domain.actions import action_problems, kind_of, to_action
from qscan_policy.domain.entries import DecisionsEntry, DefectEntry, ScoreEntry, SpamEntry
from qscan_policy.domain.patterns import id_matches
from qscan_policy.domain.problems import Path, Problem

_OVERRULED_BY_WAITING = RIDERS | {ActionKind.HOLD}
"""What the unpacker makes a defer of as long as another try may help (DESIGN §7)."""


def compile_table(decisions: DecisionsEntry) -> DecisionTable:
    """The rows in the order of the file, which is the order in which they count."""
    rows: list[Row] = [
        SignatureRow(entry.pattern, to_action(entry.action), entry.role) for entry in decisions.signatures
    ]
    rows += [UnscannedRow(reason, to_action(action)) for reason, action in decisions.unscanned.items()]
    rows += [FindingRow(entry.pattern, to_action(entry.action), entry.hides_content) for entry in decisions.defects]
    rows += [
        ScoreRow(to_action(entry.action), over_required=entry.over_required or 0.0, absolute=entry.absolute)
        for entry in decisions.spam.scores
    ]
    if decisions.spam.missing is not None:
        rows.append(SpamMissingRow(to_action(decisions.spam.missing)))
    return DecisionTable(DECISION_TABLE_VERSION, tuple(rows))


def table_problems(decisions: DecisionsEntry, path: Path) -> Iterator[Problem]:
    """What is wrong with the decisions at `path`: every reason, detection and defect must meet a row."""
    for index, signature in enumerate(decisions.signatures):
        yield from action_problems(signature.action, (*path, "signatures", index, "action"))
    for role in EngineRole:
        if not any(entry.role is role and not entry.pattern.strip("*") for entry in decisions.signatures):
            yield Problem(
                (*path, "signatures"),
                f"a detection by an engine of role {role} may meet no row:"
                f" add {{pattern: '*', role: {role}, action: …}}",
            )
    yield from _unscanned_problems(decisions, (*path, "unscanned"))
    yield from _defect_problems(decisions.defects, (*path, "defects"))
    yield from _spam_problems(decisions.spam, (*path, "spam"))


def _unscanned_problems(decisions: DecisionsEntry, path: Path) -> Iterator[Problem]:
    missing = [reason for reason in UnscannedReason if reason not in decisions.unscanned]
    if missing:
        yield Problem(path, f"no action for {', '.join(missing)}: add a line for each")
    for reason, action in decisions.unscanned.items():
        yield from action_problems(action, (*path, reason.value))
        if reason in RETRYABLE_REASONS and kind_of(action) in _OVERRULED_BY_WAITING:
            yield Problem(
                (*path, reason.value),
                f"{reason} passes by itself, so a message is never delivered or held because of it: "
                "use defer, or reject, quarantine or discard",
            )


def _defect_problems(entries: Sequence[DefectEntry], path: Path) -> Iterator[Problem]:
    for index, entry in enumerate(entries):
        yield from action_problems(entry.action, (*path, index, "action"))
        matched = [kind for kind in CATALOGUE.values() if id_matches(entry.pattern, kind.id)]
        if not matched:
            yield Problem((*path, index, "pattern"), f"there is no defect {entry.pattern}: correct it")
        elif entry.hides_content is not None and all(kind.hides_content != entry.hides_content for kind in matched):
            yield Problem(
                (*path, index, "hides_content"), "it is different for every defect of that pattern: remove it"
            )
    # Ids that a newer unpacker knows and we do not must meet a row, too.
    for hides in (True, False):
        if not any(entry.pattern == "*" and entry.hides_content in {None, hides} for entry in entries):
            yield Problem(
                path,
                f"a defect that {'hides' if hides else 'does not hide'} content may meet no row: "
                f"add {{pattern: '*', hides_content: {str(hides).lower()}, action: …}} at the end",
            )


def _spam_problems(spam: SpamEntry, path: Path) -> Iterator[Problem]:
    if spam.missing is not None:
        yield from action_problems(spam.missing, (*path, "missing"))
    for index, entry in enumerate(spam.scores):
        here: Path = (*path, "scores", index)
        yield from action_problems(entry.action, (*here, "action"))
        if (entry.over_required is None) == (entry.absolute is None):
            yield Problem(here, "give either over_required or absolute")
        if any(_covers(earlier, entry) for earlier in spam.scores[:index]):
            yield Problem(
                here, "an earlier row has a lower score, and the first that matches counts: put this before it"
            )


def _covers(earlier: ScoreEntry, later: ScoreEntry) -> bool:
    """Whether each score that meets the later row meets the earlier one before."""
    return any(
        lower is not None and higher is not None and lower <= higher
        for lower, higher in ((earlier.over_required, later.over_required), (earlier.absolute, later.absolute))
    )
