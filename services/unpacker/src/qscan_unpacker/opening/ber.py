"""BER, as far as cryptographic messages need it (X.690): elements and octet strings, never recursive."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening.members import PIECE_BYTES, UnreadableError

SEQUENCE: Final = 0x30
SET: Final = 0x31
OBJECT_ID: Final = 0x06
OCTET_STRING: Final = 0x04
CONTEXT: Final = 0x80
"""Bit of the first octet: a tag whose meaning is the place's."""
CONSTRUCTED: Final = 0x20

MAX_DEPTH: Final = 64
MAX_CHILDREN: Final = 10_000
"""Looked at in one element. What is wanted is among the first ten."""
MAX_ELEMENTS: Final = 500_000
"""Passed over or joined in one element: under a second. Writers cut octet strings in pieces of 1,000 bytes and more."""

_LONG_TAG: Final = 0x1F
_INDEFINITE: Final = 0x80
_MAX_LENGTH_OCTETS: Final = 8
_END: Final = b"\0\0"


@dataclass(frozen=True, slots=True)
class Element:
    """An element: `tag` is its first octet, `start` and `end` enclose its content in the data.

    Where the length is indefinite, `end` is that of what is around it: it ends sooner. `cut`: more was stated than is
    there.
    """

    tag: int
    start: int
    end: int
    indefinite: bool = False
    cut: bool = False

    @property
    def constructed(self) -> bool:
        """Whether the content is elements."""
        return bool(self.tag & CONSTRUCTED)


def element(data: memoryview, at: int, limit: int) -> Element:
    """Read the head of the element at `at`, which may reach up to `limit`.

    Raises:
        UnreadableError: `not_unpackable`: there is none.
    """
    try:
        tag = data[at]
        at += 1
        if tag & _LONG_TAG == _LONG_TAG:
            while data[at] & 0x80:
                at += 1
            at += 1
        length = data[at]
        at += 1
        indefinite = length == _INDEFINITE and bool(tag & CONSTRUCTED)
        if indefinite:
            length = max(0, limit - at)
        elif length & 0x80:
            octets = length & 0x7F
            if not 0 < octets <= _MAX_LENGTH_OCTETS or at + octets > limit:
                raise UnreadableError(UnscannedReason.NOT_UNPACKABLE, "BER: a length that makes no sense")
            length = int.from_bytes(data[at : at + octets], "big")
            at += octets
    except IndexError:
        raise UnreadableError(UnscannedReason.NOT_UNPACKABLE, "BER: an element ends too early") from None
    if at > limit:
        raise UnreadableError(UnscannedReason.NOT_UNPACKABLE, "BER: an element reaches out of the one around it")
    return Element(tag, at, min(at + length, limit), indefinite, cut=at + length > limit)


def children(data: memoryview, parent: Element) -> Iterator[Element]:
    """Yield what is in a constructed element. Where one is wanted, stop there: what is behind costs a look at it."""
    at = parent.start
    allowed = MAX_ELEMENTS
    for _ in range(MAX_CHILDREN):
        if at >= parent.end or (parent.indefinite and _is_end(data, at)):
            return
        child = element(data, at, parent.end)
        yield child
        at = child.end
        if child.indefinite:  # Where it ends is known only when all in it has been passed over.
            walk = _Walk(data, child, allowed)
            allowed -= sum(1 for _ in walk)
            at = walk.at
    raise UnreadableError(UnscannedReason.OVER_BUDGET, f"BER: over {MAX_CHILDREN} elements in one")


def octets(data: memoryview, string: Element) -> Iterator[bytes]:
    """Yield an octet string in pieces, its segments joined.

    Raises:
        UnreadableError: `not_unpackable`, behind what is there: it is cut short, or nested or divided beyond reason.
    """
    pending = bytearray()
    cut = string.cut
    broken: UnreadableError | None = None
    try:
        for part in _primitives(data, string):
            cut |= part.cut
            for start in range(part.start, part.end, PIECE_BYTES):
                pending += data[start : min(start + PIECE_BYTES, part.end)]
                if len(pending) >= PIECE_BYTES:
                    yield bytes(pending)
                    pending.clear()
    except UnreadableError as error:
        broken = error
    if pending:
        yield bytes(pending)
    if broken is not None:
        raise broken
    if cut:
        raise UnreadableError(UnscannedReason.NOT_UNPACKABLE, "BER: an octet string ends too early")


def _is_end(data: memoryview, at: int) -> bool:
    """Whether an element of indefinite length ends here."""
    return bytes(data[at : at + len(_END)]) == _END


def _primitives(data: memoryview, parent: Element) -> Iterator[Element]:
    """Yield the innermost elements of one, itself if it is primitive."""
    if not parent.constructed:
        yield parent
        return
    for child in _Walk(data, parent, MAX_ELEMENTS):
        if not child.constructed:
            yield child


class _Walk:
    """Goes through all that is in a constructed element, depth first; `at` is the place behind what was given last."""

    def __init__(self, data: memoryview, parent: Element, max_elements: int) -> None:
        self.at = parent.start
        self._max_elements = max_elements
        self._data = data
        self._open = [parent]

    def __iter__(self) -> Iterator[Element]:
        for _ in range(self._max_elements):
            while self._open and self._closed(self._open[-1]):
                self._open.pop()
            if not self._open:
                return
            child = element(self._data, self.at, self._open[-1].end)
            self.at = child.start if child.constructed else child.end
            if child.constructed:
                self._open.append(child)
                if len(self._open) > MAX_DEPTH:
                    raise UnreadableError(UnscannedReason.OVER_BUDGET, f"BER: over {MAX_DEPTH} elements deep")
            yield child
        raise UnreadableError(UnscannedReason.OVER_BUDGET, f"BER: over {MAX_ELEMENTS} elements")

    def _closed(self, parent: Element) -> bool:
        if parent.indefinite and _is_end(self._data, self.at):
            self.at += len(_END)
            return True
        return self.at >= parent.end
