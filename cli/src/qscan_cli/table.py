"""A table for people: columns as wide as needed, the widest one wrapped to the width of the terminal."""

import shutil
import textwrap
from collections.abc import Sequence

_GAP = "  "
_NARROWEST = 16
_WIDEST = 160


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, width: int | None = None) -> str:
    """The table as text without a final line break. Cells may hold line breaks."""
    total = width or screen_width()
    widths = [max(_widest(row[column]) for row in (headings, *rows)) for column in range(len(headings))]
    while sum(widths) + len(_GAP) * (len(widths) - 1) > total:
        widest = max(range(len(widths)), key=widths.__getitem__)
        if widths[widest] <= _NARROWEST:
            break
        widths[widest] -= 1
    lines = [*_lines(headings, widths), _GAP.join("─" * column for column in widths)]
    for row in rows:
        lines += _lines(row, widths)
    return "\n".join(line.rstrip() for line in lines)


def screen_width() -> int:
    """The columns to write in: of the terminal, or of ``$COLUMNS``; up to a width that can still be read."""
    return min(shutil.get_terminal_size((120, 24)).columns, _WIDEST)


def _widest(cell: str) -> int:
    return max((len(line) for line in cell.splitlines()), default=0)


def _lines(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    cells = [
        [piece for line in cell.splitlines() or [""] for piece in textwrap.wrap(line, width) or [""]]
        for cell, width in zip(row, widths, strict=True)
    ]
    height = max(len(cell) for cell in cells)
    return [
        _GAP.join(
            (cell[index] if index < len(cell) else "").ljust(width) for cell, width in zip(cells, widths, strict=True)
        )
        for index in range(height)
    ]


def printable(text: str) -> str:
    """Text from a message, safe on a terminal: no control character, no escape sequence."""
    return "".join(character if character.isprintable() else "�" for character in text)
