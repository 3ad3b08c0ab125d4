"""What the tree says in the line of a component: path, what it is, name, type."""

from collections.abc import Iterator
from dataclasses import dataclass

from qscan_cli.explain import Node
from qscan_cli.table import printable
from qscan_cli.terminal import Style, columns
from qscan_contracts.intake import ComponentAnswer
from qscan_contracts.vocabulary import Origin

_MAX_PATH = 12
_MAX_NAMES = 8


@dataclass(frozen=True)
class Piece:
    """Printable text in one style."""

    text: str
    style: Style = Style.PLAIN

    @property
    def width(self) -> int:
        """In columns."""
        return columns(self.text)


@dataclass(frozen=True)
class Label:
    """What stands in the line of a component, and what it has no room for: texts of one line each, of any length."""

    pieces: tuple[Piece, ...]
    left_over: tuple[str, ...]

    @property
    def width(self) -> int:
        """In columns."""
        return sum(piece.width for piece in self.pieces)


def label(node: Node, room: int) -> Label:
    """The label of a node in at most `room` columns; only a path may need more."""
    path = printable(node.path) or "raw"
    pieces = [Piece(path if len(path) <= _MAX_PATH else f"…{path[1 - _MAX_PATH :]}", Style.STRONG), Piece(" ")]
    left_over = []
    for piece in _said(node.component):
        if sum(one.width for one in pieces) + 1 + piece.width <= room:
            pieces += [Piece(" "), piece]
        else:
            left_over.append(piece.text)
    names = () if node.component is None else node.component.names
    if len(names) > 1:  # each of them may be the one that a reader of the mail goes by
        left_over += [_quoted(name) for name in names[:_MAX_NAMES]]
    if len(names) > _MAX_NAMES:
        left_over.append(f"and {len(names) - _MAX_NAMES} more names")
    return Label(tuple(pieces), tuple(left_over))


def _said(one: ComponentAnswer | None) -> Iterator[Piece]:
    if one is None:
        yield Piece("container", Style.DIM)
        return
    if one.origin is not Origin.RAW:  # its path says so
        yield Piece(one.origin)
    if len(one.names) == 1:
        yield Piece(_quoted(one.names[0]))
    declared, detected = printable(one.content_type), printable(one.detected_type)
    if declared and detected and declared != detected:
        yield Piece(f"{declared} → {detected}", Style.DOUBTFUL)
    elif declared or detected:
        yield Piece(declared or detected)
    if one.encrypted:
        yield Piece("encrypted", Style.DOUBTFUL)


def _quoted(name: str) -> str:
    return f'"{printable(name)}"'
