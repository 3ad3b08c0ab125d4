"""Kill -9 and SIGSTOP of every process at random moments under load, judged by the clients' journal (issue 2)."""

import random
import secrets
import time
from collections.abc import Callable

import pytest

from qscan_testkit.disruption import LONGEST_STOP_S, Disruptor
from qscan_testkit.journal import Journal, Kind
from qscan_testkit.judging import Judge, Judgement
from qscan_testkit.mail_load import MailLoad
from qscan_testkit.running_system import RunningSystem

MakeSystem = Callable[..., RunningSystem]

CALLERS = 6
WAIT_AFTER_DEADLINE_S = 15
"""How much longer than the deadline qscan-queue waits (DESIGN §3)."""
MARGIN_S = 5.0
"""For the scheduling of a busy machine."""
SETTLE_TIMEOUT_S = 90.0
"""An event of a consumer that was killed is delivered again after 15 s."""


@pytest.mark.slow
@pytest.mark.timeout(3600)  # every step in it has a deadline of its own
def test_nothing_is_lost_and_nothing_slips_through(
    make_system: MakeSystem, summarise: Callable[[str], None], request: pytest.FixtureRequest
) -> None:
    """What was accepted is delivered or in the quarantine, no payload is delivered, everybody is answered in time."""
    kills = int(request.config.getoption("--chaos-kills"))
    seed = request.config.getoption("--chaos-seed")
    seed = secrets.randbits(32) if seed is None else seed
    source = random.Random(seed)
    system = make_system()
    longest_wait_s = system.deadline_s + WAIT_AFTER_DEADLINE_S + LONGEST_STOP_S + MARGIN_S
    started = time.monotonic()
    with system, Journal(system.directory / "journal") as journal:
        judge = Judge(journal, system.recorder, system.data / "quarantine", longest_wait_s=longest_wait_s)
        load = MailLoad(
            lambda relay_client: system.caller(relay_client=relay_client),
            journal,
            callers=CALLERS,
            give_up_after_s=longest_wait_s + MARGIN_S,
            seed=source.getrandbits(32),
        )
        disruptor = Disruptor(system, load, source)
        with load:
            disruptor.run(kills)
            assert load.is_alive, "a caller of the test itself has failed; see its traceback"
        disrupted_s = time.monotonic() - started
        judgement = judge.settled(SETTLE_TIMEOUT_S)
    summarise(_table(disruptor, judgement, seed, disrupted_s, time.monotonic() - started))
    assert not judgement.broken, "\n".join(judgement.broken)
    assert not judgement.missing, "\n".join(judgement.missing)
    assert not judgement.unanswered
    for kind in Kind:
        assert judgement.accepted[kind] >= kills, f"too few {kind} messages got through to prove anything"
    assert all(tally.kills == tally.stops == kills for tally in disruptor.tallies.values())


def _table(disruptor: Disruptor, judgement: Judgement, seed: int, disrupted_s: float, elapsed_s: float) -> str:
    lines = [f"{'process':<14}{'kills':>7}{'stops':>7}{'stopped':>11}"]
    for part, tally in disruptor.tallies.items():
        lines.append(f"{part:<14}{tally.kills:>7}{tally.stops:>7}{tally.stopped_s:>9.1f} s")
    accepted = ", ".join(f"{judgement.accepted[kind]} {kind}" for kind in Kind)
    lines += [
        "",
        f"messages sent                     {judgement.sent.total():>6}",
        f"answered with success             {judgement.accepted.total():>6}   ({accepted})",
        f"answered with failure             {judgement.failed:>6}",
        f"  of these also at the recorder   {judgement.failed_but_delivered:>6}",
        f"  of these also in the quarantine {judgement.failed_but_kept:>6}",
        f"not answered                      {judgement.unanswered:>6}",
        f"lost, payload delivered, altered, doubled, late, stray: {len(judgement.broken) + len(judgement.missing)}",
        f"longest wait for an answer {judgement.longest_wait_s:.1f} s",
        f"{disrupted_s:.0f} s of disruption, {elapsed_s:.0f} s in all; --chaos-seed={seed}",
        "",
        *(f"{count:>6} x {text or '(accepted)'}" for text, count in judgement.answers.most_common(12)),
    ]
    return "\n".join(lines)
