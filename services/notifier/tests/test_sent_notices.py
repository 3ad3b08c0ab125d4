"""What was sent is remembered for a while."""

import os
import time

import pytest

from qscan_notifier.adapters.sent_notices import SentNotices


@pytest.fixture
def sent(tmp_path):
    """An empty memory."""
    made = SentNotices(tmp_path / "sent")
    made.make()
    made.make()
    return made


def test_it_is_remembered_over_a_restart(sent, tmp_path):
    """Any number of times."""
    assert not sent.holds("s1")
    sent.add("s1")
    sent.add("s1")
    assert SentNotices(tmp_path / "sent").holds("s1")
    assert len(sent.times_s()) == 1
    assert time.time() - sent.times_s()[0] < 60


def test_old_ones_are_forgotten(sent, tmp_path):
    """And only those."""
    sent.add("old")
    sent.add("young")
    os.utime(tmp_path / "sent" / "old", (time.time() - 7200,) * 2)
    assert sent.forget(3600) == 1
    assert [sent.holds("old"), sent.holds("young")] == [False, True]


def test_a_probe_leaves_nothing_and_fails_where_it_must(sent, tmp_path):
    """It is asked at every health check."""
    sent.probe()
    assert list((tmp_path / "sent").iterdir()) == []
    (tmp_path / "sent").rmdir()
    with pytest.raises(FileNotFoundError):
        sent.probe()
