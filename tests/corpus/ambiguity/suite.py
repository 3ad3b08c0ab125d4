"""All cases: each trick alone, chosen tricks in pairs, and pairs that are drawn."""

import random
from collections.abc import Iterator
from itertools import combinations, islice

from tests.corpus.ambiguity.cases import Case, Ends, case_of
from tests.corpus.ambiguity.families import Family, tricks_of
from tests.corpus.ambiguity.tricks import ALONE, IN_MESSAGE, IN_PARTS, QUOTED, Draft, Trick

TRICKS: dict[Family, list[Trick]] = {family: tricks_of(family) for family in Family if family is not Family.PAIR}
_DRAFTS: dict[str, Draft] = {"parts": IN_PARTS, "alone": ALONE, "message": IN_MESSAGE, "quoted": QUOTED}
_PARTNERS = 3
"""So many tricks of each other family are combined with each trick that is made for pairs."""
_DRAWN = 600
"""So many more pairs are of tricks that chance has chosen, the same ones each time."""
_DRAWN_SEED = 1


def cases() -> list[Case]:
    """The whole suite, in a stable order."""
    return [*_singles(), *_pairs(), *drawn(_DRAWN, seed=_DRAWN_SEED, most=2)]


def _singles() -> Iterator[Case]:
    for family, tricks in TRICKS.items():
        for trick in tricks:
            yield case_of(family, (trick,), IN_PARTS, "parts", Ends.LF)
            if trick.finish is None:
                yield case_of(family, (trick,), IN_PARTS, "parts", Ends.CRLF)
            if trick.works_quoted and family is not Family.NAME:
                yield case_of(family, (trick,), QUOTED, "quoted", Ends.LF)
            if trick.works_alone:
                yield case_of(family, (trick,), ALONE, "alone", Ends.LF)


def _pairs() -> Iterator[Case]:
    for one, other in combinations(TRICKS, 2):
        firsts = [trick for trick in TRICKS[one] if trick.pairs]
        seconds = [trick for trick in TRICKS[other] if trick.pairs]
        for at, first in enumerate(firsts):
            fitting = [second for second in seconds if _fit((first, second))]
            for step in range(min(_PARTNERS, len(fitting))):
                second = fitting[(at * _PARTNERS + step) % len(fitting)]
                ends = (Ends.LF, Ends.CRLF)[(at + step) % 2]
                yield case_of(Family.PAIR, (first, second), IN_PARTS, f"{one}-{other}", ends)


def drawn(count: int, *, seed: int, most: int) -> list[Case]:
    """So many cases of two or more tricks, `most` at the most, each of another family; the same for the same seed."""
    return list(islice(_drawn(random.Random(seed), most), count))


def _drawn(source: random.Random, most: int) -> Iterator[Case]:
    done = set()
    while True:
        families = source.sample(list(TRICKS), source.randint(2, most))
        tricks = tuple(source.choice(TRICKS[family]) for family in families)
        unfit = {"alone"} if not all(trick.works_alone for trick in tricks) else set()
        unfit |= {"quoted"} if not all(trick.works_quoted for trick in tricks) else set()
        variant = source.choice([name for name in _DRAFTS if name not in unfit])
        ends = source.choice(list(Ends))
        if _fit(tricks) and tricks not in done:
            done.add(tricks)
            yield case_of(Family.PAIR, tricks, _DRAFTS[variant], f"drawn-{variant}", ends)


def _fit(tricks: tuple[Trick, ...]) -> bool:
    """Whether none of them undoes another: they do not put something else in place of the same piece."""
    return not any(
        first.whole or second.whole or first.replaces & second.replaces for first, second in combinations(tricks, 2)
    )
