"""Evaluation: which recipients share their rules, and what those rules find."""

from collections.abc import Callable

from qscan_contracts.decisions import RecipientGroup
from qscan_contracts.envelope import Envelope
from qscan_contracts.scanning import MessageStructure
from qscan_policy.domain.message import Message
from qscan_policy.domain.rules import RuleSet

RulesFor = Callable[[Envelope, str], RuleSet]
"""Chooses the rules for a recipient of an envelope; ``""`` stands for «nobody in particular»."""


def evaluate(structure: MessageStructure, rules_for: RulesFor, *, max_findings: int) -> tuple[RecipientGroup, ...]:
    """One group for each distinct rule set; every recipient is in exactly one, in the order of the envelope."""
    message = Message(structure)
    return tuple(
        RecipientGroup(tuple(indices), rules.findings(message, max_findings), rules.table)
        for rules, indices in _recipients_by_rules(structure.envelope, rules_for).items()
    )


def _recipients_by_rules(envelope: Envelope, rules_for: RulesFor) -> dict[RuleSet, list[int]]:
    if not envelope.rcpt_to:
        return {rules_for(envelope, ""): []}
    groups: dict[RuleSet, list[int]] = {}
    for index, recipient in enumerate(envelope.rcpt_to):
        groups.setdefault(rules_for(envelope, recipient), []).append(index)
    return groups
