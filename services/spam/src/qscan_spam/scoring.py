"""The use case of spam: from a request to the one score. Without a score the answer is ``?/?``, never an error."""

import asyncio
import re
from collections.abc import Callable

from qscan_contracts.components import Content
from qscan_contracts.envelope import Envelope
from qscan_contracts.ids import Sha256
from qscan_contracts.scanning import SpamAnswer, SpamRequest, SpamScore
from qscan_kit import metrics
from qscan_kit.content import ContentSource, read_all
from qscan_kit.errors import ContentUnavailableError
from qscan_kit.log import get_logger
from qscan_spam.filters import SpamFilterClient
from qscan_spam.unscored import Unscored, reason, unscored

ANSWER_MARGIN_S = 0.5
"""Kept back from the request's own deadline, so that ``?/?`` arrives before nobody waits for it any more."""
SourceOf = Callable[[Content, int, Sha256], ContentSource]
_SAFE_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=@-]{0,127}")

_log = get_logger()


class Scoring:
    """Scores messages, a bounded number at a time; one for the whole process."""

    def __init__(
        self,
        spam_filter: SpamFilterClient,
        *,
        max_message_bytes: int,
        timeout_s: float,
        max_in_flight: int,
        max_wait_s: float,
        user_from_recipient: bool,
        source_of: SourceOf,
    ) -> None:
        """Ask `spam_filter`; see the settings of the same names. `source_of` is the way to a request's bytes."""
        self._filter, self._source_of = spam_filter, source_of
        self._max_message_bytes, self._timeout_s = max_message_bytes, timeout_s
        self._places, self._max_wait_s = asyncio.Semaphore(max_in_flight), max_wait_s
        self._user_from_recipient = user_from_recipient

    async def answer(self, request: SpamRequest) -> SpamAnswer:
        """The score, or ``?/?`` with its reason; never raises but for a bug of ours."""
        score = await self._score(request)
        if score.score is None or score.required is None:
            why = reason(score)
            metrics.SPAM_SCORES.labels(score.engine, why).inc()
            if why != Unscored.TOO_BIG:
                _log.warning("no spam score", scan_id=request.job.scan_id, engine=score.engine, detail=score.detail)
        else:
            metrics.SPAM_SCORES.labels(score.engine, "spam" if score.score >= score.required else "ham").inc()
        return SpamAnswer(score)

    async def _score(self, request: SpamRequest) -> SpamScore:
        engine = self._filter.engine
        if request.size > self._max_message_bytes:
            return unscored(engine, Unscored.TOO_BIG, f"{request.size} bytes, limit {self._max_message_bytes}")
        clock = asyncio.get_running_loop().time
        deadline = clock() + request.job.timeout_ms / 1000 - ANSWER_MARGIN_S
        try:
            async with asyncio.timeout_at(deadline):
                content = self._source_of(request.raw, request.size, request.sha256)
                message = await read_all(content, self._max_message_bytes)
        except ContentUnavailableError as error:
            return unscored(engine, Unscored.CONTENT_UNAVAILABLE, str(error))
        except TimeoutError:
            return unscored(engine, Unscored.TIMED_OUT, "while the message was read")
        try:
            async with asyncio.timeout_at(min(deadline, clock() + self._max_wait_s)):
                await self._places.acquire()
        except TimeoutError:
            return unscored(engine, Unscored.NO_SLOT, "spamd is busy: raise its --max-children and max_in_flight")
        try:
            timeout_s = min(self._timeout_s, deadline - clock())
            return await self._filter.score(message, user=self._user(request.envelope), timeout_s=timeout_s)
        finally:
            self._places.release()

    def _user(self, envelope: Envelope) -> str | None:
        """Whose preferences to use: the recipient's, where there is exactly one and it is safe in a header."""
        if not self._user_from_recipient or len(envelope.rcpt_to) != 1:
            return None
        user = envelope.rcpt_to[0].lower()
        return user if _SAFE_USER.fullmatch(user) else None
