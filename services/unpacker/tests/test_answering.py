"""The answer of the intake API: what it tells of findings, components and reports."""

import msgspec
import pytest

from qscan_contracts.components import CandidateName, Component
from qscan_contracts.decisions import Action, Finding
from qscan_contracts.defects import defect
from qscan_contracts.envelope import Envelope
from qscan_contracts.ids import RAW_PATH, ComponentPath, EngineName, FindingId, ScanId, Sha256
from qscan_contracts.intake import FindingAnswer, ScanAnswer
from qscan_contracts.reports import Detected, EngineReport, Unscanned
from qscan_contracts.vocabulary import (
    ActionKind,
    Disposition,
    NameSource,
    Origin,
    QuarantineClass,
    UnscannedReason,
    Verdict,
)
from qscan_unpacker.answering import MAX_EVIDENCE, MAX_FINDINGS, answer
from qscan_unpacker.domain.decision import Decision

RAW = Component(RAW_PATH, None, 0, Origin.RAW, 100, Sha256("0" * 64))


def told(*findings: Finding, component: Component = RAW, reports: tuple[EngineReport, ...] = ()) -> ScanAnswer:
    """The answer about a message with these findings and one component."""
    decision = Decision(
        verdict=Verdict.POLICY,
        disposition=Disposition.QUARANTINE,
        per_recipient=(),
        reason="",
        findings=findings,
        sender_text="",
        riders=(),
        quarantine_class=QuarantineClass.POLICY,
    )
    return answer(
        scan_id=ScanId("S1"),
        envelope=Envelope(mail_from="", rcpt_to=()),
        decision=decision,
        edits=(),
        components=(component,),
        reports=reports,
        spam=None,
        raw=RAW,
        rules_version="1",
        timing_ms={},
    )


def by_rule(kind: ActionKind, number: int = 0) -> Finding:
    """A finding of policy."""
    return Finding(FindingId(f"rule.{number}"), "policy", RAW_PATH, Action(kind), "a text")


def test_a_defect_is_told_with_its_place_and_its_rule():
    """Without them nobody finds in the message what was seen."""
    zip_file = ComponentPath("2")
    seen = defect("archive.overlap", zip_file, offset=12, length=34, detail="a.txt, ü.exe", within=zip_file)
    finding = Finding(seen.id, "unpacker", seen.component, Action(ActionKind.QUARANTINE), "members overlap", seen)
    assert told(finding).findings == (
        FindingAnswer(
            FindingId("archive.overlap"),
            "unpacker",
            ComponentPath("2"),
            ActionKind.QUARANTINE,
            "members overlap",
            evidence="a.txt, ü.exe",
            offset=12,
            length=34,
            within=ComponentPath("2"),
            rfc="",
            hides_content=True,
        ),
    )


def test_the_finding_of_a_rule_has_no_place():
    """Rules look at the message as a whole; null is not the place 0."""
    (finding,) = told(by_rule(ActionKind.LOG)).findings
    assert (finding.offset, finding.length, finding.hides_content) == (None, None, None)


@pytest.mark.parametrize(
    ("seen", "shown"),
    [
        ("name\r\n\x1b[2J\u202eexe.txt", "name [2J exe.txt"),
        ("\udce4.exe", ".exe"),
        ("x" * 1_000, "x" * (MAX_EVIDENCE - 1) + "…"),
    ],
    ids=["escape sequences and marks of direction", "no character at all", "too long"],
)
def test_evidence_is_one_printable_line(seen, shown):
    """It quotes the message, so it may try to command a terminal or to be no text."""
    one = defect("name.differ", RAW_PATH, offset=0, detail=seen)
    unscanned = EngineReport(
        RAW_PATH, EngineName("unpacker"), "", "", Unscanned.because(UnscannedReason.NOT_UNPACKABLE, seen)
    )
    result = told(Finding(one.id, "unpacker", RAW_PATH, Action(ActionKind.LOG), "", one), reports=(unscanned,))
    assert result.findings[0].evidence == shown
    assert not isinstance(result.components, msgspec.UnsetType)
    assert result.components[0].reports[0].detail == shown
    msgspec.json.encode(result)


def test_of_too_many_findings_the_strictest_are_told():
    """In their order, and with the number of the others: a short answer does not look like a whole one."""
    kinds = [ActionKind.LOG, ActionKind.QUARANTINE, *[ActionKind.TAG] * (MAX_FINDINGS - 1), ActionKind.REJECT]
    result = told(*(by_rule(kind, number) for number, kind in enumerate(kinds)))
    assert result.findings_left_out == 2
    assert [one.action for one in result.findings] == [
        ActionKind.QUARANTINE,
        *[ActionKind.TAG] * (MAX_FINDINGS - 2),
        ActionKind.REJECT,
    ]
    assert [one.id for one in result.findings[1:3]] == ["rule.2", "rule.3"], "among equals the first"


def test_of_too_many_findings_each_id_is_told():
    """What is found a thousand times does not push out what is found once, and says why."""
    often = [by_rule(ActionKind.QUARANTINE, 1)] * (MAX_FINDINGS + 5)
    result = told(*often, by_rule(ActionKind.QUARANTINE, 2), by_rule(ActionKind.TAG, 3))
    assert [one.id for one in result.findings[-2:]] == ["rule.1", "rule.2"]
    assert result.findings_left_out == 7


def test_an_answer_with_all_findings_leaves_none_out():
    """Exactly as many as there may be."""
    result = told(*(by_rule(ActionKind.LOG, number) for number in range(MAX_FINDINGS)))
    assert (len(result.findings), result.findings_left_out) == (MAX_FINDINGS, 0)


def test_a_component_without_content_is_told_as_it_is():
    """No digest, the size that its container states, and the report that says why."""
    member = Component(
        ComponentPath("2.1"),
        ComponentPath("2"),
        2,
        Origin.MEMBER,
        4_096,
        Sha256(""),
        names=(CandidateName("a.exe", NameSource.MEMBER), CandidateName("a.exe", NameSource.CONTENT_TYPE_NAME)),
        encrypted=True,
    )
    why = Unscanned.because(UnscannedReason.ENCRYPTED, "no password fits")
    reports = (EngineReport(member.path, EngineName("unpacker"), "", "", why),)
    result = told(component=member, reports=reports)
    assert not isinstance(result.components, msgspec.UnsetType)
    (one,) = result.components
    assert (one.sha256, one.size, one.encrypted, one.names) == ("", 4_096, True, ("a.exe",))
    assert (one.offset, one.encoded_size) == (None, None)
    (report,) = one.reports
    assert (report.outcome, report.reason, report.detail) == (
        "unscanned",
        UnscannedReason.ENCRYPTED,
        "no password fits",
    )


def test_a_part_is_told_with_its_place():
    """So that a person can cut it out of the message."""
    part = Component(ComponentPath("1"), RAW_PATH, 1, Origin.PART, 60, Sha256("1" * 64), offset=20, encoded_size=80)
    found = EngineReport(part.path, EngineName("clamd"), "1", "2", Detected("Eicar"))
    result = told(component=part, reports=(found,))
    assert not isinstance(result.components, msgspec.UnsetType)
    (one,) = result.components
    assert (one.offset, one.encoded_size, one.encrypted) == (20, 80, False)
    assert (one.reports[0].signature_name, one.reports[0].detail) == ("Eicar", "")
