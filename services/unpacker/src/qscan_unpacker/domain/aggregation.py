"""Aggregation: what was asked and what was answered must match one to one (DESIGN §6)."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from qscan_contracts.ids import ComponentPath, EngineName
from qscan_contracts.reports import EngineReport, Unscanned
from qscan_contracts.scanning import AvAnswer
from qscan_contracts.vocabulary import EngineRole, UnscannedReason


@dataclass(frozen=True)
class Failure:
    """A request that brought no answer, and why."""

    reason: UnscannedReason
    detail: str


@dataclass
class Reports:
    """All engine reports of a message.

    `roles` tells what each engine was asked for; engines of ours (the unpacker) count as virus engines.
    """

    reports: list[EngineReport] = field(default_factory=list)
    roles: dict[EngineName, EngineRole] = field(default_factory=dict)

    def role_of(self, report: EngineReport) -> EngineRole:
        """The role in which the report's engine was asked."""
        return self.roles.get(report.engine, EngineRole.VIRUS)


def reports_of_batch(
    paths: Sequence[ComponentPath], roles: Sequence[EngineRole], answer: AvAnswer | Failure
) -> tuple[list[EngineReport], dict[EngineName, EngineRole]]:
    """The reports for the components of one request.

    An answer with a report too many, too few or twice, or without an engine for a role, is no answer: nothing of it
    is believed, and each component is unscanned.
    """
    if isinstance(answer, AvAnswer):
        problem = _mismatch(paths, roles, answer)
        if problem is None:
            return list(answer.reports), {engine.name: engine.role for engine in answer.engines}
        answer = Failure(UnscannedReason.ENGINE_FAILED, problem)
    outcome = Unscanned.because(answer.reason, answer.detail)
    missing = [EngineReport(path, EngineName(f"any-{role}"), "", "", outcome) for path in paths for role in roles]
    return missing, {EngineName(f"any-{role}"): role for role in roles}


def _mismatch(paths: Sequence[ComponentPath], roles: Sequence[EngineRole], answer: AvAnswer) -> str | None:
    engine_names = [engine.name for engine in answer.engines]
    if len(set(engine_names)) != len(engine_names):
        return "the gateway listed an engine twice"
    answered_roles = {engine.role for engine in answer.engines}
    if answered_roles != set(roles):
        return f"engines for {_listed(answered_roles)} answered, {_listed(roles)} were asked"
    expected = Counter((path, engine) for path in paths for engine in engine_names)
    got = Counter((report.path, report.engine) for report in answer.reports)
    if got != expected:
        return f"{got.total()} reports do not match the {expected.total()} that were asked"
    return None


def _listed(roles: Iterable[EngineRole]) -> str:
    return ", ".join(sorted(roles)) or "no role"
