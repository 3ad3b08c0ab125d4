"""The use case of policy: from a request to the answer."""

import msgspec

from qscan_contracts.envelope import Envelope
from qscan_contracts.scanning import MessageStructure, PolicyAnswer, PolicyRequest
from qscan_kit.bus import Bus, decode
from qscan_kit.content import read_all, source
from qscan_kit.errors import ContentUnavailableError
from qscan_policy.domain.evaluation import RulesFor, evaluate
from qscan_policy.domain.rules import LoadedRules, RuleSet


class Answering:
    """Answers requests with the rules in force; one for the whole process."""

    def __init__(self, bus: Bus, rules: LoadedRules, *, max_structure_bytes: int, max_findings: int) -> None:
        """Evaluate `rules`; structures that do not ride in the request are pulled over `bus`."""
        self._bus, self._rules = bus, rules
        self._max_structure_bytes, self._max_findings = max_structure_bytes, max_findings

    async def answer(self, request: PolicyRequest) -> PolicyAnswer:
        """Evaluate the rules for one message.

        Raises:
            ContentUnavailableError: the structure cannot be had, is too large, or is none.
        """
        content = source(self._bus, request.structure, size=request.size, sha256=request.sha256)
        encoded = await read_all(content, self._max_structure_bytes)
        try:
            structure = decode(encoded, MessageStructure)
        except msgspec.DecodeError as error:
            message = f"the structure of the message cannot be decoded: {error}"
            raise ContentUnavailableError(message) from error
        rules = self._rules
        groups = evaluate(structure, _same_for_all(rules.rules), max_findings=self._max_findings)
        return PolicyAnswer(rules.version, groups)


def _same_for_all(rules: RuleSet) -> RulesFor:
    def rules_for(_envelope: Envelope, _recipient: str) -> RuleSet:
        return rules

    return rules_for
