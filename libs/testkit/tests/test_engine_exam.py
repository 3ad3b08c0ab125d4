"""The exam of engines notices what it is there for: bad engines fail it, each in its own way."""

from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from qscan_contracts.reports import Clean, Detected, Outcome, Unscanned
from qscan_contracts.vocabulary import UnscannedReason
from qscan_testkit.engine_exam import EngineExam

pytestmark = pytest.mark.anyio
QUESTIONS = sorted(name for name in vars(EngineExam) if name.startswith("test_"))
HARMLESS = {"test_no_ending_leaves_a_connection_open"}
"""Questions that an engine without any connection cannot fail."""


@dataclass
class Answer:
    """What an engine gives back."""

    outcome: Outcome


class Stubborn:
    """An engine that says the same to everything, and the fake daemon that it never asks."""

    open_connections = 0
    scans_begun = 0

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.engine = self

    async def scan(self, _content, *, timeout_s):
        """The same as ever."""
        assert timeout_s
        return Answer(self.outcome)

    def received(self):
        """Nothing ever is."""
        return b"nothing"

    def __getattr__(self, _name):
        return lambda *_words, **_options: None

    async def refuses(self):
        """It would not notice."""


class StubbornExam(EngineExam):
    """Words that do not matter."""

    __test__ = False
    adapter = Stubborn
    clean, detected, detected_name, too_big = b"clean", b"found", "Evil", b"too big"
    awkward_names = encrypted = limits = errors = nonsense = torn = (b"x",)
    outcome: Outcome

    @asynccontextmanager
    async def candidate(self):
        """One that says `outcome`."""
        yield Stubborn(self.outcome)


def may_pass(outcome: Outcome) -> set[str]:
    """The questions to which this one answer is right."""
    match outcome:
        case Clean():
            return {"test_clean", "test_clean_said_slowly"}
        case Detected():
            return {"test_detected", "test_awkward_names"}
        case Unscanned(UnscannedReason.ENGINE_FAILED):
            return {
                "test_errors",
                "test_nonsense",
                "test_nonsense_is_not_kept",
                "test_refuses_connections",
                "test_clean_before_the_end_is_not_clean",
            }
        case Unscanned(UnscannedReason.TOO_BIG):
            return {"test_too_big_is_not_even_sent", "test_too_big_for_the_engine"}
        case _:
            return {"test_clean_before_the_end_is_not_clean"}


@pytest.mark.parametrize(
    "outcome",
    [
        Clean(),
        Detected("Evil"),
        Unscanned.because(UnscannedReason.ENGINE_FAILED),
        Unscanned.because(UnscannedReason.TOO_BIG),
        Unscanned(UnscannedReason.ENCRYPTED, retryable=True),
    ],
)
@pytest.mark.parametrize("question", [name for name in QUESTIONS if name not in HARMLESS])
async def test_an_engine_that_always_says_the_same_fails(question, outcome):
    """Every question but those to which it happens to be right."""
    exam = StubbornExam()
    exam.outcome = outcome
    if question in may_pass(outcome):
        await getattr(exam, question)()
    else:
        with pytest.raises((AssertionError, TimeoutError)):
            await getattr(exam, question)()
