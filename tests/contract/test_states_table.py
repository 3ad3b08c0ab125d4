"""docs/states.md: every row of its tables names a test, and every test that it names is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLES = ROOT / "docs" / "states.md"
_NAME = re.compile(r"`(test_\w+)(?:\[[^`]*\])?`")
_TEST = re.compile(r"^\s*(?:async )?def (test_\w+)", re.MULTILINE)


def rows() -> list[str]:
    """The rows that are no headings."""
    lines = TABLES.read_text(encoding="utf-8").splitlines()
    headings = {index - 1 for index, line in enumerate(lines) if line.startswith("|---")}
    return [line for index, line in enumerate(lines) if line.startswith("| ") and index not in headings]


def known_tests() -> set[str]:
    """The names of all tests in the repository."""
    folders = [ROOT / "tests", *(folder for folder in ROOT.glob("*/tests")), *ROOT.glob("*/*/tests")]
    return {
        name
        for folder in folders
        for file in folder.rglob("test_*.py")
        for name in _TEST.findall(file.read_text("utf-8"))
    }


def test_every_row_names_a_test() -> None:
    """A state that nobody has killed a process in is a guess."""
    without = [row for row in rows() if not _NAME.search(row)]
    assert len(rows()) > 30
    assert not without


def test_every_test_that_is_named_is_there() -> None:
    """And has not been renamed since."""
    named = set(_NAME.findall(TABLES.read_text(encoding="utf-8")))
    assert not named - known_tests()
