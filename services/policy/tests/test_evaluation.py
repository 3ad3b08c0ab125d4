"""Groups of recipients, and how many findings an answer may hold."""

from hypothesis import given
from hypothesis import strategies as st

from qscan_contracts.ids import RAW_PATH
from qscan_policy.adapters import rule_file
from qscan_policy.domain.evaluation import evaluate
from qscan_policy.domain.rules import MAX_FINDINGS_PER_RULE, RuleSet
from qscan_testkit.structures import named, structure

SHIPPED = rule_file.load(None).rules
RULE_SETS = tuple(RuleSet(SHIPPED.rules, SHIPPED.table) for _ in range(3))


def rules_of(*whens: str) -> RuleSet:
    """A rule set with one logging rule for each condition."""
    entries = "\n".join(
        f"  - {{id: r{number}, description: x, when: {when}, action: log}}" for number, when in enumerate(whens)
    )
    shipped = rule_file.shipped().decode()
    text = f"version: 1\nrules:\n{entries}\n{shipped[shipped.index('decisions:') :]}"
    return rule_file.parse_rules(text.encode(), "x").rules


def test_recipients_with_equal_rules_are_one_group():
    """In this version all have the same."""
    (group,) = evaluate(structure(rcpt_to=("a@x", "b@x", "c@x")), lambda _envelope, _rcpt: SHIPPED, max_findings=9)
    assert group.indices == (0, 1, 2)
    assert group.table == SHIPPED.table


def test_an_empty_envelope_has_one_group_without_indices():
    """Its message is judged all the same."""
    message = structure(named("Eicar.com", size=68), rcpt_to=())
    (group,) = evaluate(message, lambda _envelope, _rcpt: SHIPPED, max_findings=9)
    assert group.indices == ()
    assert [finding.id for finding in group.findings] == ["rule.eicar-test-file"]


@given(st.lists(st.integers(0, 2), max_size=20))
def test_every_recipient_is_in_exactly_one_group(choices):
    """However rules are handed out, the same address twice included."""
    recipients = tuple(f"{choice}@example.com" for choice in choices)
    groups = evaluate(
        structure(rcpt_to=recipients),
        lambda _envelope, rcpt: RULE_SETS[int(rcpt[0])] if rcpt else SHIPPED,
        max_findings=9,
    )
    assert sorted(index for group in groups for index in group.indices) == list(range(len(recipients)))
    assert len(groups) == max(1, len(set(choices)))


def test_a_rule_on_a_header_finds_the_message():
    """Its finding is about the raw message; with an attachment condition besides, about the component."""
    rules = rules_of(
        "{header: {field: Subject, matches: x}}",
        "{header: {field: Subject, matches: x}, attachment: {name: a}}",
        "{header: {field: Subject, matches: nothing}, attachment: {name: a}}",
    )
    (group,) = evaluate(structure(named("a", path="2")), lambda _envelope, _rcpt: rules, max_findings=9)
    assert [(finding.id, finding.component) for finding in group.findings] == [("rule.r0", RAW_PATH), ("rule.r1", "2")]


def test_an_archive_of_many_members_does_not_make_an_answer_of_many_findings():
    """A rule says so a bounded number of times; with many rules each says so once, and none is left out."""
    members = [named("a.exe", path=str(number)) for number in range(1, 1000)]
    one = rules_of("{attachment: {extension: exe}}")
    (group,) = evaluate(structure(*members), lambda _envelope, _rcpt: one, max_findings=1000)
    assert len(group.findings) == MAX_FINDINGS_PER_RULE
    two = rules_of("{attachment: {extension: exe}}", "{attachment: {glob: a.*}}")
    (group,) = evaluate(structure(*members), lambda _envelope, _rcpt: two, max_findings=MAX_FINDINGS_PER_RULE)
    assert [finding.id for finding in group.findings] == ["rule.r0", "rule.r1"]
