"""What an opener is given and what it gives: the members of one container, one level deep.

An opener is a generator. It never writes a file, never trusts a size that a header states, and passes names on as
they are: they are text to match rules on, never a path. What it finds in a member is not its business: whoever asked
recognises containers in the members and asks again.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from msgspec import Struct

from qscan_contracts.vocabulary import UnscannedReason

PIECE_BYTES = 256 * 1024
"""About how large the pieces of a member's content should be."""


class OpenRequest(Struct, frozen=True):
    """How a container is to be opened.

    Attributes:
        kind: a value of `ContainerKind`.
        passwords: to be tried, in order, where something is encrypted; already bounded in number.
        max_members: give up with `over_budget` behind so many members.
        max_member_bytes: give up a member with `over_budget` behind so many bytes of it.
        max_bytes: give up the container behind so many bytes of all members together.
        names: candidate names of the container itself; a compressed single file takes its member's name from them.
    """

    kind: str
    passwords: tuple[str, ...]
    max_members: int
    max_member_bytes: int
    max_bytes: int
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Member:
    """A member whose content can be read.

    Attributes:
        names: every name that some reader of this format would show: local and central, stored and Unicode ….
        pieces: the content; iterated once, before the next event is asked for. May raise `UnreadableError` when it
            cannot go on: the bytes so far are kept and the member is unscanned for that reason.
        encrypted: it was encrypted, and one of the passwords fitted.
    """

    names: tuple[str, ...]
    pieces: Iterable[bytes]
    encrypted: bool = False


@dataclass(frozen=True)
class Unopened:
    """A member whose content cannot be had at all. `size`: what the container states, in bytes; 0 where unknown."""

    names: tuple[str, ...]
    size: int
    reason: UnscannedReason
    detail: str = ""


@dataclass(frozen=True)
class Noted:
    """A defect of the container. `id` is in the catalogue of defects; `offset` counts from the container's start."""

    id: str
    offset: int = 0
    length: int = 0
    detail: str = ""


class UnreadableError(Exception):
    """A member or a container cannot be read to its end.

    Raised by `Member.pieces` for the member, by the opener itself for (the rest of) the container.
    """

    def __init__(self, reason: UnscannedReason, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


Event = Member | Unopened | Noted
Opener = Callable[[memoryview, OpenRequest], Iterator[Event]]
"""Takes all bytes of the container, read-only, owned by the caller until the generator is closed.

Raises UnreadableError where it cannot go on; whatever else it raises is taken for a crash.
"""
