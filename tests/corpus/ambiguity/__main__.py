"""Judges qscan by the crafted suite: ``python -m tests.corpus.ambiguity [--failing] [--flagged] [WORD…]``.

Prints the table, and in front of it the cases asked for: those missed, those only flagged, or with --show all. Words
restrict it to cases whose id has one of them. --write keeps the messages in a folder.
"""

import argparse
import sys
from pathlib import Path

from tests.corpus.ambiguity import oracle
from tests.corpus.ambiguity.judgement import Outcome, judge, seen_in, table
from tests.corpus.ambiguity.suite import cases
from tests.corpus.dissecting import dissecting


def main() -> int:
    """Run it. The exit status is 1 if a case was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.corpus.ambiguity", description=__doc__)
    parser.add_argument("--failing", action="store_true", help="show the cases that were neither extracted nor flagged")
    parser.add_argument("--flagged", action="store_true", help="show the cases that were only flagged")
    parser.add_argument("--show", action="store_true", help="show all cases")
    parser.add_argument(
        "--ids", action="store_true", help="of the cases to be shown, show ids and what is lacking only"
    )
    parser.add_argument("--no-readers", action="store_true", help="leave the readers out")
    parser.add_argument("--write", type=Path, metavar="DIR", help="write the messages into this folder")
    parser.add_argument("words", nargs="*", metavar="WORD", help="only cases whose id has one of these words")
    options = parser.parse_args()

    chosen = [case for case in cases() if not options.words or any(word in case.id for word in options.words)]
    if options.write:
        options.write.mkdir(parents=True, exist_ok=True)
        for case in chosen:
            (options.write / f"{case.id.replace('/', '_')}.eml").write_bytes(case.message)
    readers, lacking = ([], {}) if options.no_readers else oracle.available()
    for name, what in lacking.items():
        print(f"{name} is left out, it lacks {', '.join(what)}: make readers", file=sys.stderr)
    answers = oracle.ask([case.message for case in chosen], readers)
    with dissecting() as dissected:
        judgements = [judge(case, seen_in(case, answers), dissected(case.message)) for case in chosen]
    for one in judgements:
        shown = {Outcome.MISSED: options.failing, Outcome.FLAGGED: options.flagged}.get(one.outcome, False)
        if shown or options.show:
            print(f"{one.case.id}: {one.outcome}: {'; '.join(one.lacking)}" if options.ids else f"{one.report()}\n")
    print(table(judgements))
    return int(any(one.outcome is Outcome.MISSED for one in judgements))


if __name__ == "__main__":
    sys.exit(main())
