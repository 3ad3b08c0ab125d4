"""The crafted suite: what any reader may see in a hostile message, qscan sees or flags."""

import hashlib
import os
import shutil
import subprocess

import pytest

from tests.corpus.ambiguity.cases import Case, Ends, case_of
from tests.corpus.ambiguity.families import Family, tricks_in
from tests.corpus.ambiguity.judgement import MAX_FLAGGED_SHARE, Judgement, Outcome, judge, rows, seen_in
from tests.corpus.ambiguity.oracle import READERS, WANTED, Seen, ask, available
from tests.corpus.ambiguity.suite import TRICKS, cases
from tests.corpus.ambiguity.tricks import ALONE, IN_PARTS
from tests.corpus.ambiguity.values import Values
from tests.corpus.dissecting import Dissect, Dissected

# The readers take ten seconds or so, where what they saw is not known yet.
pytestmark = pytest.mark.timeout(300)

_WANTED_CASES = 300
_SHOWN = 10
_NOTHING = Dissected({}, frozenset(), frozenset(), (), ())


def _installation_possible() -> bool:
    if shutil.which("apt-get") is None:
        return False
    sudo = shutil.which("sudo")
    return os.geteuid() == 0 or (
        sudo is not None and subprocess.run([sudo, "-n", "true"], check=False, capture_output=True).returncode == 0
    )


def test_enough_readers() -> None:
    """At least five independent readers run; fewer only where they cannot be installed, and never silently."""
    readers, lacking = available()
    if len(readers) < WANTED:
        reason = f"only {len(readers)} readers, run `make readers`; missing: {lacking}"
        if _installation_possible():
            pytest.fail(reason)
        pytest.skip(reason)


def test_the_suite_is_large_and_wide() -> None:
    """Over 300 messages, no two the same, in each family, for each case of field-lessons §4.1 that tricks can play."""
    found = cases()
    assert len(found) >= _WANTED_CASES
    assert len({case.message for case in found}) == len(found)
    assert {case.family for case in found} == set(Family)
    lessons = {trick.lesson for tricks in TRICKS.values() for trick in tricks}
    # 16 is not a trick but what to do about them: to scan the raw message too.
    assert lessons == set(range(1, 16))


def test_each_case_hides_a_payload() -> None:
    """Each case has a payload, and the raw bytes of the message give it away only where nothing is encoded."""
    assert not [case.id for case in cases() if not case.payloads]


@pytest.mark.parametrize("draft", [IN_PARTS, ALONE], ids=["parts", "alone"])
@pytest.mark.parametrize("ends", Ends)
def test_without_tricks_all_agree(dissected: Dissect, draft, ends) -> None:
    """The message that all tricks are played on has no defect, and every reader sees payload and name as qscan does."""
    case = case_of(Family.STRUCTURE, (), draft, "control", ends)
    readers, _ = available()
    seen = seen_in(case, ask([case.message], readers))
    judgement = judge(case, seen, dissected(case.message))
    assert judgement.outcome is Outcome.EXTRACTED, judgement.report()
    assert judgement.dissected.defects == ()
    for reader, one in seen.items():
        assert one.payload(case.marker), reader
        assert reader == "clamscan" or f"{case.stem}.exe" in one.names, reader


def test_who_sees_nothing_has_missed_everything() -> None:
    """The judge finds every case missed by a dissector that yields nothing, and flagged by one that flags all."""
    for case in cases():
        assert judge(case, {}, _NOTHING).outcome is Outcome.MISSED
        flags = Dissected({}, frozenset(), frozenset(), ("x",), ("x",))
        assert judge(case, {}, flags).outcome is Outcome.FLAGGED


def test_a_name_that_only_a_reader_shows_counts() -> None:
    """The payload alone is not enough where a reader shows a name; another spelling of white space is no other name."""
    case = case_of(Family.NAME, (), ALONE, "control", Ends.LF)
    found = Dissected({"1 part": case.payloads[0]}, frozenset(), frozenset({"other.txt"}), (), ())
    shown = {"some reader": Seen((), (f"{case.stem}.exe",))}
    assert judge(case, {}, found).outcome is Outcome.EXTRACTED
    assert judge(case, shown, found).outcome is Outcome.MISSED
    candidate = Dissected(found.contents, frozenset(), frozenset({f" {case.stem}.exe\0"}), (), ())
    assert judge(case, shown, candidate).outcome is Outcome.EXTRACTED


def test_a_payload_must_be_whole() -> None:
    """Half of a payload, or its marker alone, is not extracted."""
    case: Case = case_of(Family.ENCODING, (), ALONE, "control", Ends.LF)
    part = Dissected({"1 part": case.payloads[0][:-1]}, frozenset(), frozenset(), (), ())
    assert judge(case, {}, part).outcome is Outcome.MISSED


@pytest.mark.parametrize("family", Family)
def test_nothing_is_missed(judgements: list[Judgement], family) -> None:
    """Every payload, and every name that the case or any reader speaks of, is extracted or the message is flagged."""
    missed = [one for one in judgements if one.case.family is family and one.outcome is Outcome.MISSED]
    if missed:
        shown = "\n\n".join(one.report() for one in missed[:_SHOWN])
        others = "\n".join(one.brief() for one in missed[_SHOWN:])
        pytest.fail(
            f"{len(missed)} cases of {family} are neither extracted nor flagged\n{shown}\n\n{others}", pytrace=False
        )


@pytest.mark.parametrize("family", Family)
def test_flagging_is_no_way_out(judgements: list[Judgement], family) -> None:
    """Of each family at most a fifth is only flagged."""
    (row,) = [row for row in rows(judgements) if row.family is family]
    assert row.flagged_share <= MAX_FLAGGED_SHARE


def test_readers_see_something_in_most_cases(judgements: list[Judgement]) -> None:
    """The oracle works: each reader sees the payload of a good part of the cases, and hardly ever gives up."""
    for reader in {name for one in judgements for name in one.seen}:
        saw = sum(one.seen[reader].payload(one.case.marker) for one in judgements)
        gave_up = sum(bool(one.seen[reader].error) for one in judgements)
        assert saw > 0.3 * len(judgements), reader
        assert gave_up < 0.1 * len(judgements), reader


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ("  tricks: {a: {why: x, bodi: y}}", "neither pieces nor words of the group: bodi"),
        ("  tricks: {a: {why: x}, a: {why: y}}", "a stands there twice"),
        ("  prefx: a\n  tricks: {}", "not understood: prefx"),
        ("  pairs: [b]\n  tricks: {a: {why: x}}", "pairs names tricks that the group does not have: b"),
        ("  tricks: {a: {why: x, finish: {ends: y}}}", "this is no way to finish a message"),
        ("  tricks: {a: {why: x}}\n- group: h\n  lesson: 1\n  tricks: {a: {why: x}}", "two tricks have the same id"),
    ],
)
def test_slips_in_descriptions_are_found(said, complaint) -> None:
    """What a description says and nobody reads would be a case that tests something else."""
    with pytest.raises(ValueError, match=complaint):
        tricks_in(f"- group: g\n  lesson: 1\n{said}\n", "test")


@pytest.mark.parametrize("template", ["{nothing}", "{payload|no_way}"])
def test_unknown_marks_are_found(template) -> None:
    """A mark that stands for nothing does not go into a message as it is."""
    with pytest.raises(KeyError):
        Values("x").fill(template)


def test_cases_stay_the_same() -> None:
    """A case's bytes are made from its name alone, so that a failure can be looked at again."""
    first, second = cases(), cases()
    assert [hashlib.sha256(case.message).digest() for case in first] == [
        hashlib.sha256(case.message).digest() for case in second
    ]
    assert len(READERS) > WANTED
