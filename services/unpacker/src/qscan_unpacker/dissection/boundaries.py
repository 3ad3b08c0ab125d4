"""Where a multipart is divided, for every boundary that a reader may take (RFC 2046 §5.1.1)."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from qscan_unpacker.dissection.budget import Budget
from qscan_unpacker.dissection.continuations import continued
from qscan_unpacker.dissection.structured import Structured, unescaped, unfolded

_LOOSE_BOUNDARY = re.compile(
    rb"""boundary\s*+(?:\*[0-9*]*+)?\s*+=\s*+("(?:[^"\\]|\\.)*"|'[^']*'|[^;\s]*)""", re.IGNORECASE | re.DOTALL
)
_REGULAR = re.compile(rb"[0-9A-Za-z'()+_,./:=?-]+")
"""The characters of a boundary but for the space, in which readers differ."""
_DELIMITER_END = re.compile(rb"(--)?[ \t]*(\r?\n|\Z)")
_REST_OF_LINE = re.compile(rb"[^\n]*\n?")
_GUESSED = re.compile(rb"^--([!-~][\t -~]{0,280}+)\r?\n(?=[A-Za-z-]{1,60}:|\r?\n)", re.MULTILINE)
_DECLARED = re.compile(rb"""boundary\s*=\s*+(?:"([^"\n]{1,250})"|([^\s;"]{1,250}))""", re.IGNORECASE)
MAX_PREFIXED = 16
"""Of one boundary, that begin with it; a message that has more is none of a mail client."""
_MAX_LINE_BYTES = 256
_SEARCHED_BYTES = 256
"""Of a longer delimiter only the beginning is searched for: `re` keeps what it compiled."""
_LOOKED_AT_BETWEEN_CHARGES = 4096
_CR, _LF = 0x0D, 0x0A

Buffer = bytes | memoryview


def boundaries(raw_values: Iterable[bytes], structured: Iterable[Structured]) -> list[bytes]:
    """Every boundary that some reader may take from the readings of Content-Type, the regular one first.

    Which of them counts shows in the body: only those that open something there are followed.

    Args:
        raw_values: the values of the Content-Type fields as they stand.
        structured: their readings.
    """
    found: list[bytes] = []
    for one in structured:
        for key, value in one.parameters:
            if key == b"boundary":
                found += _readings(value)
        for text in continued(one.parameters, b"boundary"):
            found.append(text.encode("utf-8").rstrip())
    for raw in raw_values:
        for match in _LOOSE_BOUNDARY.finditer(unfolded(raw)):
            found += _readings(match[1].strip(b'"'))
    return [one for one in dict.fromkeys(found) if one]


def _readings(value: bytes) -> Iterator[bytes]:
    yield unescaped(value).rstrip()  # white space at the end is none of it
    if _REGULAR.fullmatch(value) is None:
        yield value.rstrip()
        yield value.strip()
        yield value.strip(b"'")
        yield from value.split(maxsplit=1)[:1]
        yield value.partition(b'"')[0].rstrip()
        yield value.replace(b"\0", b"")


def guessed_boundaries(data: Buffer, start: int, end: int) -> list[bytes]:
    """What looks like a delimiter in the body of a multipart that names no boundary, or one that never appears."""
    match = _GUESSED.search(data, start, end)
    return [match[1].rstrip()] if match is not None else []


@dataclass
class Division:
    """A body as a boundary divides it. All offsets are in the buffer.

    Attributes:
        parts: (start, end) of each.
        delimiters: (start, end) of each delimiter line, the line end in front of it included, the closing one too.
        preamble: (start, end).
        epilogue: (start, end), or None where the closing delimiter is missing.
        again: offset of a delimiter behind the closing one, or None: some readers go on there.
        prefixed: lines that begin like a delimiter and go on: the boundary that they would be of, and the offset of the
            first of each. RFC 2046 §5.1.1 says to take them for one; few readers do.
    """

    parts: list[tuple[int, int]] = field(default_factory=list)
    delimiters: list[tuple[int, int]] = field(default_factory=list)
    preamble: tuple[int, int] = (0, 0)
    epilogue: tuple[int, int] | None = None
    again: int | None = None
    prefixed: dict[bytes, int] = field(default_factory=dict)


def divide(
    data: Buffer, boundary: bytes, start: int, end: int, *, budget: Budget, depth: int, prefixes: bool = False
) -> Division:
    """Divide ``data[start:end]``. The line end in front of a delimiter belongs to the delimiter.

    Args:
        data: the buffer.
        boundary: without the two hyphens; not empty.
        start: where the body begins.
        end: where it ends.
        budget: charged for each part before it is kept.
        depth: of the parts.
        prefixes: whether a line counts that begins like a delimiter and goes on.

    Raises:
        OverBudgetError: too many parts, or too little time.
    """
    division = Division()
    after_delimiter: int | None = None
    for line_end, after, closing, exact in _delimiters(data, boundary, start, end, budget, prefixes=prefixes):
        # Of two delimiters in a row, the line end between them belongs to the first.
        before = max(line_end, division.delimiters[-1][1]) if division.delimiters else line_end
        if not exact:
            if len(division.prefixed) <= MAX_PREFIXED:
                division.prefixed.setdefault(_boundary_of(data, after, end), before)
            continue
        if division.epilogue is not None:
            division.again = before
            break
        division.delimiters.append((before, after))
        if after_delimiter is None:
            if closing:
                # A closing delimiter that nothing was opened by: the body is divided in two all the same.
                division.preamble, division.epilogue = (start, before), (after, end)
                continue
            division.preamble = (start, before)
        else:
            division.parts.append((after_delimiter, before))
        if closing:
            division.epilogue = (after, end)
        else:
            budget.charge_component(depth)
            after_delimiter = after
    if after_delimiter is not None and division.epilogue is None:
        division.parts.append((after_delimiter, end))
    return division


def _boundary_of(data: Buffer, at: int, end: int) -> bytes:
    """The boundary of the delimiter line at `at`. It may end in what only looks like white space."""
    line = bytes(data[at + 2 : min(end, at + _MAX_LINE_BYTES)]).partition(b"\n")[0]
    return line.rstrip(b" \t\r").removesuffix(b"--")


def declared_boundaries(data: Buffer, start: int, end: int) -> set[bytes]:
    """Every boundary that is written down in ``data[start:end]``."""
    return {match[1] or match[2] for match in _DECLARED.finditer(data, start, end)}


def _delimiters(
    data: Buffer, boundary: bytes, start: int, end: int, budget: Budget, *, prefixes: bool
) -> Iterator[tuple[int, int, bool, bool]]:
    """(where the part before ends, where the part after begins, whether it closes, whether it is the whole line)."""
    mark, view = b"--" + boundary, memoryview(data)
    for number, match in enumerate(re.compile(re.escape(mark[:_SEARCHED_BYTES])).finditer(data, start, end)):
        if number % _LOOKED_AT_BETWEEN_CHARGES == 0:
            budget.charge_time()
        at = match.start()
        if (at != start and data[at - 1] != _LF) or view[at : at + len(mark)] != mark:
            continue
        before = at
        if before > start:
            before -= 2 if before - 1 > start and data[before - 2] == _CR else 1
        tail = _DELIMITER_END.match(data, at + len(mark), end)
        if tail is not None:
            yield before, tail.end(), tail[1] is not None, True
        elif prefixes:
            line = _REST_OF_LINE.match(data, at + len(mark), end)
            yield before, end if line is None else line.end(), False, True
        else:
            yield before, at, False, False
