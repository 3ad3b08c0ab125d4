"""The closed enumerations say what DESIGN §7 says."""

import pytest

from qscan_contracts.reports import Unscanned
from qscan_contracts.vocabulary import (
    RETRYABLE_REASONS,
    RIDERS,
    STRICTNESS,
    ActionKind,
    Disposition,
    UnscannedReason,
    Verdict,
)

# DESIGN §7, the table of shipped defaults: what another try may cure defers, the rest is a property of the message.
ANOTHER_TRY_MAY_CURE = {
    "engine_failed",
    "engine_crashed",
    "timed_out",
    "busy",
    "no_responders",
    "unpacker_failed",
    "content_unavailable",  # not in the table: the bytes could not be had this time
}
OF_THE_MESSAGE = {
    "over_budget",
    "bomb",
    "engine_limit",
    "too_big",
    "encrypted",
    "not_unpackable",
    "masked",  # not in the table: a DLP hit that hides whether there is a virus
}


def test_strictness():
    """discard > quarantine > hold > reject > defer > deliver."""
    order = ["discard", "quarantine", "hold", "reject", "defer", "deliver"]
    assert sorted(Disposition, key=STRICTNESS.__getitem__, reverse=True) == order


def test_every_reason_is_retryable_or_not():
    """As the table of defaults sorts them; a new reason has to be sorted, too."""
    assert set(UnscannedReason) == ANOTHER_TRY_MAY_CURE | OF_THE_MESSAGE
    assert RETRYABLE_REASONS == ANOTHER_TRY_MAY_CURE


@pytest.mark.parametrize("reason", UnscannedReason)
def test_unscanned_because(reason):
    """Its flag follows from the reason."""
    assert Unscanned.because(reason, "why") == Unscanned(reason, str(reason) in ANOTHER_TRY_MAY_CURE, "why")


def test_an_action_is_a_rider_or_names_a_disposition():
    """Riders leave the disposition at deliver, so `deliver` itself is no action."""
    dispositions = {str(kind) for kind in set(ActionKind) - RIDERS}
    assert dispositions == {str(disposition) for disposition in Disposition} - {"deliver"}
    assert {"off", "log", "tag", "rename", "redirect", "notify", "dlp-monitor"} == RIDERS


def test_verdicts():
    """virus > unscannable > policy > spam > clean: the last member is the worst."""
    assert list(Verdict) == ["clean", "spam", "policy", "unscannable", "virus"]
