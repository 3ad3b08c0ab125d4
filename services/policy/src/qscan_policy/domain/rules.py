"""Rules: a rule file made ready for use, and what its rules find in a message."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice

from qscan_contracts.decisions import Action, DecisionTable, Finding
from qscan_contracts.ids import RAW_PATH, ComponentPath, FindingId
from qscan_contracts.vocabulary import ActionKind
from qscan_policy.domain.actions import action_problems, to_action
from qscan_policy.domain.conditions import AttachmentCondition, HeaderCondition
from qscan_policy.domain.entries import AttachmentEntry, RuleEntry, RuleFile, WhenEntry
from qscan_policy.domain.message import Message
from qscan_policy.domain.patterns import PatternError
from qscan_policy.domain.problems import Path, Problem, RulesError
from qscan_policy.domain.table import compile_table, table_problems

MAX_FINDINGS_PER_RULE = 64
"""A rule that matches every member of a big archive says so this often; its action is the same each time."""


@dataclass(frozen=True)
class Rule:
    """A rule that is switched on. A condition that is None was not asked for."""

    id: FindingId
    action: Action
    description: str
    attachment: AttachmentCondition | None
    header: HeaderCondition | None

    def findings(self, message: Message) -> Iterator[Finding]:
        """One for each component that fits, or one for the message where the rule asks for no component."""
        if self.header is not None and not self.header.holds(message):
            return
        if self.attachment is None:
            yield self._finding(RAW_PATH)
            return
        for component in islice(self.attachment.matching(message), MAX_FINDINGS_PER_RULE):
            yield self._finding(component.path)

    def _finding(self, component: ComponentPath) -> Finding:
        return Finding(self.id, "policy", component, self.action, self.description)


@dataclass(frozen=True, eq=False)
class RuleSet:
    """The rules that are in force for some recipients. Two recipients have equal rules if theirs is the same object."""

    rules: tuple[Rule, ...]
    table: DecisionTable

    def findings(self, message: Message, max_findings: int) -> tuple[Finding, ...]:
        """What the rules find, in the order of the file.

        Where that is more than `max_findings`, of each rule only the first: no rule's action is ever left out.
        """
        by_rule = [tuple(rule.findings(message)) for rule in self.rules]
        if sum(map(len, by_rule)) > max_findings:
            by_rule = [findings[:1] for findings in by_rule]
        return tuple(chain.from_iterable(by_rule))


@dataclass(frozen=True)
class LoadedRules:
    """Rules in force. `version` is a digest of the file and of the table's version; `origin` names the file."""

    rules: RuleSet
    version: str
    origin: str


def compile_rules(file: RuleFile) -> RuleSet:
    """Make a rule file ready for use.

    Raises:
        RulesError: with everything that is wrong with it.
    """
    problems = [*table_problems(file.decisions, ("decisions",))]
    rules: list[Rule] = []
    seen: set[str] = set()
    for index, entry in enumerate(file.rules):
        path: Path = ("rules", index)
        if entry.id in seen:
            problems.append(Problem((*path, "id"), f"there is another rule {entry.id}: choose another id"))
        seen.add(entry.id)
        problems += action_problems(entry.action, (*path, "action"))
        problems += _when_problems(entry.when, (*path, "when"))
        compiled = _compile(entry, (*path, "when"))
        if isinstance(compiled, Problem):
            problems.append(compiled)
        elif compiled.action.kind is not ActionKind.OFF:
            rules.append(compiled)
    if problems:
        raise RulesError(problems)
    return RuleSet(tuple(rules), compile_table(file.decisions))


def _compile(entry: RuleEntry, path: Path) -> Rule | Problem:
    when, where = entry.when, path
    try:
        where = (*path, "attachment")
        attachment = None if when.attachment is None else AttachmentCondition.compile(when.attachment)
        where = (*path, "header", "matches")
        header = None if when.header is None else HeaderCondition.compile(when.header)
    except PatternError as error:
        return Problem(where, f"no pattern that can be used ({error}); write it in RE2 syntax")
    return Rule(FindingId(f"rule.{entry.id}"), to_action(entry.action), entry.description, attachment, header)


def _when_problems(when: WhenEntry, path: Path) -> Iterator[Problem]:
    if when.attachment is None and when.header is None:
        yield Problem(path, "a rule needs a condition: attachment or header")
    if when.attachment == AttachmentEntry():
        yield Problem((*path, "attachment"), "it needs at least one of name, extension, glob and size")
