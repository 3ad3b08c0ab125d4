"""What is wrong with a rule file."""

from collections.abc import Sequence
from dataclasses import dataclass

Path = tuple[str | int, ...]
"""Keys and indices from the top of the file, for example ``("rules", 2, "when")``."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, where, and what to do about it."""

    path: Path
    text: str


class RulesError(Exception):
    """The rule file cannot be used; `problems` has all that was found, so that they can be mended in one go."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Carry `problems`, of which there is at least one."""
        super().__init__("; ".join(problem.text for problem in problems))
        self.problems = tuple(problems)
