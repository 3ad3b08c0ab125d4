"""Text on a terminal."""

import io

import pytest

from qscan_cli.terminal import Style, columns, cut, for_encoding, has_colours, painted, wrapped


class Terminal(io.StringIO):
    """What is written to a person."""

    def isatty(self) -> bool:
        """It is."""
        return True


@pytest.mark.parametrize(("text", "width"), [("", 0), ("abc", 3), ("帳單", 4), ("ß…é", 3), ("e\u0301", 2)])
def test_columns_of_a_text(text, width):
    """East Asian characters take two; a mark that combines is counted, lest a thousand of them take no room."""
    assert columns(text) == width


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("invoice.pdf", 11, "invoice.pdf"),
        ("an-invoice-of-last-year.exe", 13, "an-inv…ar.exe"),
        ("帳單帳單帳單.exe", 10, "帳單….exe"),
        ("abc", 1, "…"),
    ],
)
def test_of_a_long_text_the_beginning_and_the_end_stay(text, width, shown):
    """Never wider than asked for."""
    assert columns(cut(text, width)) <= width
    assert cut(text, width) == shown


def test_lines_break_between_words_and_else_anywhere():
    """Nothing is lost."""
    assert list(wrapped("one two three", 7)) == ["one two", "three"]
    assert list(wrapped("a verylongword b", 5)) == ["a", "veryl", "ongwo", "rd b"]
    assert list(wrapped("帳單帳", 4)) == ["帳單", "帳"]
    assert list(wrapped("", 5)) == []


def test_a_terminal_that_knows_only_ascii_gets_ascii():
    """With a tree that is still one, and a question mark for what it has no letter for."""
    assert for_encoding("├─ 1 → ü\n│  ✗ x…\n└─", "ascii") == "|- 1 > ?\n|  x x~\n`-"
    assert for_encoding("├─ ü", "utf-8") == "├─ ü"


@pytest.mark.parametrize(
    ("stream", "environment", "expected"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ],
    ids=["a terminal", "NO_COLOR empty", "NO_COLOR", "dumb", "a file"],
)
def test_colours_are_for_people_who_want_them(stream, environment, expected, monkeypatch):
    """https://no-color.org: the variable counts when it is there and not empty."""
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert has_colours(stream) is expected


def test_paint_ends_with_its_text():
    """What has no colour has no escape sequence."""
    assert painted("x", Style.BAD, colours=True) == "\x1b[1;31mx\x1b[0m"
    assert painted("x", Style.BAD, colours=False) == painted("x", Style.PLAIN, colours=True) == "x"
