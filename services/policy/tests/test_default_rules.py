"""The shipped rules: what DESIGN §7 promises, and an answer to everything that exists."""

import pytest

from qscan_contracts.decisions import (
    Action,
    DecisionTable,
    Finding,
    FindingRow,
    ScoreRow,
    SignatureRow,
    SpamMissingRow,
    UnscannedRow,
)
from qscan_contracts.defects import CATALOGUE
from qscan_contracts.ids import ComponentPath, FindingId
from qscan_contracts.vocabulary import (
    RETRYABLE_REASONS,
    RIDERS,
    ActionKind,
    EngineRole,
    Origin,
    QuarantineClass,
    UnscannedReason,
)
from qscan_policy.adapters import rule_file
from qscan_policy.domain.message import Message
from qscan_policy.domain.patterns import id_matches
from qscan_testkit.structures import named, structure

SHIPPED = rule_file.load(None)
TABLE: DecisionTable = SHIPPED.rules.table
QUARANTINE_POLICY = Action(ActionKind.QUARANTINE, quarantine_class=QuarantineClass.POLICY)

LOGGED_THOUGH_HIDING = {
    "mime.field.comment",
    "quoted_printable.invalid",
    "header.missing_blank_line",
    "mime.boundary.too_long",
    "mime.message.external_body",
    "header.after_blank_line",
    "wrapped.damaged",
}
STOPPED_THOUGH_NOT_HIDING = {
    "name.too_long",
    "name.double_barrelled",
    "name.clsid",
    "type.clash",
    "type.disguised_executable",
    "header.field_too_long",
}


def findings(*components) -> tuple[Finding, ...]:
    """What the shipped rules find in a message of these components."""
    return SHIPPED.rules.findings(Message(structure(*components)), max_findings=100)


def test_the_eicar_test_file_is_stopped_by_name_and_size():
    """Qmail-Scanner's test: 68 zeros called Eicar.com."""
    (finding,) = findings(named("Eicar.com", size=68))
    expected = Finding(
        FindingId("rule.eicar-test-file"), "policy", ComponentPath("1"), QUARANTINE_POLICY, "EICAR Test Virus"
    )
    assert finding == expected


@pytest.mark.parametrize("origin", [Origin.PART, Origin.MEMBER, Origin.DECODED])
def test_it_is_stopped_wherever_it_is(origin):
    """In an archive as well as beside the text."""
    assert findings(named("test/EICAR.COM", size=68, origin=origin))


@pytest.mark.parametrize(
    ("name", "size"), [("Eicar.com", 67), ("Eicar.com", 69), ("sneaky.txt", 68), ("Eicar.exe", 68)]
)
def test_what_is_near_it_passes(name, size):
    """Name and size must both be right; sneaky.txt is the virus scanner's business."""
    assert findings(named(name, size=size)) == ()


@pytest.mark.parametrize("name", ["a.exe", "a.vbs", "a.lnk", "a.pif"])
def test_executables_pass_until_a_site_says_otherwise(name):
    """The rules are there, but off (facts §3.4)."""
    assert findings(named(name)) == ()
    switched_on = rule_file.shipped().replace(b"action: off", b"action: reject")
    rules = rule_file.parse_rules(switched_on, "x").rules
    (finding,) = rules.findings(Message(structure(named(name))), max_findings=100)
    assert finding.action == Action(ActionKind.REJECT)


def action_for_reason(reason: UnscannedReason) -> Action:
    """The action of the first row for a reason."""
    return next(row.action for row in TABLE.rows if isinstance(row, UnscannedRow) and row.reason == reason)


@pytest.mark.parametrize("reason", UnscannedReason)
def test_every_reason_for_not_looking_has_the_action_of_the_design(reason):
    """DESIGN §7, «Shipped defaults»; a reason that is added without a decision fails here."""
    action = action_for_reason(reason)
    if reason in RETRYABLE_REASONS:
        assert action.kind is ActionKind.DEFER
        assert action.text
        return
    match reason:
        case UnscannedReason.ENCRYPTED:
            assert action == Action(ActionKind.TAG, header_fields=(("X-Qscan-Unscanned", "encrypted"),))
        case UnscannedReason.NOT_UNPACKABLE:
            assert action == Action(ActionKind.LOG)
        case (
            UnscannedReason.OVER_BUDGET
            | UnscannedReason.BOMB
            | UnscannedReason.ENGINE_LIMIT
            | UnscannedReason.TOO_BIG
            | UnscannedReason.MASKED
        ):
            assert action == QUARANTINE_POLICY
        case _:
            pytest.fail(f"no default is decided for {reason}")


@pytest.mark.parametrize(
    ("role", "quarantine_class"),
    [(EngineRole.VIRUS, QuarantineClass.VIRUSES), (EngineRole.DLP, QuarantineClass.POLICY)],
)
def test_whatever_an_engine_detects_is_quarantined(role, quarantine_class):
    """Any name, for every role."""
    row = next(
        row
        for row in TABLE.rows
        if isinstance(row, SignatureRow) and row.role is role and id_matches(row.pattern, "Any.Name-1 (x)")
    )
    assert row.action == Action(ActionKind.QUARANTINE, quarantine_class=quarantine_class)


def action_for_defect(id_: str, *, hides_content: bool) -> Action:
    """The action of the first row for a defect."""
    return next(
        row.action
        for row in TABLE.rows
        if isinstance(row, FindingRow) and id_matches(row.pattern, id_) and row.hides_content in {None, hides_content}
    )


@pytest.mark.parametrize("id_", CATALOGUE)
def test_every_defect_has_a_decision(id_):
    """What can hide content is quarantined and the rest logged, but for the exceptions named here."""
    hides = CATALOGUE[id_].hides_content
    stopped = (hides or id_ in STOPPED_THOUGH_NOT_HIDING) and id_ not in LOGGED_THOUGH_HIDING
    assert action_for_defect(id_, hides_content=hides) == (QUARANTINE_POLICY if stopped else Action(ActionKind.LOG))


def test_the_exceptions_are_what_they_are_said_to_be():
    """An exception that is none any more would hide a change of the catalogue."""
    assert all(CATALOGUE[id_].hides_content for id_ in LOGGED_THOUGH_HIDING)  # type: ignore[index]
    assert not any(CATALOGUE[id_].hides_content for id_ in STOPPED_THOUGH_NOT_HIDING)  # type: ignore[index]


@pytest.mark.parametrize("hides", [True, False])
def test_a_defect_of_a_newer_unpacker_has_a_decision_too(hides):
    """An id that is not in our catalogue meets the last rows."""
    action = action_for_defect("future.defect", hides_content=hides)
    assert action == (QUARANTINE_POLICY if hides else Action(ActionKind.LOG))


def test_spam_is_tagged_and_a_missing_score_lets_pass():
    """From the required score on; `?/?` has no row."""
    assert [row for row in TABLE.rows if isinstance(row, ScoreRow)] == [
        ScoreRow(Action(ActionKind.TAG, subject_tag="[SPAM] "), over_required=0.0)
    ]
    assert not any(isinstance(row, SpamMissingRow) for row in TABLE.rows)


def test_nothing_unscanned_is_delivered_silently_but_what_the_design_says():
    """Among the reasons, riders are for the two that the design lets through."""
    passing = {reason for reason in UnscannedReason if action_for_reason(reason).kind in RIDERS}
    assert passing == {UnscannedReason.ENCRYPTED, UnscannedReason.NOT_UNPACKABLE}
