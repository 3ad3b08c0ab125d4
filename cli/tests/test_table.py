"""The table for people."""

from qscan_cli.table import printable, table


def test_columns_are_as_wide_as_their_widest_cell():
    """Headings and cells stand below each other."""
    assert table(("a", "bb"), [("long", "x"), ("s", "y")]).splitlines() == [
        "a     bb",
        "────  ──",
        "long  x",
        "s     y",
    ]


def test_the_widest_column_is_wrapped_to_the_width():
    """A long reason does not make the table wider than the terminal, and no word of it is lost."""
    reason = " ".join(f"word{number}" for number in range(40))
    text = table(("verdict", "reason"), [("policy", reason)], width=60)
    assert max(len(line) for line in text.splitlines()) <= 60
    assert all(f"word{number}" in text for number in range(40))


def test_a_cell_may_have_several_lines():
    """Each line of a cell is a line of the table."""
    assert table(("a", "b"), [("1\n2", "x")]).splitlines()[2:] == ["1  x", "2"]


def test_nothing_from_a_message_can_command_the_terminal():
    """Escape sequences and line breaks in names and reasons are replaced."""
    assert printable("a\x1b[2Jb\nc\x07") == "a�[2Jb�c�"
