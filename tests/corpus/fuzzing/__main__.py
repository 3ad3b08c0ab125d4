"""`make fuzz`: looks for messages whose dissection breaks the invariant.

With files as arguments it tells what is wrong with these. Exit status 1: something was found.
"""

import argparse
import sys
from pathlib import Path
from random import Random

from tests.corpus.fuzzing import guided
from tests.corpus.fuzzing.mutation import mutated
from tests.corpus.fuzzing.run import Run
from tests.corpus.fuzzing.seeds import seeds

WORK_DIR = Path(__file__).parents[3] / "build" / "fuzzing"


def main() -> int:
    """Parse the arguments and do it."""
    parser = argparse.ArgumentParser(prog="python -m tests.corpus.fuzzing", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="check these messages, and nothing else")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="of an unguided run (default: 0)")
    parser.add_argument("--unguided", action="store_true", help="without atheris")
    parser.add_argument("--containers", action="store_true", help="containers through the sandbox instead of messages")
    parser.add_argument(
        "--work-dir", type=Path, default=WORK_DIR, help="for corpus and findings (default: build/fuzzing)"
    )
    arguments = parser.parse_args()
    if arguments.files:
        return replay(arguments.files)
    findings_dir = arguments.work_dir / "findings"
    if arguments.containers:
        return containers(arguments.seconds, arguments.seed, findings_dir)
    if guided.is_available() and not arguments.unguided:
        guided.fuzz(Run(guided.instrumented_check(), arguments.seconds, findings_dir), arguments.work_dir)
    sys.stdout.write("without guidance by coverage: atheris is not installed, or not wanted\n")
    return unguided(arguments.seconds, arguments.seed, findings_dir)


def unguided(seconds: float, seed: int, findings_dir: Path) -> int:
    """Mutate seeds by chance until the time is up."""
    from tests.corpus.fuzzing.checking import findings  # noqa: PLC0415  # not before it may be instrumented

    run, chance, messages = Run(findings, seconds, findings_dir), Random(seed), seeds()
    while not run.is_over:
        run.one(mutated(chance.choice(messages), chance))
    run.tell()
    return 1 if run.found else 0


def containers(seconds: float, seed: int, findings_dir: Path) -> int:
    """Mutate containers by chance until the time is up."""
    from tests.corpus.fuzzing import opening  # noqa: PLC0415  # see above

    chance, known = Random(seed), opening.container_seeds()
    with opening.checking() as check:
        run = Run(check, seconds, findings_dir)
        while not run.is_over:
            run.one(opening.mutated_container(chance.choice(known), known, chance))
    run.tell()
    return 1 if run.found else 0


def replay(files: list[Path]) -> int:
    """Tell what is wrong with some messages."""
    from tests.corpus.fuzzing.checking import findings  # noqa: PLC0415  # see above

    wrong = 0
    for file in files:
        found = findings(file.read_bytes())
        wrong += bool(found)
        sys.stdout.write(f"{file}: {'; '.join(found) or 'as it should be'}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
