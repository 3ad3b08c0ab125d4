"""Soon."""

from tests.corpus.ambiguity.cases import Trick

TRICKS: list[Trick] = []
