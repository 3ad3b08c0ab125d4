"""Why a message has no score. The words are for logs and the closed set of a metric's label."""

from enum import StrEnum

from qscan_contracts.scanning import SpamScore


class Unscored(StrEnum):
    """The reasons for ``?/?``."""

    TOO_BIG = "too_big"
    NO_SLOT = "no_slot"
    """Every place in front of the filter was taken for too long."""
    NOT_RUNNING = "not_running"
    """No connection."""
    TIMED_OUT = "timed_out"
    REFUSED = "refused"
    """The filter answered that it cannot do it."""
    NO_ANSWER = "no_answer"
    """It hung up, or what it said is no answer, or no score that can be true."""
    CONTENT_UNAVAILABLE = "content_unavailable"


def unscored(engine: str, why: Unscored, detail: str = "") -> SpamScore:
    """``?/?`` with its reason."""
    return SpamScore(engine, None, None, detail=f"{why}: {detail}" if detail else why)


def reason(score: SpamScore) -> str:
    """The `Unscored` of a score without numbers."""
    return score.detail.partition(":")[0]
