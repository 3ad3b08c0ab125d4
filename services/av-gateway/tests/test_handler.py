"""A request gets exactly one report for each pair of a component and an engine."""

import asyncio
import hashlib
from dataclasses import dataclass, field

import pytest

from qscan_av_gateway.engine import Examined
from qscan_av_gateway.handler import AvHandler
from qscan_contracts.components import Component, ComponentContent, Inline
from qscan_contracts.ids import ComponentPath, EngineName, JobId, ScanId, Sha256
from qscan_contracts.reports import Clean, Detected, EngineCard, Outcome, Unscanned
from qscan_contracts.scanning import AvRequest, Job
from qscan_contracts.vocabulary import EngineRole, Origin, UnscannedReason
from qscan_kit.content import InlineSource

pytestmark = pytest.mark.anyio


@dataclass(eq=False)
class ScriptedEngine:
    """Says what it is told, and remembers what it was asked."""

    name: EngineName = field(default_factory=lambda: EngineName("scripted"))
    role: EngineRole = EngineRole.VIRUS
    outcome: Outcome = field(default_factory=Clean)
    asked: list[Sha256] = field(default_factory=list)
    timeouts_s: list[float] = field(default_factory=list)
    running: int = 0
    most_running: int = 0

    @property
    def card(self):
        """The versions of whoever would scan next."""
        return EngineCard(self.name, self.role, "next", "next")

    async def scan(self, content, *, timeout_s):
        """Answer after a moment."""
        self.asked.append(content.sha256)
        self.timeouts_s.append(timeout_s)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        await asyncio.sleep(0.001)
        self.running -= 1
        return Examined(self.outcome, EngineCard(self.name, self.role, "Scripted 1", "7+1"))


def component(path: str, data: bytes) -> ComponentContent:
    """A component whose bytes ride along."""
    sha256 = Sha256(hashlib.sha256(data).hexdigest())
    described = Component(ComponentPath(path), None, 0, Origin.PART, len(data), sha256)
    return ComponentContent(described, Inline(data))


def source_of(one: ComponentContent) -> InlineSource:
    """Its bytes."""
    assert isinstance(one.content, Inline)
    return InlineSource(one.content.data, one.component.sha256)


def request(*components: ComponentContent, roles=(EngineRole.VIRUS,), timeout_ms=60_000) -> AvRequest:
    """A request for all of them."""
    return AvRequest(Job(JobId("job"), ScanId("scan"), timeout_ms), roles, components)


async def test_one_report_for_each_pair():
    """In whatever order, with the versions of the engine as it was when it scanned."""
    engines = [ScriptedEngine(), ScriptedEngine(EngineName("other"), outcome=Detected("Evil"))]
    answer = await AvHandler(engines, source_of).handle(request(component("", b"a"), component("1", b"b")))
    assert {(report.path, report.engine): report.outcome for report in answer.reports} == {
        ("", "scripted"): Clean(),
        ("1", "scripted"): Clean(),
        ("", "other"): Detected("Evil"),
        ("1", "other"): Detected("Evil"),
    }
    assert len(answer.reports) == 4
    assert {(report.engine_version, report.signatures_version) for report in answer.reports} == {("Scripted 1", "7+1")}
    assert [card.name for card in answer.engines] == ["scripted", "other"]


async def test_equal_bytes_are_scanned_once():
    """And reported for every component that has them, as no cache was asked."""
    engine = ScriptedEngine()
    same = [component(str(index), b"same") for index in range(5)]
    answer = await AvHandler([engine], source_of).handle(request(*same, component("9", b"other")))
    assert len(engine.asked) == 2
    assert [report.path for report in answer.reports] == ["0", "1", "2", "3", "4", "9"]
    assert not any(report.cached for report in answer.reports)


async def test_components_are_scanned_side_by_side():
    """The engine itself bounds how many."""
    engine = ScriptedEngine()
    await AvHandler([engine], source_of).handle(request(*(component(str(n), b"%d" % n) for n in range(64))))
    assert engine.most_running == 64


async def test_only_engines_of_the_roles_asked_for():
    """A role without any engine is missing from the answer, and the unpacker takes that for none."""
    virus, dlp = ScriptedEngine(), ScriptedEngine(EngineName("dlp"), role=EngineRole.DLP)
    asked = [component("", b"a")]
    both = AvHandler([virus, dlp], source_of)
    assert [card.role for card in (await both.handle(request(*asked, roles=(EngineRole.DLP,)))).engines] == ["dlp"]
    one = AvHandler([virus], source_of)
    answer = await one.handle(request(*asked, roles=(EngineRole.VIRUS, EngineRole.DLP)))
    assert [card.role for card in answer.engines] == ["virus"]


@pytest.mark.parametrize(("timeout_ms", "at_most_s"), [(60_000, 59.501), (1_000, 0.901), (0, 0.001)])
async def test_scans_end_before_the_deadline(timeout_ms, at_most_s):
    """So that their reports arrive in time."""
    engine = ScriptedEngine()
    await AvHandler([engine], source_of).handle(request(component("", b"a"), timeout_ms=timeout_ms))
    assert engine.timeouts_s[0] <= at_most_s


async def test_nothing_asked_nothing_answered():
    """An empty request is no error."""
    assert (await AvHandler([ScriptedEngine()], source_of).handle(request())).reports == ()


async def test_a_failed_scan_is_a_report_like_any_other():
    """One component that could not be scanned does not take the others with it."""
    engine = ScriptedEngine(outcome=Unscanned.because(UnscannedReason.ENGINE_CRASHED, "gone"))
    answer = await AvHandler([engine], source_of).handle(request(component("", b"a"), component("1", b"b")))
    assert [report.outcome for report in answer.reports] == [engine.outcome] * 2
