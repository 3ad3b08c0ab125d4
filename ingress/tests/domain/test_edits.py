import pytest
from hypothesis import given
from hypothesis import strategies as st

from qscan_contracts.intake import Edit
from qscan_ingress.domain.edits import BadEditsError, Keep, apply, plan

RAW = b"Subject: hello\n\nbody\n"


@st.composite
def messages_and_edits(draw: st.DrawFn) -> tuple[bytes, list[Edit]]:
    """A message and edits that are right for it."""
    raw = draw(st.binary(max_size=200))
    marks = sorted(draw(st.lists(st.integers(0, len(raw)), max_size=12).map(lambda m: m[: len(m) // 2 * 2])))
    inserts = draw(st.lists(st.binary(max_size=20), min_size=len(marks), max_size=len(marks)))
    edits = [
        Edit(offset=start, delete=end - start, insert=insert)
        for start, end, insert in zip(marks[::2], marks[1::2], inserts, strict=False)
    ]
    return raw, edits


@given(messages_and_edits())
def test_edits_are_those_of_the_simplest_program(example: tuple[bytes, list[Edit]]) -> None:
    """The same bytes come out when each edit is made on its own, the last one first."""
    raw, edits = example
    expected = raw
    for edit in reversed(edits):
        expected = expected[: edit.offset] + edit.insert + expected[edit.offset + edit.delete :]
    edited = plan(edits, len(raw))
    assert apply(edited, raw) == expected
    assert edited.size == len(expected)


@given(st.binary(max_size=100))
def test_without_edits_a_message_is_untouched(raw: bytes) -> None:
    """It is the raw message in one piece, byte for byte."""
    edited = plan([], len(raw))
    assert edited.pieces == ((Keep(0, len(raw)),) if raw else ())
    assert apply(edited, raw) == raw


def test_fields_go_to_the_front_in_their_order() -> None:
    """Two inserts at offset 0 do not overlap."""
    edits = [Edit(offset=0, delete=0, insert=b"A: 1\n"), Edit(offset=0, delete=0, insert=b"B: 2\n")]
    assert apply(plan(edits, len(RAW)), RAW) == b"A: 1\nB: 2\n" + RAW


def test_an_edit_may_reach_to_the_very_end() -> None:
    """Replacing the last byte, and appending after it, are allowed."""
    edits = [
        Edit(offset=len(RAW) - 1, delete=1, insert=b"!"),
        Edit(offset=len(RAW), delete=0, insert=b"\n"),
    ]
    assert apply(plan(edits, len(RAW)), RAW) == RAW[:-1] + b"!\n"


@pytest.mark.parametrize(
    "edits",
    [
        [(-1, 0)],
        [(0, -1)],
        [(len(RAW), 1)],
        [(len(RAW) + 1, 0)],
        [(0, len(RAW) + 1)],
        [(5, 2), (6, 0)],
        [(5, 0), (4, 0)],
        [(5, -3), (2, 0)],
    ],
)
def test_bad_edits_are_refused(edits: list[tuple[int, int]]) -> None:
    """Beyond the message, overlapping or not in order: nothing is guessed."""
    with pytest.raises(BadEditsError):
        plan([Edit(offset=offset, delete=delete, insert=b"x") for offset, delete in edits], len(RAW))
