"""Draws the tree of a message: one line for each component, and below it what there is to say about it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from qscan_cli.component_label import Label, Piece, label
from qscan_cli.explain import Node
from qscan_cli.remarks import UNNOTICED, Remark, remarks
from qscan_cli.table import printable
from qscan_cli.terminal import Style, columns, cut, painted, wrapped
from qscan_contracts.vocabulary import STRICTNESS, Disposition

_GAP = "  "
_LEVEL = len("├─ ")
_NARROWEST = 24
_PLACES_FROM_WIDTH = 110
"""Only so wide a terminal has room for the column that tells where in the message a component stands."""
_SHORT_SHA256 = 8
_NO_SHA256 = "-"
_FIRST_HEADING = "component"
_HEADINGS = ("bytes", "at+long", "sha256", "engines")
_PLACE, _OUTCOME = 1, 3
_OUTCOMES = {
    "detected": Style.BAD,
    "unscanned": Style.DOUBTFUL,
    "clean": Style.GOOD,
    "not asked": Style.DOUBTFUL,
}
"""What engines say of a component, the worst first."""


def drawing(root: Node, *, width: int, colours: bool) -> Iterator[str]:
    """The lines of the tree, in at most `width` columns where that can be. Linear in the number of nodes."""
    screen = _Screen(width, colours)
    walk = [(node, screen.shallow(before), screen.shallow(below)) for node, before, below in _walk(root)]
    figures = [_figures(node) for node, _, _ in walk]
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *figures, strict=True)]
    if width < _PLACES_FROM_WIDTH:
        widths[_PLACE] = 0
    room = max(width - sum(len(_GAP) + one for one in widths if one), _NARROWEST)
    labels = [label(node, room - columns(before)) for node, before, _ in walk]
    # No wider than the longest label: from there the eye has to find the way to the figures.
    longest = max(columns(before) + one.width for (_, before, _), one in zip(walk, labels, strict=True))
    table = _Table(max(longest, len(_FIRST_HEADING)), tuple(widths))
    yield screen.line(Piece(piece.text, Style.DIM) for piece in table.row([Piece(_FIRST_HEADING)], _HEADINGS))
    for (node, before, below), one, row in zip(walk, labels, figures, strict=True):
        yield screen.line(table.row([Piece(before, Style.DIM), *one.pieces], row))
        yield from screen.details(below, one)
        for remark in remarks(node):
            yield from screen.remark(below, remark)


def _walk(root: Node) -> Iterator[tuple[Node, str, str]]:
    """Each node with the tree in front of its first line and of its other lines.

    Iterative: how deeply a message may nest is a setting of the unpacker.
    """
    pending = [(root, "", "")]
    while pending:
        node, before, below = pending.pop()
        yield node, before, below + ("│  " if node.children else "   ")
        last = len(node.children) - 1
        for index, child in reversed(list(enumerate(node.children))):
            fork, stem = ("└─ ", "   ") if index == last else ("├─ ", "│  ")
            pending.append((child, below + fork, below + stem))


def _figures(node: Node) -> tuple[str, str, str, str]:
    """Size, place in the message, digest and the worst that an engine says, as they stand below the headings."""
    one = node.component
    if one is None:
        return "", "", "", ""
    place = "" if one.offset is None else f"{one.offset}+{one.encoded_size or 0}"
    said = {report.outcome for report in one.reports}
    outcome = next((word for word in _OUTCOMES if word in said), "not asked")
    return str(one.size), place, one.sha256[:_SHORT_SHA256] or _NO_SHA256, outcome


@dataclass(frozen=True)
class _Table:
    """The widths of the label and of the columns to its right; 0 for a column that is not shown."""

    label: int
    figures: tuple[int, ...]

    def row(self, label: Iterable[Piece], figures: Iterable[str]) -> Iterator[Piece]:
        """A line of the table in pieces."""
        used = 0
        for piece in label:
            used += piece.width
            yield piece
        yield Piece(" " * (self.label - used))
        for index, (text, width) in enumerate(zip(figures, self.figures, strict=True)):
            if index == _OUTCOME:
                yield Piece(_GAP)
                yield Piece(text, _OUTCOMES.get(text, Style.PLAIN))
            elif width:
                number = index <= _PLACE
                yield Piece(
                    _GAP + (text.rjust(width) if number else text.ljust(width)), Style.DIM if index else Style.PLAIN
                )


@dataclass(frozen=True)
class _Screen:
    """What is written on; `width` in columns."""

    width: int
    colours: bool

    def line(self, pieces: Iterable[Piece]) -> str:
        """A line with its colours."""
        return "".join(painted(piece.text, piece.style, colours=self.colours) for piece in pieces).rstrip()

    def details(self, below: str, one: Label) -> Iterator[str]:
        """Lines with what did not fit into the label."""
        for text in one.left_over:
            yield self.line([Piece(below, Style.DIM), Piece("  "), Piece(cut(text, self._room(below)))])

    def remark(self, below: str, remark: Remark) -> Iterator[str]:
        """The lines of a remark."""
        mark = Piece("!", Style.DOUBTFUL)
        if remark.strictness == UNNOTICED:
            mark = Piece("·", Style.DIM)
        elif remark.strictness > STRICTNESS[Disposition.DELIVER]:
            mark = Piece("✗", Style.BAD)
        text = f"{remark.id} → {', '.join(remark.actions) or '?'}: {remark.text}"
        for line in wrapped(printable(text), self._room(below)):
            yield self.line([Piece(below, Style.DIM), mark, Piece(f" {line}")])
            mark = Piece(" ")

    def shallow(self, stems: str) -> str:
        """The tree in front of a line; of a deep one only what is next to it, and how many levels are not shown."""
        most = self.width // 3 // _LEVEL * _LEVEL
        if len(stems) <= most:
            return stems
        hidden = (len(stems) - most) // _LEVEL + 1
        return f"⋯{hidden:<2}"[:_LEVEL] + stems[_LEVEL - most :]

    def _room(self, below: str) -> int:
        """The columns for text below the first line of a node, behind a mark and a space."""
        return max(self.width - columns(below) - 2, _NARROWEST)
