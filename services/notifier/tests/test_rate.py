"""A flood of mail becomes no flood of notices."""

from hypothesis import given
from hypothesis import strategies as st

from qscan_notifier.domain.rate import WINDOW_S, RateCap


def test_so_many_in_an_hour_and_no_more():
    """The next one that goes out knows how many did not."""
    cap = RateCap(2)
    for now_s in (0.0, 10.0):
        assert cap.allows(now_s)
        cap.sent(now_s)
    assert [cap.allows(20.0), cap.allows(30.0), cap.held_back] == [False, False, 2]
    assert [cap.allows(WINDOW_S), cap.held_back] == [True, 2]
    cap.sent(WINDOW_S)
    assert [cap.held_back, cap.allows(WINDOW_S + 5)] == [0, False]


def test_a_restart_forgets_nothing():
    """What was sent before counts."""
    assert not RateCap(2, [50.0, 10.0]).allows(100.0)
    assert RateCap(2, [50.0, 10.0]).allows(10.0 + WINDOW_S)


@given(st.lists(st.floats(0, 5 * WINDOW_S), max_size=200).map(sorted), st.integers(1, 10))
def test_no_hour_has_more(times_s, max_per_hour):
    """Wherever it begins."""
    cap, sent_at_s = RateCap(max_per_hour), []
    for now_s in times_s:
        if cap.allows(now_s):
            cap.sent(now_s)
            sent_at_s.append(now_s)
    for begin_s in sent_at_s:
        assert sum(begin_s <= at_s < begin_s + WINDOW_S for at_s in sent_at_s) <= max_per_hour
