"""A short run of the fuzzing, and the fuzzing itself: `make fuzz` runs for as long as one likes."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.corpus.fuzzing import grammar, opening
from tests.corpus.fuzzing.checking import findings
from tests.corpus.fuzzing.mutation import MAX_BYTES, MUTATIONS, Mutation, mutated
from tests.corpus.fuzzing.run import Run
from tests.corpus.fuzzing.seeds import seeds

MESSAGES = 1_000
CONTAINERS = 300
ROOT = Path(__file__).parents[2]


def test_messages_keep_the_invariant(tmp_path: Path) -> None:
    """The same ones each time, so that a failure is one of the change that is tested."""
    run, chance, known = Run(findings, 60, tmp_path), Random(0), seeds()
    for _ in range(MESSAGES):
        run.one(mutated(chance.choice(known), chance))
    assert run.found == 0, f"python -m tests.corpus.fuzzing {tmp_path}/*"


def test_messages_of_the_grammar_keep_the_invariant(tmp_path: Path) -> None:
    """As they are made, without mutation."""
    run = Run(findings, 60, tmp_path)
    for number in range(MESSAGES):
        run.one(grammar.message(Random(number)))
    assert run.found == 0, f"python -m tests.corpus.fuzzing {tmp_path}/*"


def test_mutated_containers_end_well(tmp_path: Path) -> None:
    """`Done` comes last, the service lives, and no parser gives up in a way that nobody thought of."""
    chance, known = Random(0), opening.container_seeds()
    with opening.checking() as check:
        run = Run(check, 60, tmp_path)
        for _ in range(CONTAINERS):
            run.one(opening.mutated_container(chance.choice(known), known, chance))
    assert run.found == 0, list(tmp_path.iterdir())


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris has no wheel for this machine")
def test_guided_fuzzing_runs_and_keeps_what_led_further(tmp_path: Path) -> None:
    """A process of its own, as the dissector is instrumented in it."""
    command = [sys.executable, "-m", "tests.corpus.fuzzing", "--seconds", "3", "--work-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "kinds of finding: 0" in done.stdout
    assert len(list((tmp_path / "seeds").iterdir())) > 1_000


def test_each_kind_of_finding_is_kept_once(tmp_path: Path) -> None:
    """Numbers do not make another kind; the first message of each kind is there to be looked at."""
    run = Run(lambda message: [f"{len(message)} bytes are wrong", "something else"], 60, tmp_path)
    run.one(b"first")
    run.one(b"second one")
    assert run.found == 2
    assert {file.read_bytes() for file in tmp_path.iterdir()} == {b"first"}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_mutations_take_any_message(mutation: Mutation) -> None:
    """Also an empty one."""
    for message in (b"", b"\n", b"A: b\n\nx\n"):
        for seed in range(20):
            assert isinstance(mutation(message, Random(seed)), bytes)


def test_mutants_are_bounded_and_the_same_for_the_same_seed() -> None:
    """A run can be repeated."""
    message = grammar.message(Random(1)) * 20
    assert mutated(message, Random(2)) == mutated(message, Random(2))
    assert all(len(mutated(message, Random(seed), 100)) <= 100 for seed in range(50))
    assert max(map(len, seeds())) <= MAX_BYTES
