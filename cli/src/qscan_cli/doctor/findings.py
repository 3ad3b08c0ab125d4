"""What doctor says about one thing."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How bad it is; only PROBLEM makes doctor's exit status 1."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "PROBLEM"


@dataclass(frozen=True)
class Found:
    """One line of the diagnosis. `advice` says what to do; there is none where all is well."""

    topic: str
    state: State
    what: str
    advice: str = ""


def ok(topic: str, what: str) -> Found:
    """Nothing to do."""
    return Found(topic, State.OK, what)


def note(topic: str, what: str, advice: str) -> Found:
    """Works, but somebody should know."""
    return Found(topic, State.NOTE, what, advice)


def problem(topic: str, what: str, advice: str) -> Found:
    """Does not work before somebody has done something."""
    return Found(topic, State.PROBLEM, what, advice)


def as_text(found: Sequence[Found]) -> str:
    """For people: a line each, with what to do below it."""
    width = max(len(one.topic) for one in found)
    marks = max(len(state) for state in State)
    lines = []
    for one in found:
        first, *more = one.what.splitlines() or [""]
        lines.append(f"{one.state:{marks}}  {one.topic:{width}}  {first}".rstrip())
        indent = " " * (marks + width + 4)
        lines += [f"{indent}{line}" for line in more]
        lines += [
            f"{indent}→ {line}" if not number else f"{indent}  {line}"
            for number, line in enumerate(one.advice.splitlines())
        ]
    return "\n".join(lines)
