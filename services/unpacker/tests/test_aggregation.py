"""Aggregation: asked pairs and reports match one to one, or nothing of the answer is believed."""

import pytest

from qscan_contracts.ids import ComponentPath, EngineName
from qscan_contracts.reports import Clean, Detected, EngineCard, EngineReport, Unscanned
from qscan_contracts.scanning import AvAnswer
from qscan_contracts.vocabulary import EngineRole, UnscannedReason
from qscan_unpacker.domain.aggregation import Failure, reports_of_batch

PATHS = (ComponentPath(""), ComponentPath("1"))
ROLES = (EngineRole.VIRUS,)
CLAMD = EngineCard(EngineName("clamd"), EngineRole.VIRUS, "1.4", "1")
OTHER = EngineCard(EngineName("other"), EngineRole.VIRUS, "1", "1")
DLP = EngineCard(EngineName("dlp"), EngineRole.DLP, "1", "1")


def report(path: str, engine: str = "clamd") -> EngineReport:
    """A clean report."""
    return EngineReport(ComponentPath(path), EngineName(engine), "1.4", "1", Clean())


def test_complete_answer_is_taken() -> None:
    """Two components and two engines: four reports."""
    answer = AvAnswer((CLAMD, OTHER), tuple(report(path, engine) for path in PATHS for engine in ("clamd", "other")))
    reports, roles = reports_of_batch(PATHS, ROLES, answer)
    assert reports == list(answer.reports)
    assert roles == {CLAMD.name: EngineRole.VIRUS, OTHER.name: EngineRole.VIRUS}


@pytest.mark.parametrize(
    ("engines", "reports"),
    [
        ((), ()),
        ((CLAMD,), ()),
        ((CLAMD,), (report(""),)),
        ((CLAMD,), (report(""), report(""))),
        ((CLAMD,), (report(""), report("1"), report("1"))),
        ((CLAMD,), (report(""), report("1"), report("2"))),
        ((CLAMD,), (report(""), report("1", "other"))),
        ((CLAMD, OTHER), (report(""), report("1"))),
        ((CLAMD, CLAMD), (report(""), report("1"))),
        ((DLP,), (report("", "dlp"), report("1", "dlp"))),
        ((CLAMD, DLP), tuple(report(path, engine) for path in PATHS for engine in ("clamd", "dlp"))),
    ],
    ids=[
        "no engine",
        "no report",
        "one missing",
        "one for another",
        "one twice",
        "one too many",
        "unknown engine",
        "second engine silent",
        "engine listed twice",
        "another role",
        "a role that was not asked",
    ],
)
def test_answer_that_does_not_match_is_no_answer(
    engines: tuple[EngineCard, ...], reports: tuple[EngineReport, ...]
) -> None:
    """Each component is unscanned and may be retried, whatever the answer said of it."""
    got, _ = reports_of_batch(PATHS, ROLES, AvAnswer(engines, reports))
    assert [one.path for one in got] == list(PATHS)
    for one in got:
        assert isinstance(one.outcome, Unscanned)
        assert (one.outcome.reason, one.outcome.retryable) == (UnscannedReason.ENGINE_FAILED, True)


def test_detection_in_a_mismatching_answer_is_not_believed_clean() -> None:
    """A detection beside a missing report: unscanned, so the message waits rather than passes."""
    detected = EngineReport(PATHS[0], CLAMD.name, "1.4", "1", Detected("Eicar"))
    got, _ = reports_of_batch(PATHS, ROLES, AvAnswer((CLAMD,), (detected,)))
    assert all(isinstance(one.outcome, Unscanned) for one in got)


@pytest.mark.parametrize("reason", UnscannedReason)
def test_failure_is_a_report_for_each_component_and_role(reason: UnscannedReason) -> None:
    """No answer: one unscanned report for each pair that was asked, with the reason."""
    got, roles = reports_of_batch(PATHS, (EngineRole.VIRUS, EngineRole.DLP), Failure(reason, "why"))
    assert len(got) == len(PATHS) * 2
    assert {one.outcome for one in got} == {Unscanned.because(reason, "why")}
    assert set(roles.values()) == {EngineRole.VIRUS, EngineRole.DLP}
