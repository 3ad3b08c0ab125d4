"""The decision: DESIGN §7, sentence by sentence."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qscan_contracts.decisions import (
    DECISION_TABLE_VERSION,
    Action,
    DecisionTable,
    Finding,
    FindingRow,
    RecipientGroup,
    Row,
    ScoreRow,
    SignatureRow,
    SpamMissingRow,
    UnscannedRow,
)
from qscan_contracts.defects import defect
from qscan_contracts.ids import RAW_PATH, ComponentPath, EngineName, FindingId
from qscan_contracts.reports import Clean, Detected, EngineReport, Outcome, Unscanned
from qscan_contracts.scanning import PolicyAnswer, SpamScore
from qscan_contracts.vocabulary import (
    RETRYABLE_REASONS,
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
from qscan_unpacker.domain.decision import Decision, Facts, decide

DISPOSING = [kind for kind in ActionKind if kind not in RIDERS]


def shipped_rows() -> tuple[Row, ...]:
    """The defaults that DESIGN §7 ships, as far as these tests need them."""
    return (
        SignatureRow("*", Action(ActionKind.QUARANTINE, quarantine_class=QuarantineClass.VIRUSES)),
        *(
            UnscannedRow(reason, Action(ActionKind.DEFER if reason in RETRYABLE_REASONS else ActionKind.QUARANTINE))
            for reason in UnscannedReason
            if reason not in {UnscannedReason.ENCRYPTED, UnscannedReason.NOT_UNPACKABLE}
        ),
        UnscannedRow(UnscannedReason.ENCRYPTED, Action(ActionKind.TAG)),
        UnscannedRow(UnscannedReason.NOT_UNPACKABLE, Action(ActionKind.LOG)),
        FindingRow("*", Action(ActionKind.QUARANTINE), hides_content=True),
        FindingRow("*", Action(ActionKind.LOG)),
        ScoreRow(Action(ActionKind.TAG, subject_tag="[SPAM] ")),
    )


def report(outcome: Outcome, path: str = "") -> EngineReport:
    """A report of clamd."""
    return EngineReport(ComponentPath(path), EngineName("clamd"), "1.4", "27000+1", outcome)


def group(
    *kinds: ActionKind, indices: tuple[int, ...] = (0,), rows: tuple[Row, ...] | None = None, version: int = 1
) -> RecipientGroup:
    """Recipients with a finding for each of `kinds`."""
    findings = tuple(
        Finding(FindingId(f"rule.{number}"), "policy", RAW_PATH, Action(kind), f"rule {number}")
        for number, kind in enumerate(kinds)
    )
    return RecipientGroup(indices, findings, DecisionTable(version, shipped_rows() if rows is None else rows))


def decided(
    *outcomes: Outcome,
    groups: tuple[RecipientGroup, ...] | None = None,
    recipients: int = 1,
    defects: tuple[str, ...] = (),
    spam: SpamScore | None = None,
    spam_required: bool = False,
) -> Decision:
    """The decision on one report per outcome."""
    return decide(
        Facts(
            recipient_count=recipients,
            reports=Reports([report(outcome, str(number)) for number, outcome in enumerate(outcomes)]),
            defects=tuple(defect(id_, RAW_PATH, offset=0) for id_ in defects),
            policy=PolicyAnswer("v1", (group(),) if groups is None else groups),
            spam=spam,
            spam_required=spam_required,
        )
    )


def test_clean_message_is_delivered() -> None:
    """Nothing found: clean, delivered, and no rider."""
    decision = decided(Clean(), Clean())
    assert (decision.verdict, decision.disposition) == (Verdict.CLEAN, Disposition.DELIVER)
    assert decision.riders == ()


def test_detection_is_quarantined_as_virus() -> None:
    """A detection in any component decides for the message."""
    decision = decided(Clean(), Detected("Eicar"))
    assert (decision.verdict, decision.disposition) == (Verdict.VIRUS, Disposition.QUARANTINE)
    assert decision.quarantine_class is QuarantineClass.VIRUSES
    assert decision.reason == "Eicar"
    assert decision.kept_for == (0,)


@pytest.mark.parametrize("reason", UnscannedReason)
def test_unscanned_is_never_clean(reason: UnscannedReason) -> None:
    """Each reason leads where the shipped table says, and only `not_unpackable` leaves the name at clean."""
    decision = decided(Clean(), Unscanned.because(reason))
    if reason is UnscannedReason.NOT_UNPACKABLE:
        assert (decision.verdict, decision.disposition) == (Verdict.CLEAN, Disposition.DELIVER)
        return
    assert decision.verdict is Verdict.UNSCANNABLE
    expected = {UnscannedReason.ENCRYPTED: Disposition.DELIVER}.get(
        reason, Disposition.DEFER if reason in RETRYABLE_REASONS else Disposition.QUARANTINE
    )
    assert decision.disposition is expected


@pytest.mark.parametrize("kind", ActionKind)
def test_no_action_overrides_a_retryable_report(kind: ActionKind) -> None:
    """A report that may be had later makes it defer, unless the action settles the message (DESIGN §7)."""
    rows = (UnscannedRow(UnscannedReason.TIMED_OUT, Action(kind)),)
    decision = decided(Unscanned.because(UnscannedReason.TIMED_OUT), groups=(group(rows=rows),))
    final = {ActionKind.QUARANTINE, ActionKind.REJECT, ActionKind.DISCARD}
    assert decision.disposition is (Disposition(kind.value) if kind in final else Disposition.DEFER)


def test_virus_in_hand_beats_a_missing_report() -> None:
    """One engine detects while another is down: quarantined, and called a virus."""
    decision = decided(Detected("Eicar"), Unscanned.because(UnscannedReason.ENGINE_FAILED))
    assert (decision.verdict, decision.disposition) == (Verdict.VIRUS, Disposition.QUARANTINE)


def test_hold_does_not_beat_a_missing_report() -> None:
    """`hold` is not among what settles a message that is not scanned completely."""
    decision = decided(Unscanned.because(UnscannedReason.BUSY), groups=(group(ActionKind.HOLD),))
    assert decision.disposition is Disposition.DEFER


@pytest.mark.parametrize(("first", "second"), list(itertools.product(ActionKind, repeat=2)))
def test_the_strictest_action_wins(first: ActionKind, second: ActionKind) -> None:
    """All pairs: discard > quarantine > hold > reject > defer > deliver, riders deliver."""
    decision = decided(Clean(), groups=(group(first, second),))
    dispositions = [Disposition.DELIVER if kind in RIDERS else Disposition(kind.value) for kind in (first, second)]
    assert decision.disposition is max(dispositions, key=STRICTNESS.__getitem__)


def test_a_blocked_name_that_is_a_virus_is_called_a_virus() -> None:
    """Verdict: virus > unscannable > policy > spam > clean."""
    decision = decided(Detected("Worm"), groups=(group(ActionKind.QUARANTINE),))
    assert decision.verdict is Verdict.VIRUS
    assert decision.reason == "Worm"


def test_log_and_off_do_not_name_a_message() -> None:
    """What the site only logs leaves the message clean, except a detection, which is always told."""
    assert decided(Clean(), groups=(group(ActionKind.LOG, ActionKind.OFF),)).verdict is Verdict.CLEAN
    rows = (SignatureRow("PUA.*", Action(ActionKind.LOG)), *shipped_rows())
    decision = decided(Detected("PUA.Tool"), groups=(group(rows=rows),))
    assert (decision.verdict, decision.disposition) == (Verdict.VIRUS, Disposition.DELIVER)


def test_first_matching_signature_row_counts() -> None:
    """Patterns are shell patterns, case-insensitive; the first that matches counts."""
    rows = (SignatureRow("pua.*", Action(ActionKind.TAG)), *shipped_rows())
    assert decided(Detected("PUA.Win"), groups=(group(rows=rows),)).disposition is Disposition.DELIVER
    assert decided(Detected("Win.PUA"), groups=(group(rows=rows),)).disposition is Disposition.QUARANTINE


@pytest.mark.parametrize(
    "outcome", [Detected("x"), Unscanned.because(UnscannedReason.ENCRYPTED), Unscanned.because(UnscannedReason.BUSY)]
)
def test_a_table_without_a_row_defers(outcome: Outcome) -> None:
    """Fail closed: what the table does not know is not delivered."""
    assert decided(outcome, groups=(group(rows=()),)).disposition is Disposition.DEFER


def test_a_defect_without_a_row_defers() -> None:
    """The same for defects."""
    decision = decided(Clean(), groups=(group(rows=()),), defects=("base64.junk",))
    assert decision.disposition is Disposition.DEFER


def test_defects_that_hide_content_are_quarantined() -> None:
    """Ambiguous by a defect that can hide content: quarantine (policy); harmless: log."""
    ambiguous = decided(Clean(), defects=("mime.boundary.duplicate",))
    assert (ambiguous.verdict, ambiguous.disposition) == (Verdict.POLICY, Disposition.QUARANTINE)
    assert ambiguous.quarantine_class is QuarantineClass.POLICY
    assert decided(Clean(), defects=("mime.boundary.never_closed",)).verdict is Verdict.CLEAN


def test_a_defect_at_two_places_is_two_findings() -> None:
    """Each keeps its place, for people; equal ones, noted for two groups of recipients, are one."""
    seen = tuple(defect("base64.junk", RAW_PATH, offset=offset, length=2) for offset in (10, 20))
    groups = (group(indices=(0,)), group(indices=(1,)))
    decision = decide(
        Facts(recipient_count=2, reports=Reports([]), defects=seen, policy=PolicyAnswer("v1", groups), spam=None)
    )
    assert [(one.id, one.defect) for one in decision.findings] == [("base64.junk", one) for one in seen]


@pytest.mark.parametrize(
    "policy",
    [
        Failure(UnscannedReason.NO_RESPONDERS, "no policy worker"),
        PolicyAnswer("v1", ()),
        PolicyAnswer("v1", (group(version=DECISION_TABLE_VERSION + 1),)),
        PolicyAnswer("v1", (group(indices=()),)),
        PolicyAnswer("v1", (group(indices=(0, 0)),)),
        PolicyAnswer("v1", (group(), group())),
        PolicyAnswer("v1", (group(indices=(1,)),)),
    ],
    ids=["absent", "no group", "other version", "recipient missing", "twice in a group", "twice", "unknown index"],
)
def test_without_a_usable_table_it_defers(policy: PolicyAnswer | Failure) -> None:
    """No table, one of another version, or groups that are not the recipients: defer, even with a virus."""
    facts = Facts(1, Reports([report(Detected("Eicar"))]), (), policy, None)
    decision = decide(facts)
    assert decision.disposition is Disposition.DEFER
    assert decision.per_recipient == (Disposition.DEFER,)
    assert decision.sender_text


def test_envelope_without_recipients_is_decided_by_its_group() -> None:
    """Zero recipients: delivered when clean, kept when not."""
    empty = (group(indices=()),)
    assert decided(Clean(), groups=empty, recipients=0).disposition is Disposition.DELIVER
    assert decided(Detected("x"), groups=empty, recipients=0).disposition is Disposition.QUARANTINE


def two_groups(first: ActionKind, second: ActionKind) -> Decision:
    """Two recipients, each with a finding of its own."""
    return decided(Clean(), groups=(group(first, indices=(0,)), group(second, indices=(1,))), recipients=2)


@pytest.mark.parametrize("other", ActionKind)
def test_any_defer_defers_the_whole_message(other: ActionKind) -> None:
    """After DATA, rule 1: nothing is queued, quarantined, archived or noticed."""
    decision = two_groups(ActionKind.DEFER, other)
    assert decision.disposition is Disposition.DEFER
    assert decision.per_recipient == (Disposition.DEFER, Disposition.DEFER)
    assert decision.kept_for == ()


def test_all_reject_rejects() -> None:
    """After DATA, rule 2."""
    assert two_groups(ActionKind.REJECT, ActionKind.REJECT).disposition is Disposition.REJECT


def test_reject_beside_deliver_becomes_quarantine() -> None:
    """After DATA, rule 3: those who get it get it; a reject for the others is kept, with a notice."""
    decision = two_groups(ActionKind.LOG, ActionKind.REJECT)
    assert decision.disposition is Disposition.DELIVER
    assert decision.per_recipient == (Disposition.DELIVER, Disposition.QUARANTINE)
    assert decision.kept_for == (1,)


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (ActionKind.QUARANTINE, ActionKind.DISCARD, Disposition.QUARANTINE),
        (ActionKind.QUARANTINE, ActionKind.REJECT, Disposition.QUARANTINE),
        (ActionKind.HOLD, ActionKind.DISCARD, Disposition.HOLD),
        (ActionKind.REJECT, ActionKind.DISCARD, Disposition.QUARANTINE),
        (ActionKind.DISCARD, ActionKind.DISCARD, Disposition.DISCARD),
    ],
)
def test_nothing_to_deliver_ends_with_success(first: ActionKind, second: ActionKind, told: Disposition) -> None:
    """After DATA, rule 4: exit 0, nothing queued; discard only where it is discarded for all."""
    assert two_groups(first, second).disposition is told


def test_spam_is_tagged() -> None:
    """A score at the required one makes it spam, tagged and delivered; below it nothing happens."""
    spam = decided(Clean(), spam=SpamScore("spamd", 5.0, 5.0))
    assert (spam.verdict, spam.disposition) == (Verdict.SPAM, Disposition.DELIVER)
    assert [action.subject_tag for action in spam.riders] == ["[SPAM] "]
    assert decided(Clean(), spam=SpamScore("spamd", 4.9, 5.0)).verdict is Verdict.CLEAN


def test_score_rows_by_band() -> None:
    """The first row whose threshold is reached counts, relative or absolute."""
    rows = (
        ScoreRow(Action(ActionKind.DISCARD), absolute=20.0),
        ScoreRow(Action(ActionKind.QUARANTINE), over_required=5.0),
        ScoreRow(Action(ActionKind.TAG)),
    )
    for score, told in ((21, Disposition.DISCARD), (10, Disposition.QUARANTINE), (6, Disposition.DELIVER)):
        decision = decided(Clean(), groups=(group(rows=rows),), spam=SpamScore("spamd", score, 5.0))
        assert (decision.verdict, decision.disposition) == (Verdict.SPAM, told)


def test_missing_spam_score_passes_unless_required() -> None:
    """``?/?`` is fail-open unless the site requires the filter (DESIGN §1 rule 1)."""
    missing = SpamScore("none", None, None)
    assert decided(Clean(), spam=missing).disposition is Disposition.DELIVER
    assert decided(Clean(), spam=missing, spam_required=True).disposition is Disposition.DEFER
    rows = (SpamMissingRow(Action(ActionKind.HOLD)), *shipped_rows())
    assert decided(Clean(), spam=missing, groups=(group(rows=rows),)).disposition is Disposition.HOLD


OUTCOMES = st.one_of(
    st.just(Clean()),
    st.builds(Detected, st.sampled_from(["Eicar", "PUA.x"])),
    st.builds(Unscanned.because, st.sampled_from(UnscannedReason)),
)
ACTIONS = st.builds(Action, st.sampled_from(ActionKind))
ROWS = st.lists(
    st.one_of(
        st.builds(SignatureRow, st.sampled_from(["*", "PUA.*", "nothing"]), ACTIONS),
        st.builds(UnscannedRow, st.sampled_from(UnscannedReason), ACTIONS),
        st.builds(FindingRow, st.sampled_from(["*", "mime.*"]), ACTIONS),
        st.builds(ScoreRow, ACTIONS),
    ),
    max_size=6,
).map(tuple)


@given(st.lists(OUTCOMES, max_size=5), ROWS, st.lists(st.sampled_from(ActionKind), max_size=3))
def test_nothing_unscanned_is_delivered_unless_let_through(
    outcomes: list[Outcome], rows: tuple[Row, ...], kinds: list[ActionKind]
) -> None:
    """For every table: delivered means that each unscanned report has a row that is a rider and no second try helps."""
    decision = decided(*outcomes, groups=(group(*kinds, rows=rows),))
    if decision.disposition is not Disposition.DELIVER:
        return
    for outcome in outcomes:
        if isinstance(outcome, Unscanned):
            assert not outcome.retryable
            row = next(row for row in rows if isinstance(row, UnscannedRow) and row.reason is outcome.reason)
            assert row.action.kind in RIDERS


@given(st.lists(OUTCOMES, max_size=5), ROWS, st.integers(0, 4))
def test_decide_is_total(outcomes: list[Outcome], rows: tuple[Row, ...], recipients: int) -> None:
    """Every combination has a decision, with one disposition for each recipient."""
    groups = (group(indices=tuple(range(recipients)), rows=rows),)
    decision = decided(*outcomes, groups=groups, recipients=recipients)
    assert len(decision.per_recipient) == recipients
    if decision.disposition in {Disposition.DEFER, Disposition.REJECT}:
        assert set(decision.per_recipient) <= {decision.disposition}
        assert decision.sender_text


def test_what_a_dlp_engine_finds_is_no_virus() -> None:
    """It is kept with what policy keeps, and a sender who is rejected is not told the name of the pattern."""
    for kind in (ActionKind.QUARANTINE, ActionKind.REJECT):
        rows = (SignatureRow("*", Action(kind), EngineRole.DLP), *shipped_rows())
        reports = Reports([report(Detected("Site.IBAN"))], {EngineName("clamd"): EngineRole.DLP})
        decision = decide(Facts(1, reports, (), PolicyAnswer("v1", (group(rows=rows),)), None))
        assert (decision.verdict, decision.quarantine_class) == (Verdict.POLICY, QuarantineClass.POLICY)
        assert decision.disposition == Disposition(kind.value)
        assert "IBAN" not in decision.sender_text


@pytest.mark.parametrize(
    ("kind", "disposition"),
    [
        (ActionKind.HOLD, Disposition.DEFER),
        (ActionKind.TAG, Disposition.DEFER),
        (ActionKind.QUARANTINE, Disposition.QUARANTINE),
        (ActionKind.DISCARD, Disposition.DISCARD),
    ],
)
def test_a_required_score_that_is_missing_is_a_missing_report(kind: ActionKind, disposition: Disposition) -> None:
    """It defers, unless what is in hand already gives quarantine, reject or discard; a hold does not."""
    missing = SpamScore("none", None, None)
    assert decided(Clean(), groups=(group(kind),), spam=missing, spam_required=True).disposition is disposition


def test_a_group_of_nobody_beside_the_recipients_is_believed_by_nobody() -> None:
    """It could make the whole «deliver» while no recipient gets the message."""
    nobody = group(indices=())
    decision = decided(Clean(), groups=(nobody, group(ActionKind.QUARANTINE)))
    assert decision.disposition is Disposition.DEFER


def test_the_class_is_that_of_what_is_kept() -> None:
    """Not of what is discarded for others, though that is stricter."""
    held = Finding(FindingId("r"), "policy", RAW_PATH, Action(ActionKind.HOLD, quarantine_class=QuarantineClass.SPAM))
    groups = (
        group(ActionKind.DISCARD, indices=(0,)),
        RecipientGroup((1,), (held,), DecisionTable(DECISION_TABLE_VERSION, shipped_rows())),
    )
    decision = decided(Clean(), groups=groups, recipients=2)
    assert decision.per_recipient == (Disposition.DISCARD, Disposition.HOLD)
    assert decision.quarantine_class is QuarantineClass.SPAM
