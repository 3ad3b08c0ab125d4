"""Cases: messages with a trick or two in them, and what there is to be found."""

import re
from dataclasses import dataclass
from enum import StrEnum

from tests.corpus.ambiguity.families import Family
from tests.corpus.ambiguity.tricks import Draft, Trick
from tests.corpus.ambiguity.values import Values


class Ends(StrEnum):
    """The line ends of a message."""

    LF = "lf"
    CRLF = "crlf"


@dataclass(frozen=True)
class Case:
    """A crafted message.

    Attributes:
        id: family, tricks, variant: ``header/type-upper/alone-crlf``.
        why: one line for each trick.
        message: its bytes.
        marker: in each of the payloads, and nowhere else.
        payloads: what must be found, each of it whole.
        names: what must be among the candidate names, whatever readers show; empty where the case is not about names.
        stem: what a reader's name must contain to count as one of this case.
    """

    id: str
    family: Family
    why: tuple[str, ...]
    message: bytes
    marker: str
    payloads: tuple[bytes, ...]
    names: tuple[str, ...]
    stem: str


def case_of(family: Family, tricks: tuple[Trick, ...], draft: Draft, variant: str, ends: Ends) -> Case:
    """The case of these tricks, played in this order; those that replace pieces go first."""
    id_ = f"{family}/{'+'.join(trick.id for trick in tricks)}/{variant}-{ends}"
    values = Values(id_)
    for trick in sorted(tricks, key=lambda trick: not trick.replaces):
        draft = trick.apply(draft)
    template = next((trick.whole for trick in tricks if trick.whole), draft.template())
    message = values.fill(template).encode("latin-1")
    if ends is Ends.CRLF:
        message = re.sub(rb"(?<!\r)\n", b"\r\n", message)
    for trick in tricks:
        if trick.finish is not None:
            message = trick.finish(message)
    return Case(
        id_,
        family,
        tuple(trick.why for trick in tricks),
        message,
        values.marker,
        values.payloads(template),
        # In a pair the other trick may leave no field for a name to stand in: there the readers say which names count.
        tuple(values.fill(name) for name in tricks[0].names or ()) if len(tricks) == 1 else (),
        values.stem,
    )
