"""What becomes of an event is decided by one pure function."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qscan_kit.consumer import FIRST_DELAY_S, LONGEST_DELAY_S, Ack, Bury, Nak, settle
from qscan_kit.errors import BusUnavailableError, ContentUnavailableError, PoisonError

RETRYABLE = [BusUnavailableError("x"), ContentUnavailableError("x"), OSError(28, "x"), TimeoutError(), KeyError("bug")]


def test_without_an_error_it_is_done():
    """Whatever the number of deliveries."""
    assert settle(None, delivered=1) == Ack()
    assert settle(None, delivered=1000) == Ack()


def test_only_what_cannot_be_decoded_is_buried():
    """The reason goes with it."""
    assert settle(PoisonError("cannot be decoded: x"), delivered=1) == Bury("cannot be decoded: x")


@given(error=st.sampled_from(RETRYABLE), delivered=st.integers(1, 10**9))
def test_everything_else_comes_again_for_ever(error, delivered):
    """An event stands for a message that somebody was told is safe, so there is no last try."""
    outcome = settle(error, delivered=delivered)
    assert isinstance(outcome, Nak)
    assert FIRST_DELAY_S <= outcome.delay_s <= LONGEST_DELAY_S


@pytest.mark.parametrize(("delivered", "delay_s"), [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (500, 300)])
def test_the_delay_doubles_up_to_its_limit(delivered, delay_s):
    """So that a full disk is not asked all the time, and is used again five minutes after it has room."""
    assert settle(OSError(), delivered=delivered) == Nak(delay_s)
