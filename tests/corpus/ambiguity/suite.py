"""All cases: each trick alone, and pairs of tricks of different families."""

from collections.abc import Iterator
from itertools import combinations

from tests.corpus.ambiguity.cases import ALONE, IN_PARTS, Case, Ends, Family, Trick, case_of
from tests.corpus.ambiguity.families import encoding, header, line, name, structure

TRICKS: dict[Family, list[Trick]] = {
    Family.STRUCTURE: structure.TRICKS,
    Family.HEADER: header.TRICKS,
    Family.ENCODING: encoding.TRICKS,
    Family.NAME: name.TRICKS,
    Family.LINE: line.TRICKS,
}
_PARTNERS = 3
"""So many tricks of each other family are combined with each trick that is made for pairs."""


def cases() -> list[Case]:
    """The whole suite, in a stable order. Raises ValueError where two cases have the same id."""
    found = [*_singles(), *_pairs()]
    ids = [case.id for case in found]
    twice = sorted({id_ for id_ in ids if ids.count(id_) > 1})
    if twice:
        raise ValueError(f"two cases have the same id, give one of the tricks another: {', '.join(twice)}")
    return found


def _singles() -> Iterator[Case]:
    for family, tricks in TRICKS.items():
        for trick in tricks:
            yield case_of(family, (trick,), IN_PARTS, "parts", Ends.LF)
            if trick.finish is None:
                yield case_of(family, (trick,), IN_PARTS, "parts", Ends.CRLF)
            if trick.alone:
                yield case_of(family, (trick,), ALONE, "alone", Ends.LF)


def _pairs() -> Iterator[Case]:
    """Tricks that change the same pieces in ways that exclude each other are no pair."""
    for one, other in combinations(TRICKS, 2):
        firsts = [trick for trick in TRICKS[one] if trick.pairs]
        seconds = [trick for trick in TRICKS[other] if trick.pairs]
        for at, first in enumerate(firsts):
            fitting = [second for second in seconds if fit(first, second)]
            for step in range(min(_PARTNERS, len(fitting))):
                second = fitting[(at * _PARTNERS + step) % len(fitting)]
                ends = (Ends.LF, Ends.CRLF)[(at + step) % 2]
                yield case_of(Family.PAIR, (first, second), IN_PARTS, f"{one}-{other}", ends)


def fit(first: Trick, second: Trick) -> bool:
    """Whether neither trick undoes the other."""
    return not (first.whole or second.whole or first.replaces() & second.replaces())
