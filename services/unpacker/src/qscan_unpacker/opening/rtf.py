r"""Opens RTF: embedded objects (``\objdata``), data stores, pictures and raw binary (``\bin``).

A reader of our own: oletools' rtfobj brings a dozen packages, a GUI toolkit among them, for two hundred lines that go
byte by byte. Attackers break up the digits in ways that Word reads over, and readers differ in how: digits in nested
groups, digits that ``\'`` eats. Each of these is a reading, and each reading that gives other bytes is a member.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening.allowance import pieces_of, within
from qscan_unpacker.opening.compound import MAGIC
from qscan_unpacker.opening.embedding import ole1_object, packages
from qscan_unpacker.opening.members import Event, Member, OpenRequest, UnreadableError

MAX_TOKENS: Final = 1_000_000
"""Groups and control words inside destinations, in one document: about a second."""

_OBJECT: Final = "objdata"
_START: Final = re.compile(rb"\\(?:objdata|datastore|pict|bin)(?![A-Za-z])")
"""Where something begins that is looked at; all else is passed over without a look at its groups."""
_TOKEN: Final = re.compile(
    rb"""
    (?P<text>[^\\{}]+)
    | (?P<group>[{}])
    | \\ (?: (?P<word>[A-Za-z]{1,250}) (?P<number>-?\d{1,250})? [ ]? | '(?P<escape>[0-9A-Fa-f]{2}) | . )
    | \\
    """,
    re.VERBOSE | re.DOTALL,
)
_NO_DIGITS: Final = bytes(set(range(256)) - set(b"0123456789abcdefABCDEF"))
_DESTINATIONS: Final = {b"objdata": _OBJECT, b"datastore": "datastore", b"pict": "pict"}


def open_rtf(data: memoryview, request: OpenRequest) -> Iterator[Event]:
    """Open an RTF document (see `Opener`)."""
    return within(request, _events(bytes(data)))


@dataclass
class _Destination:
    """What a destination holds: runs of digits, raw bytes, and how deep in nested groups each was."""

    kind: str
    chunks: list["_Chunk"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Chunk:
    content: bytes
    nested: bool = False
    escaped: bool = False
    binary: bool = False


def _events(data: bytes) -> Iterator[Event]:
    for destination in _destinations(data):
        seen = set()
        for content in _readings(destination):
            if content and content not in seen:
                seen.add(content)
                yield from _object(content) if destination.kind == _OBJECT else (Member((), pieces_of(content)),)


def _object(content: bytes) -> Iterator[Event]:
    """Give the object as it is, then what is inside of it."""
    view = memoryview(content)
    found = ole1_object(view)
    yield Member(found.names if found else (), pieces_of(content))
    if found is not None and found.native:
        files = packages(found.native)
        for file in files:
            yield Member(file.names, pieces_of(file.content))
        if not files:
            yield Member((), pieces_of(found.native))
    if (start := content.find(MAGIC)) > 0 and (found is None or found.native[: len(MAGIC)] != MAGIC):
        yield Member((), pieces_of(view[start:]))  # A header that we cannot read, or that lies, hides nothing.


def _readings(destination: _Destination) -> Iterator[bytes]:
    """Decode the digits in every way that some reader does; the same bytes may come twice.

    In the group of a picture, groups are its properties for every reader.
    """
    chunks = destination.chunks
    nested = any(chunk.nested for chunk in chunks)
    if destination.kind == _OBJECT or not nested:
        yield _decoded(chunk for chunk in chunks if not chunk.escaped)
    if nested:
        yield _decoded(chunk for chunk in chunks if not chunk.nested and not chunk.escaped)
    if destination.kind == _OBJECT and any(chunk.escaped for chunk in chunks):
        yield _decoded(iter(chunks))


def _decoded(chunks: Iterator[_Chunk]) -> bytes:
    """Join chunks: pairs of digits across whatever stands between them; a digit without a partner is dropped."""
    out = bytearray()
    digits: list[bytes] = []
    for chunk in chunks:
        if not chunk.binary:
            digits.append(chunk.content.translate(None, _NO_DIGITS))
            continue
        out += _from_hex(b"".join(digits))
        out += chunk.content
        digits.clear()
    return bytes(out + _from_hex(b"".join(digits)))


def _from_hex(digits: bytes) -> bytes:
    return bytes.fromhex(digits[: len(digits) & ~1].decode("ascii"))


def _destinations(data: bytes) -> Iterator[_Destination]:
    """Yield the destinations, each when its group ends.

    Raises:
        UnreadableError: `over_budget`: more tokens than a document has that means no harm.
    """
    reader = _Reader(data)
    while (start := _START.search(data, reader.at)) is not None:
        reader.at = start.start()
        yield from reader.group()


class _Reader:
    """Reads groups, from where a destination begins to where its group ends."""

    def __init__(self, data: bytes) -> None:
        self.at = 0
        self._data = data
        self._tokens = MAX_TOKENS
        self._current: _Destination | None = None
        self._nested = False
        """Whether the place is in a group inside that of the current destination."""
        self._outer: list[tuple[_Destination | None, bool]] = []
        """The same two of each group that is open, outermost first."""

    def group(self) -> Iterator[_Destination]:
        """Read to the end of the group that the place is in; where no destination begins there, one token only."""
        while (token := _TOKEN.match(self._data, self.at)) is not None:
            self._tokens -= 1
            if self._tokens < 0:
                detail = f"RTF with over {MAX_TOKENS} tokens in destinations"
                raise UnreadableError(UnscannedReason.OVER_BUDGET, detail)
            self.at = token.end()
            yield from self._take(token)
            if self._current is None and not self._outer:
                return
        while self._outer or self._current is not None:
            yield from self._close()

    def _take(self, token: re.Match[bytes]) -> Iterator[_Destination]:
        """Act on a token; yields the destination that it ends."""
        text, word = token["text"] or token["escape"], token["word"]
        if text is not None:
            self._keep(_Chunk(text, self._nested, escaped=token["text"] is None))
        elif token["group"] == b"{":
            self._outer.append((self._current, self._nested))
            self._nested = True
        elif token["group"] == b"}":
            yield from self._close()
        elif word == b"bin":
            chunk = _Chunk(self._raw(token["number"]), self._nested, binary=True)
            if self._current is None and chunk.content:
                yield _Destination("bin", [chunk])
            self._keep(chunk)
        elif word in _DESTINATIONS:
            if self._current is not None and not self._nested:
                yield self._current
            self._current, self._nested = _Destination(_DESTINATIONS[word]), False

    def _keep(self, chunk: _Chunk) -> None:
        if self._current is not None:
            self._current.chunks.append(chunk)

    def _close(self) -> Iterator[_Destination]:
        """End a group, and the destination that began in it."""
        ended = self._current
        self._current, self._nested = self._outer.pop() if self._outer else (None, False)
        if ended is not None and ended is not self._current:
            yield ended

    def _raw(self, number: bytes | None) -> bytes:
        """Take raw bytes. Readers differ in what they do with more than there are: here they are no raw bytes."""
        size = int(number or 0)
        if not 0 < size <= len(self._data) - self.at:
            return b""
        self.at += size
        return self._data[self.at - size : self.at]
