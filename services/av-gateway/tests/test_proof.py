"""The proof refuses every clamd that would call something clean which it did not look at."""

import pytest

from qscan_av_gateway import probes
from qscan_av_gateway.eicar import EICAR
from qscan_av_gateway.proof import PROBES, prove
from qscan_contracts.reports import Clean, Detected, Outcome, Unscanned
from qscan_contracts.vocabulary import UnscannedReason
from qscan_testkit.fake_clamd import Switches, hangs_up, never_answers, says

pytestmark = pytest.mark.anyio


async def test_a_good_clamd_passes(start_fake, build):
    """All questions are asked."""
    fake = await start_fake()
    (clamd,) = build(fake)
    await clamd.watched.look()
    assert clamd.watched.why == ""
    assert fake.streams == len(PROBES)


@pytest.mark.parametrize(
    ("switches", "cure"),
    [
        (Switches(has_signatures=False), "run freshclam"),
        (Switches(alert_exceeds_max=False), "AlertExceedsMax yes"),
        (Switches(max_recursion=1000), "MaxRecursion below"),
        (Switches(alert_encrypted_archive=False), "AlertEncryptedArchive yes"),
        (Switches(alert_encrypted_doc=False), "AlertEncryptedDoc yes"),
        (Switches(heuristic_scan_precedence=True), "HeuristicScanPrecedence no"),
    ],
)
async def test_a_wrong_switch_is_found(start_fake, build, switches, cure):
    """And the reason says which one it is."""
    fake = await start_fake(switches=switches)
    (clamd,) = build(fake)
    await clamd.watched.look()
    assert clamd.watched.why.startswith("refused: ")
    assert cure in clamd.watched.why


@pytest.mark.parametrize(
    "behaviour",
    [says(b"stream: OK\0"), says(b"stream: Evil FOUND\0"), says(b"stream: oops ERROR\0"), hangs_up, never_answers],
)
async def test_a_clamd_that_always_says_the_same_is_not_used(start_fake, build, behaviour):
    """Neither «clean», nor «virus», nor nothing at all proves anything."""
    fake = await start_fake(behaviour=behaviour)
    (clamd,) = build(fake, proof_timeout_s=0.2)
    await clamd.watched.look()
    assert clamd.watched.why


@pytest.mark.parametrize("wrong", range(len(PROBES)))
async def test_each_question_counts(wrong):
    """One wrong answer among right ones is enough."""
    right = (
        Clean(),
        Detected("Eicar"),
        Unscanned.because(UnscannedReason.ENGINE_LIMIT),
        Unscanned.because(UnscannedReason.ENCRYPTED),
        Unscanned.because(UnscannedReason.ENCRYPTED),
        Detected("Eicar"),
    )
    outcomes: list[Outcome] = [Clean(), Detected("x"), *(Unscanned.because(reason) for reason in UnscannedReason)]
    for instead in outcomes:
        if PROBES[wrong].is_right(instead):
            continue
        answers = iter([*right[:wrong], instead, *right[wrong + 1 :]])

        async def scan(_, answers=answers):
            return next(answers)

        assert await prove(scan) is not None, instead


def test_no_probe_is_the_same_twice():
    """So that no cache of clamd's can answer; EICAR itself has to be what everybody's signature knows."""
    for probe in PROBES:
        made = {probe.make() for _ in range(5)}
        assert len(made) == (1 if EICAR in made else 5), probe.name


def test_probes_are_small():
    """The whole proof costs a clamd a few milliseconds."""
    assert sum(len(probe.make()) for probe in PROBES) < 20_000
    assert len(probes.nested_zips(3)) < 1_000
