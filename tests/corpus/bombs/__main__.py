"""`python -m tests.corpus.bombs`: what each bomb costs, as a table in Markdown. Each has a process of its own."""

import argparse
import subprocess
import sys

from tests.corpus.bombs.catalogue import Bomb, bombs
from tests.corpus.bombs.measuring import cost, sandbox

_MB = 1_000_000


def main() -> int:
    """Measure and print; 1 if something was not as the catalogue says."""
    parser = argparse.ArgumentParser(prog="python -m tests.corpus.bombs", description=__doc__)
    parser.add_argument("words", nargs="*", help="only bombs whose names contain one of these")
    parser.add_argument("--number", type=int, help="only this one, in this process")
    arguments = parser.parse_args()
    chosen = bombs()
    if arguments.number is not None:
        return _measure(chosen[arguments.number])
    _say("| bomb | message, MB | CPU, s | service, MB | sandbox, MB | components | decoded, MB | named |")
    _say("|---|--:|--:|--:|--:|--:|--:|---|")
    wrong = 0
    for number, bomb in enumerate(chosen):
        if not arguments.words or any(word in bomb.name for word in arguments.words):
            command = [sys.executable, "-m", "tests.corpus.bombs", "--number", str(number)]
            wrong += subprocess.run(command, check=False).returncode != 0
    return 1 if wrong else 0


def _measure(bomb: Bomb) -> int:
    message = bomb.message()
    with sandbox() as opening:
        seen = cost(message, opening)
    figures = (
        f"{len(message) / _MB:.2f}",
        f"{seen.cpu_s:.2f}",
        f"{seen.resident_bytes / _MB:.0f}",
        f"{seen.sandbox_bytes / _MB:.0f}",
        f"{seen.components}",
        f"{seen.decoded_bytes / _MB:.1f}",
    )
    _say(f"| {bomb.name} | {' | '.join(figures)} | {f'`{bomb.named}`' if bomb.named else ''} |")
    if bomb.named and bomb.named not in seen.said:
        _say(f"not named: {bomb.named}; said: {', '.join(sorted(seen.said))}")
        return 1
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
