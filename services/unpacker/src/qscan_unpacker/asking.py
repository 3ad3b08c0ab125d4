"""Asks the scanning services over request and reply and waits for their word (DESIGN §6)."""

import asyncio
import random
import secrets
from collections.abc import Callable
from typing import TypeVar

import msgspec
from opentelemetry.trace import SpanKind

from qscan_contracts import subjects
from qscan_contracts.ids import JobId, ScanId
from qscan_contracts.scanning import (
    SILENCE_S,
    AvAnswer,
    Busy,
    Job,
    PolicyAnswer,
    Progress,
    Refused,
    Reply,
    SpamAnswer,
)
from qscan_contracts.subjects import ScanRole
from qscan_contracts.vocabulary import UnscannedReason
from qscan_kit import metrics, telemetry
from qscan_kit.bus import Bus, BusMessage, decode, encode, is_no_responders
from qscan_kit.errors import BusUnavailableError
from qscan_unpacker.domain.aggregation import Failure

BUSY_FIRST_WAIT_S = 0.05
BUSY_LONGEST_WAIT_S = 2.0
TRIES_ON_SILENCE = 2
"""A job goes once more to another worker when the first has been silent for `SILENCE_S`."""

AnswerT = TypeVar("AnswerT", AvAnswer, PolicyAnswer, SpamAnswer)


class _NoResponders:
    """The server's word that nobody listens."""


_Heard = Reply | _NoResponders


class Asker:
    """One inbox for all answers; each is matched to the job and the role that was asked."""

    def __init__(self, bus: Bus, instance: str, *, max_busy_retries: int) -> None:
        """Ask as the unpacker called `instance`."""
        self._bus, self._instance = bus, instance
        self._max_busy_retries = max_busy_retries
        self._waiting: dict[str, asyncio.Queue[_Heard]] = {}

    async def start(self) -> None:
        """Listen for answers from now on."""
        await self._bus.listen(subjects.all_replies(self._instance), self._on_reply, pending=65_536)

    async def ask(
        self,
        role: ScanRole,
        answer_type: type[AnswerT],
        scan_id: ScanId,
        request: Callable[[Job], object],
        *,
        deadline: float,
    ) -> AnswerT | Failure:
        """Ask one worker of `role`, another one if it falls silent, and return its answer or why there is none.

        `answer_type` is what counts as an answer of this role. `request` makes the request for a job; it is called
        for every try, as the time that is left shrinks. `deadline` is in seconds of the event loop's clock.
        """
        job_id = JobId(secrets.token_hex(12))
        reply_subject = subjects.reply(role, self._instance, job_id)
        heard: asyncio.Queue[_Heard] = asyncio.Queue()
        self._waiting[reply_subject] = heard
        try:
            with telemetry.tracer().start_as_current_span(
                f"send scan.{role}",
                kind=SpanKind.PRODUCER,
                attributes={"messaging.system": "nats", "messaging.operation.name": "send"},
            ) as span:
                answer = await self._converse(
                    role, answer_type, scan_id, job_id, request, heard, reply_subject, deadline
                )
                end = answer.reason.value if isinstance(answer, Failure) else "answered"
                span.set_attribute("qscan.end", end)
                metrics.JOBS.labels(role, end).inc()
                return answer
        finally:
            del self._waiting[reply_subject]

    async def _converse(
        self,
        role: ScanRole,
        answer_type: type[AnswerT],
        scan_id: ScanId,
        job_id: JobId,
        request: Callable[[Job], object],
        heard: asyncio.Queue[_Heard],
        reply_subject: str,
        deadline: float,
    ) -> AnswerT | Failure:
        loop = asyncio.get_running_loop()
        silent_tries, busy_tries = 0, 0
        while (left := deadline - loop.time()) > 0:
            payload = encode(request(Job(job_id, scan_id, int(left * 1000))))
            headers = dict(telemetry.inject({}))
            try:
                await self._bus.publish(subjects.scan(role), payload, reply=reply_subject, headers=headers or None)
            except BusUnavailableError as error:
                return Failure(UnscannedReason.NO_RESPONDERS, str(error))
            word = await self._listen(heard, deadline)
            match word:
                case None:
                    silent_tries += 1
                    if silent_tries >= TRIES_ON_SILENCE:
                        break
                case Busy():
                    busy_tries += 1
                    if busy_tries > self._max_busy_retries:
                        return Failure(UnscannedReason.BUSY, f"all {role} workers are busy")
                    await asyncio.sleep(_busy_wait_s(busy_tries, deadline - loop.time()))
                case Refused(detail):
                    return Failure(UnscannedReason.ENGINE_FAILED, f"{role}: {detail}")
                case _NoResponders():
                    return Failure(UnscannedReason.NO_RESPONDERS, f"no {role} worker is connected")
                case _ if isinstance(word, answer_type):
                    return word
                case _:
                    return Failure(UnscannedReason.ENGINE_FAILED, f"{role} answered with something else")
        return Failure(UnscannedReason.TIMED_OUT, f"{role} did not answer in time")

    async def _listen(self, heard: asyncio.Queue[_Heard], deadline: float) -> _Heard | None:
        """The next word that is not progress, or None after `SILENCE_S` of silence or at the deadline."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout_at(min(deadline, loop.time() + SILENCE_S)):
                    word = await heard.get()
            except TimeoutError:
                return None
            if not isinstance(word, Progress):
                return word

    async def _on_reply(self, message: BusMessage) -> None:
        heard = self._waiting.get(message.subject)
        if heard is None:
            return  # late: the job was answered or given up
        if is_no_responders(message):
            heard.put_nowait(_NoResponders())
            return
        try:
            heard.put_nowait(decode(message.data, Reply))  # type: ignore[arg-type]  # msgspec takes a union
        except msgspec.DecodeError as error:
            heard.put_nowait(Refused(f"answer cannot be decoded: {error}"))


def _busy_wait_s(tries: int, left_s: float) -> float:
    """Doubling, with jitter so that those who were refused together do not come back together."""
    wait = min(BUSY_FIRST_WAIT_S * 2.0 ** (tries - 1), BUSY_LONGEST_WAIT_S)
    return max(0.0, min(wait * random.uniform(0.5, 1.5), left_s))  # noqa: S311  # no secret
