"""The judge: did qscan extract, or at least flag, what is hidden in a case and what any reader saw in it."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tests.corpus.ambiguity.cases import Case
from tests.corpus.ambiguity.families import Family
from tests.corpus.ambiguity.oracle import Seen
from tests.corpus.dissecting import Dissected

MAX_FLAGGED_SHARE = 0.20
"""Of a family: flagging everything is no pass."""
_SHOWN_LINES = 40


class Outcome(StrEnum):
    """What became of a case."""

    EXTRACTED = "extracted"
    FLAGGED = "flagged"
    MISSED = "missed"


@dataclass(frozen=True)
class Judgement:
    """What became of a case, and why.

    Attributes:
        lacking: what was there to be found and was not, in words.
    """

    case: Case
    outcome: Outcome
    lacking: tuple[str, ...]
    seen: Mapping[str, Seen]
    dissected: Dissected

    def brief(self) -> str:
        """In one line, with the readers that saw the payload."""
        saw = [reader for reader, seen in self.seen.items() if seen.payload(self.case.marker)]
        return f"{self.case.id}: {self.outcome}: {'; '.join(self.lacking)}; seen by {', '.join(saw) or 'no reader'}"

    def report(self) -> str:
        """For people: what was sent, what qscan saw, what each reader saw."""
        case = self.case
        text = case.message.decode("latin-1").replace("\r", "<CR>").replace("\0", "<NUL>").split("\n")
        lines = [
            f"=== {case.id}: {self.outcome}",
            *(f"  what it does: {why}" for why in case.why),
            *(f"  lacking: {lack}" for lack in self.lacking),
            *(f"  {line}" for line in self.dissected.crash.splitlines()),
            *(f"  qscan: unscanned, {what}" for what in self.dissected.unscanned),
            f"  qscan: {self._qscan()}",
        ]
        for reader, seen in self.seen.items():
            payload = "the payload" if seen.payload(case.marker) else "no payload"
            names = [name for name in seen.names if case.stem in name]
            lines.append(f"  {reader}: {payload}, names {names}" + (f", {seen.error!r}" if seen.error else ""))
        lines += [f"  | {line if line.isprintable() else repr(line)[1:-1]}"[:140] for line in text[:_SHOWN_LINES]]
        return "\n".join(lines)

    def _qscan(self) -> str:
        found = self.dissected
        components = ", ".join(f"{path} ({len(content)})" for path, content in found.contents.items())
        return f"defects {', '.join(found.defects) or 'none'}; names {sorted(found.names)}; components {components}"


_ESCAPED = re.compile(r"\\x\{?[0-9A-F]{2}\}?")
"""How MIME-tools shows a byte that it cannot decode."""


def _squeezed(name: str) -> str:
    """Without what readers drop or show in ways of their own: white space, control characters and all above ASCII.

    Where such characters are the trick, the case itself says which names are expected.
    """
    return "".join(c for c in _ESCAPED.sub("", name) if "!" <= c <= "~")


def judge(case: Case, seen: Mapping[str, Seen], dissection: Dissected) -> Judgement:
    """Extracted: each payload in a component, each name among the candidates, and each name that a reader shows."""
    lacking = [
        f"payload {number} of {len(case.payloads)} is in no component"
        for number, payload in enumerate(case.payloads, 1)
        if not any(payload in content for content in dissection.contents.values())
    ]
    if dissection.crash:
        lacking.append(f"the dissector crashed with {dissection.crash.splitlines()[-1]}")
    lacking += [f"name {name!r} is no candidate" for name in case.names if name not in dissection.names]
    candidates = {_squeezed(name) for name in dissection.names}
    for reader, one in seen.items():
        lacking += [
            f"{reader} shows the name {name!r}"
            for name in one.names
            if case.stem in name and _squeezed(name) not in candidates
        ]
    if_lacking = Outcome.FLAGGED if dissection.hiding else Outcome.MISSED
    return Judgement(case, if_lacking if lacking else Outcome.EXTRACTED, tuple(lacking), seen, dissection)


def seen_in(case: Case, answers: Mapping[str, Mapping[str, Seen]]) -> dict[str, Seen]:
    """What each reader saw in a case."""
    digest = hashlib.sha256(case.message).hexdigest()
    return {reader: seen[digest] for reader, seen in answers.items()}


@dataclass(frozen=True)
class Row:
    """The figures of a family."""

    family: Family
    total: int
    extracted: int
    flagged: int

    @property
    def missed(self) -> int:
        """Neither extracted nor flagged."""
        return self.total - self.extracted - self.flagged

    @property
    def flagged_share(self) -> float:
        """Of those only flagged."""
        return self.flagged / self.total if self.total else 0.0


def rows(judgements: Sequence[Judgement]) -> list[Row]:
    """A row for each family."""
    counted = {family: [one.outcome for one in judgements if one.case.family is family] for family in Family}
    return [
        Row(family, len(outcomes), outcomes.count(Outcome.EXTRACTED), outcomes.count(Outcome.FLAGGED))
        for family, outcomes in counted.items()
        if outcomes
    ]


def table(judgements: Sequence[Judgement]) -> str:
    """The figures of all families, and what the readers saw beside qscan."""
    lines = [f"{'family':<12}{'cases':>7}{'extracted':>11}{'flagged':>9}{'missed':>8}{'only flagged':>14}"]
    lines += [
        f"{row.family:<12}{row.total:>7}{row.extracted:>11}{row.flagged:>9}{row.missed:>8}{row.flagged_share:>14.1%}"
        for row in rows(judgements)
    ]
    for reader in judgements[0].seen if judgements else ():
        saw = _count(one.seen[reader].payload(one.case.marker) for one in judgements)
        failed = _count(bool(one.seen[reader].error) for one in judgements)
        lines.append(
            f"{reader} saw the payload of {saw} of {len(judgements)}" + (f", gave up at {failed}" * bool(failed))
        )
    return "\n".join(lines)


def _count(truths: Iterable[bool]) -> int:
    return sum(truths)
