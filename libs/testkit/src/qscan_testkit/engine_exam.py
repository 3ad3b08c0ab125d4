"""The exam that every adapter of an anti-virus engine sits.

Expectations stand here once; an adapter's exam only brings the vendor's words and a fake daemon on a real socket. A
subclass is a pytest class in the adapter's tests, marked `anyio`. A guard test there compares the adapters that
exist with `EngineExam.__subclasses__()`.
"""
# ruff: noqa: S101 (these are tests)

import abc
import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import ClassVar, Protocol

from qscan_contracts.ids import Sha256
from qscan_contracts.reports import Clean, Detected, Outcome, Unscanned
from qscan_contracts.vocabulary import UnscannedReason
from qscan_kit.content import ContentSource, InlineSource
from qscan_kit.errors import ContentUnavailableError

_EDGES = (0, 1, 65_535, 65_536, 65_537, 131_072, 300_001, 1_000_000)
"""Sizes around those at which clients cut."""
_LONG = b"large enough for several chunks " * 16_384
_SOON_S = 5.0
"""Much more than any time-out of a candidate, much less than those of production."""


class _Examined(Protocol):
    @property
    def outcome(self) -> Outcome: ...


class _Engine(Protocol):
    async def scan(self, content: ContentSource, *, timeout_s: float) -> _Examined: ...


class Candidate(Protocol):
    """An adapter that is ready to scan, and what its fake daemon is told to do with the next scans."""

    @property
    def engine(self) -> _Engine:
        """The adapter, its time-outs about a second, its size limit `EngineExam.max_scan_bytes`."""
        ...

    @property
    def open_connections(self) -> int:
        """How many the daemon has now."""
        ...

    @property
    def scans_begun(self) -> int:
        """How many the daemon was asked for since the candidate was ready."""
        ...

    def received(self) -> bytes:
        """The content that the daemon was sent last, when it was told to say it is clean."""
        ...

    def says(self, words: bytes) -> None:
        """Read everything, say this, hang up."""
        ...

    def says_slowly(self, words: bytes) -> None:
        """The same, byte by byte."""
        ...

    def says_early(self, words: bytes, *, hangs_up: bool) -> None:
        """Say this after the first bytes, then hang up or just read no more."""
        ...

    def hangs_up(self) -> None:
        """Read everything and hang up without a word."""
        ...

    def hangs_up_early(self) -> None:
        """Hang up after the first bytes."""
        ...

    def never_answers(self) -> None:
        """Read everything and say nothing."""
        ...

    def never_reads(self) -> None:
        """Take the connection and read nothing."""
        ...

    async def refuses(self) -> None:
        """Refuse connections."""
        ...


class EngineExam(abc.ABC):
    """Subclasses fill in the vendor's words and `candidate`."""

    adapter: ClassVar[type]
    """The class that sits this exam."""
    max_scan_bytes: ClassVar[int] = 2_000_000
    clean: ClassVar[bytes]
    detected: ClassVar[bytes]
    detected_name: ClassVar[str]
    awkward_names: ClassVar[tuple[bytes, ...]]
    """Replies of a detection whose signature name has CR, LF, controls, bytes above ASCII, or 1,000 characters."""
    encrypted: ClassVar[tuple[bytes, ...]]
    limits: ClassVar[tuple[bytes, ...]]
    errors: ClassVar[tuple[bytes, ...]]
    """Replies by which the vendor says that something is wrong with the engine."""
    too_big: ClassVar[bytes]
    nonsense: ClassVar[tuple[bytes, ...]]
    """Replies that the vendor never gives, the nearer to `clean` the better."""
    torn: ClassVar[tuple[bytes, ...]]
    """Beginnings of replies after which the daemon hangs up."""

    @abc.abstractmethod
    def candidate(self) -> AbstractAsyncContextManager[Candidate]:
        """An adapter with a fake daemon of its own."""

    async def test_clean(self) -> None:
        """The vendor's word for clean is clean."""
        async with self.candidate() as candidate:
            candidate.says(self.clean)
            assert await _outcome(candidate) == Clean()

    async def test_clean_said_slowly(self) -> None:
        """However slowly it comes."""
        async with self.candidate() as candidate:
            candidate.says_slowly(self.clean)
            assert await _outcome(candidate) == Clean()

    async def test_detected(self) -> None:
        """A detection carries the vendor's name for it."""
        async with self.candidate() as candidate:
            candidate.says(self.detected)
            assert await _outcome(candidate) == Detected(self.detected_name)

    async def test_awkward_names(self) -> None:
        """A signature name is printable ASCII of bounded length, whatever the vendor says, and still a detection."""
        async with self.candidate() as candidate:
            for words in self.awkward_names:
                candidate.says(words)
                outcome = await _outcome(candidate)
                assert isinstance(outcome, Detected), words
                name = outcome.signature_name
                assert 0 < len(name) <= 128, words  # noqa: PLR2004
                assert name.isascii(), words
                assert name.isprintable(), words

    async def test_encrypted(self) -> None:
        """What the engine could not read is neither clean nor a virus, and another try is no use."""
        async with self.candidate() as candidate:
            for words in self.encrypted:
                candidate.says(words)
                _expect(await _outcome(candidate), UnscannedReason.ENCRYPTED, retryable=False)

    async def test_limits(self) -> None:
        """What the engine stopped looking at is not clean, and another try is no use."""
        async with self.candidate() as candidate:
            for words in self.limits:
                candidate.says(words)
                _expect(await _outcome(candidate), UnscannedReason.ENGINE_LIMIT, retryable=False)

    async def test_errors(self) -> None:
        """The engine's own errors can be cured by another try."""
        for words in self.errors:
            async with self.candidate() as candidate:
                candidate.says(words)
                _expect(await _outcome(candidate), UnscannedReason.ENGINE_FAILED, retryable=True)

    async def test_nonsense(self) -> None:
        """Only one reply in the world is clean."""
        for words in self.nonsense:
            async with self.candidate() as candidate:
                candidate.says(words)
                _expect(await _outcome(candidate), UnscannedReason.ENGINE_FAILED, retryable=True)

    async def test_nonsense_is_not_kept(self) -> None:
        """A daemon that talks without end is not listened to without end."""
        async with self.candidate() as candidate:
            candidate.says(b"stream: " + b"x" * 65_536)
            started = time.monotonic()
            outcome = await _outcome(candidate)
            _expect(outcome, UnscannedReason.ENGINE_FAILED, retryable=True)
            assert isinstance(outcome, Unscanned)
            assert len(outcome.detail) < 1_000  # noqa: PLR2004
            assert time.monotonic() - started < _SOON_S

    async def test_torn_replies(self) -> None:
        """Half a reply is none, also when it is the half that says clean."""
        for words in self.torn:
            async with self.candidate() as candidate:
                candidate.says(words)
                _expect(await _outcome(candidate), UnscannedReason.ENGINE_CRASHED, retryable=True)

    async def test_hangs_up(self) -> None:
        """An engine that goes away while it scans has crashed."""
        async with self.candidate() as candidate:
            candidate.hangs_up()
            _expect(await _outcome(candidate), UnscannedReason.ENGINE_CRASHED, retryable=True)

    async def test_hangs_up_while_it_is_sent_the_content(self) -> None:
        """The same in the middle of a large content."""
        async with self.candidate() as candidate:
            candidate.hangs_up_early()
            _expect(await _outcome(candidate, _LONG), UnscannedReason.ENGINE_CRASHED, retryable=True)

    async def test_refuses_connections(self) -> None:
        """An engine that is not there says so at once."""
        async with self.candidate() as candidate:
            await candidate.refuses()
            started = time.monotonic()
            _expect(await _outcome(candidate), UnscannedReason.ENGINE_FAILED, retryable=True)
            assert time.monotonic() - started < _SOON_S

    async def test_never_answers(self) -> None:
        """A stalled engine is given up after its time."""
        async with self.candidate() as candidate:
            candidate.never_answers()
            started = time.monotonic()
            _expect(await _outcome(candidate), UnscannedReason.TIMED_OUT, retryable=True)
            assert time.monotonic() - started < _SOON_S

    async def test_never_reads(self) -> None:
        """So is one that takes no bytes."""
        async with self.candidate() as candidate:
            candidate.never_reads()
            started = time.monotonic()
            _expect(await _outcome(candidate, _LONG), UnscannedReason.TIMED_OUT, retryable=True)
            assert time.monotonic() - started < _SOON_S

    async def test_the_callers_time_is_kept(self) -> None:
        """Whatever the settings say, the caller's time-out counts."""
        async with self.candidate() as candidate:
            candidate.never_answers()
            started = time.monotonic()
            outcome = (await candidate.engine.scan(_content(b"x"), timeout_s=0.05)).outcome
            _expect(outcome, UnscannedReason.TIMED_OUT, retryable=True)
            assert time.monotonic() - started < 0.9  # noqa: PLR2004

    async def test_too_big_is_not_even_sent(self) -> None:
        """Above our own limit the engine is not asked."""
        async with self.candidate() as candidate:
            outcome = await _outcome(candidate, bytes(self.max_scan_bytes + 1))
            _expect(outcome, UnscannedReason.TOO_BIG, retryable=False)
            assert candidate.scans_begun == 0

    async def test_too_big_for_the_engine(self) -> None:
        """An engine that says «too big» before the end and hangs up is understood, not taken for an outage."""
        async with self.candidate() as candidate:
            for hangs_up in (True, False):
                candidate.says_early(self.too_big, hangs_up=hangs_up)
                for content in (_LONG, b"x" * 1000):
                    _expect(await _outcome(candidate, content), UnscannedReason.TOO_BIG, retryable=False)

    async def test_clean_before_the_end_is_not_clean(self) -> None:
        """What the engine has not got it cannot have looked at."""
        for hangs_up in (True, False):
            async with self.candidate() as candidate:
                candidate.says_early(self.clean, hangs_up=hangs_up)
                # Slowly, because a buffer of TCP's takes more than anybody has read.
                slow = _Cut(_LONG, 100_000, pause_s=0.02)
                outcome = (await candidate.engine.scan(slow, timeout_s=10)).outcome
                assert isinstance(outcome, Unscanned)
                assert outcome.retryable

    async def test_every_byte_arrives(self) -> None:
        """In order, whatever the size and however the source cuts it."""
        async with self.candidate() as candidate:
            candidate.says(self.clean)
            for size in _EDGES:
                data = _LONG[:100] + bytes(size - 100) if size > 100 else _LONG[:size]  # noqa: PLR2004
                for piece in (size or 1, 1000, 262_144):
                    outcome = (await candidate.engine.scan(_Cut(data, piece), timeout_s=5)).outcome
                    assert outcome == Clean(), (size, piece)
                    assert candidate.received() == data, (size, piece)

    async def test_content_that_cannot_be_had(self) -> None:
        """The engine is never told that half a content was all of it."""
        async with self.candidate() as candidate:
            candidate.says(self.clean)
            for good in (0, 10, 500_000):
                outcome = (await candidate.engine.scan(_Broken(good), timeout_s=5)).outcome
                _expect(outcome, UnscannedReason.CONTENT_UNAVAILABLE, retryable=True)

    async def test_content_with_a_wrong_digest(self) -> None:
        """Bytes that are not the promised ones are not clean, even when the engine says so."""
        async with self.candidate() as candidate:
            candidate.says(self.clean)
            wrong = InlineSource(b"not the promised bytes", Sha256("0" * 64))
            outcome = (await candidate.engine.scan(wrong, timeout_s=5)).outcome
            _expect(outcome, UnscannedReason.CONTENT_UNAVAILABLE, retryable=True)

    async def test_a_cancelled_scan_leaves_nothing_open(self) -> None:
        """The client went away: so does its scan."""
        async with self.candidate() as candidate:
            candidate.never_answers()
            task = asyncio.create_task(_outcome(candidate, _LONG))
            await _until(lambda: candidate.open_connections == 1)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert task.cancelled()
            await _until_none_is_open(candidate)

    async def test_no_ending_leaves_a_connection_open(self) -> None:
        """Whatever happened before."""
        endings: tuple[Callable[[Candidate], None], ...] = (
            lambda candidate: candidate.says(self.clean),
            lambda candidate: candidate.says(self.nonsense[0]),
            lambda candidate: candidate.says_early(self.too_big, hangs_up=False),
            lambda candidate: candidate.never_answers(),
            lambda candidate: candidate.never_reads(),
            lambda candidate: candidate.hangs_up_early(),
        )
        for ending in endings:
            async with self.candidate() as candidate:
                ending(candidate)
                await _outcome(candidate, _LONG)
                await _until_none_is_open(candidate)


async def _outcome(candidate: Candidate, data: bytes = b"something to look at") -> Outcome:
    return (await candidate.engine.scan(_content(data), timeout_s=10)).outcome


def _content(data: bytes) -> InlineSource:
    return InlineSource(data, Sha256(hashlib.sha256(data).hexdigest()))


def _expect(outcome: Outcome, reason: UnscannedReason, *, retryable: bool) -> None:
    assert isinstance(outcome, Unscanned), outcome
    assert (outcome.reason, outcome.retryable) == (reason, retryable), outcome


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(_SOON_S):
        while not holds():  # noqa: ASYNC110 (it is the daemon's side that changes)
            await asyncio.sleep(0.005)


async def _until_none_is_open(candidate: Candidate) -> None:
    await _until(lambda: candidate.open_connections == 0)


class _Cut:
    """Content that comes in pieces of a given size."""

    def __init__(self, data: bytes, piece: int, *, pause_s: float = 0) -> None:
        self._data, self._piece, self._pause_s = data, piece, pause_s
        self.size = len(data)
        self.sha256 = Sha256(hashlib.sha256(data).hexdigest())

    async def chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, self.size, self._piece):
            yield self._data[start : start + self._piece]
            await asyncio.sleep(self._pause_s)


class _Broken:
    """Content that cannot be had after some bytes."""

    size = 1_000_000
    sha256 = Sha256("0" * 64)

    def __init__(self, good: int) -> None:
        self._good = good

    async def chunks(self) -> AsyncIterator[bytes]:
        if self._good:
            yield bytes(self._good)
        message = "the unpacker no longer holds this content"
        raise ContentUnavailableError(message)
