"""Judges qscan by the crafted suite: ``python -m tests.corpus.ambiguity [--failing] [--flagged] [WORD…]``.

Prints the table, and in front of it the cases that were asked for. Words restrict it to cases whose id has one of them.
With --hunt it looks at combinations of tricks that are drawn anew instead, where the suite has too few.
"""

import argparse
import sys
from pathlib import Path

from tests.corpus.ambiguity import oracle
from tests.corpus.ambiguity.cases import Case
from tests.corpus.ambiguity.judgement import Outcome, judge, seen_in, table
from tests.corpus.ambiguity.suite import cases, drawn
from tests.corpus.dissecting import dissecting

_MOST_TRICKS = 4
"""In one message, when hunting."""


def main() -> int:
    """Run it. The exit status is 1 if a case was missed."""
    options = _options()
    chosen = _chosen(options)
    if options.write:
        _write(chosen, options.write)
    readers, lacking = ([], {}) if options.no_readers else oracle.available()
    for name, what in lacking.items():
        sys.stderr.write(f"{name} is left out, it lacks {', '.join(what)}: make readers\n")
    answers = oracle.ask([case.message for case in chosen], readers)
    with dissecting() as dissected:
        judgements = [judge(case, seen_in(case, answers), dissected(case.message)) for case in chosen]
    shown = {Outcome.MISSED: options.failing, Outcome.FLAGGED: options.flagged}
    for one in judgements:
        if options.show or shown.get(one.outcome):
            sys.stdout.write(f"{one.brief()}\n" if options.ids else f"{one.report()}\n\n")
    sys.stdout.write(f"{table(judgements)}\n")
    return int(any(one.outcome is Outcome.MISSED for one in judgements))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.corpus.ambiguity",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--failing", action="store_true", help="show the cases that were neither extracted nor flagged")
    parser.add_argument("--flagged", action="store_true", help="show the cases that were only flagged")
    parser.add_argument("--show", action="store_true", help="show all cases")
    parser.add_argument(
        "--ids", action="store_true", help="of the cases to be shown, show ids and what is lacking only"
    )
    parser.add_argument("--no-readers", action="store_true", help="leave the readers out")
    parser.add_argument("--write", type=Path, metavar="DIR", help="write the messages into this folder")
    parser.add_argument("--hunt", type=int, metavar="N", help="look at N cases of up to four tricks drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of --hunt; another one draws others (default: 0)")
    parser.add_argument("words", nargs="*", metavar="WORD", help="only cases whose id has one of these words")
    return parser.parse_args()


def _chosen(options: argparse.Namespace) -> list[Case]:
    found = drawn(options.hunt, seed=options.seed, most=_MOST_TRICKS) if options.hunt else cases()
    return [case for case in found if not options.words or any(word in case.id for word in options.words)]


def _write(chosen: list[Case], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for case in chosen:
        (folder / f"{case.id.replace('/', '_')}.eml").write_bytes(case.message)


if __name__ == "__main__":
    sys.exit(main())
