"""The use case: bounded, and never without an answer."""

import asyncio
import hashlib
import time
from typing import Any

import pytest

from qscan_contracts.components import Content, Inline
from qscan_contracts.envelope import Envelope
from qscan_contracts.ids import JobId, ScanId, Sha256
from qscan_contracts.scanning import Job, SpamRequest, SpamScore
from qscan_kit.content import ContentSource, InlineSource
from qscan_kit.health import Health
from qscan_spam.adapters.spamd import Spamd
from qscan_spam.address import Address
from qscan_spam.scoring import ANSWER_MARGIN_S, Scoring
from qscan_spam.unscored import Unscored, reason
from qscan_testkit.fake_spamd import Behaviour, FakeSpamd
from qscan_testkit.waiting import wait_until

pytestmark = pytest.mark.anyio
MESSAGE = b"Subject: x\n\nhello\n"


def no_source(_content: Content, _size: int, _sha256: Sha256) -> ContentSource:
    """For requests whose content must not be asked for."""
    raise AssertionError("the content was asked for")


def inline_source(content: Content, _size: int, sha256: Sha256) -> ContentSource:
    """For requests that carry their content."""
    assert isinstance(content, Inline)
    return InlineSource(content.data, sha256)


SETTINGS: dict[str, Any] = {
    "max_message_bytes": 256_000,
    "timeout_s": 30.0,
    "max_in_flight": 5,
    "max_wait_s": 10.0,
    "user_from_recipient": False,
    "source_of": inline_source,
}
"""The defaults of the settings."""


def scoring_at(fake: FakeSpamd, **changed) -> Scoring:
    """The use case with the defaults, but for what a test changes."""
    return Scoring(Spamd(Address.parse(fake.address), connect_timeout_s=1), **{**SETTINGS, **changed})


def request(
    message: bytes = MESSAGE,
    *,
    timeout_ms: int = 60_000,
    rcpt_to: tuple[str, ...] = ("bob@example.com",),
    sha256: str = "",
) -> SpamRequest:
    """A request that carries the message."""
    digest = Sha256(sha256 or hashlib.sha256(message).hexdigest())
    job = Job(JobId("j"), ScanId("s"), timeout_ms)
    return SpamRequest(job, Inline(message), len(message), digest, Envelope("ann@example.com", rcpt_to))


async def score(scoring: Scoring, asked: SpamRequest) -> SpamScore:
    """The score in the answer."""
    return (await scoring.answer(asked)).score


async def test_a_message_up_to_the_cap_is_scored_and_a_larger_one_is_not_even_read():
    """The cap is in bytes of the raw message; above it the bytes are not asked for."""
    async with FakeSpamd() as fake:
        scoring = scoring_at(fake, max_message_bytes=len(MESSAGE))
        assert (await score(scoring, request())).score == 1.0
        scoring = scoring_at(fake, max_message_bytes=len(MESSAGE) - 1, source_of=no_source)
        too_big = await score(scoring, request())
        assert (too_big.score, too_big.required, reason(too_big)) == (None, None, Unscored.TOO_BIG)
        assert len(fake.requests) == 1


async def test_bytes_that_are_not_the_promised_ones_are_not_scored():
    """A score of another message would be worse than none."""
    async with FakeSpamd() as fake:
        answer = await score(scoring_at(fake), request(sha256="0" * 64))
        assert reason(answer) == Unscored.CONTENT_UNAVAILABLE
        assert fake.requests == []


class CountingFilter:
    """A filter that takes its time and counts how many messages it has at once."""

    engine = "counting"

    def __init__(self) -> None:
        """Nothing seen yet."""
        self.now = self.most = self.total = 0

    async def score(self, message: bytes, *, user: str | None, timeout_s: float) -> SpamScore:
        """Count."""
        self.now, self.total = self.now + 1, self.total + 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.01)
        self.now -= 1
        return SpamScore(self.engine, 1.0, 5.0)

    async def health(self) -> Health:
        """Always well."""
        return Health(ok=True)


async def test_not_more_messages_at_a_time_than_spamd_has_children():
    """The others wait, and are scored."""
    counting = CountingFilter()
    scoring = Scoring(counting, **{**SETTINGS, "max_in_flight": 2})
    answers = await asyncio.gather(*(score(scoring, request()) for _ in range(7)))
    assert (counting.most, counting.total) == (2, 7)
    assert {answer.score for answer in answers} == {1.0}


async def test_waiting_for_a_place_is_bounded_and_gives_the_place_back():
    """`max_wait_s` later the answer is ?/?, and what comes after the jam is scored."""
    async with FakeSpamd(Behaviour(stalls=True)) as fake:
        scoring = scoring_at(fake, max_in_flight=1, max_wait_s=0.2, timeout_s=1.0)
        first = asyncio.create_task(score(scoring, request()))
        await wait_until(lambda: fake.open_connections)
        started = time.monotonic()
        second = await score(scoring, request())
        assert reason(second) == Unscored.NO_SLOT
        assert time.monotonic() - started < 0.9
        assert reason(await first) == Unscored.TIMED_OUT
        fake.behaviour = FakeSpamd().behaviour
        assert (await score(scoring, request())).score == 1.0


async def test_a_cancelled_request_gives_its_place_back():
    """As when the worker's own deadline passes."""
    async with FakeSpamd(Behaviour(stalls=True)) as fake:
        scoring = scoring_at(fake, max_in_flight=1, max_wait_s=0.5)
        first = asyncio.create_task(score(scoring, request()))
        await wait_until(lambda: fake.open_connections)
        first.cancel()
        fake.behaviour = FakeSpamd().behaviour
        assert (await score(scoring, request())).score == 1.0


async def test_the_answer_comes_before_the_deadline_of_the_request():
    """A time-out of spamd that is longer than what the message has left does not count."""
    async with FakeSpamd(Behaviour(stalls=True)) as fake:
        started = time.monotonic()
        answer = await score(scoring_at(fake, timeout_s=30.0), request(timeout_ms=800))
        assert reason(answer) == Unscored.TIMED_OUT
        assert time.monotonic() - started < 0.8
        assert reason(await score(scoring_at(fake), request(timeout_ms=int(ANSWER_MARGIN_S * 1000)))) in {
            Unscored.TIMED_OUT,
            Unscored.NO_SLOT,
        }


@pytest.mark.parametrize(
    ("switched_on", "rcpt_to", "user"),
    [
        (False, ("bob@example.com",), None),
        (True, ("Bob@Example.com",), "bob@example.com"),
        (True, ("bob+x@example.com",), "bob+x@example.com"),
        (True, (), None),
        (True, ("bob@example.com", "eve@example.com"), None),
        (True, ("bob@example.com\r\nX: y",), None),
        (True, ("bob@example.com\n",), None),
        (True, ("../../etc/passwd",), None),
        (True, ("b" * 200,), None),
        (True, ("bjørn@example.com",), None),
        (True, ("-x@example.com",), None),
    ],
)
async def test_the_recipient_is_the_user_only_where_that_is_safe(switched_on, rcpt_to, user):
    """Off by default; with exactly one recipient; nothing that could be a header, a path or an option."""
    async with FakeSpamd() as fake:
        answer = await score(scoring_at(fake, user_from_recipient=switched_on), request(rcpt_to=rcpt_to))
        assert answer.score == 1.0
        assert fake.requests[0].fields.get("user") == user
