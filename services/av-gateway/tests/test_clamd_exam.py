"""The clamd adapter sits the exam of all engines."""

import importlib
import inspect
import itertools
import pkgutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import pytest

from qscan_av_gateway import adapters
from qscan_av_gateway.adapters.clamd_engine import ClamdEngine
from qscan_av_gateway.bootstrap import clamds
from qscan_av_gateway.engine import Engine
from qscan_av_gateway.settings import AvGatewaySettings
from qscan_av_gateway.watch import Change, Standing
from qscan_testkit import fake_clamd
from qscan_testkit.engine_exam import EngineExam
from qscan_testkit.fake_clamd import Conversation, FakeClamd

pytestmark = pytest.mark.anyio


class ClamdCandidate:
    """The engine with one fake clamd, which has passed its proof as an honest one."""

    def __init__(self, fake: FakeClamd, engine: ClamdEngine) -> None:
        self.fake, self.engine = fake, engine
        self._streams_before = fake.streams
        self._received = b""

    @property
    def open_connections(self) -> int:
        """Connections to the fake."""
        return self.fake.connections

    @property
    def scans_begun(self) -> int:
        """Streams since the proof."""
        return self.fake.streams - self._streams_before

    def received(self) -> bytes:
        """The last whole stream."""
        return self._received

    def says(self, words: bytes) -> None:
        """Keep the stream, say this."""

        async def behave(conversation: Conversation) -> None:
            self._received = await conversation.whole_stream()
            await conversation.say(words)

        self.fake.behaviour = behave

    def says_slowly(self, words: bytes) -> None:
        """Byte by byte."""
        self.fake.behaviour = fake_clamd.says_slowly(words)

    def says_early(self, words: bytes, *, hangs_up: bool) -> None:
        """After one chunk."""
        self.fake.behaviour = fake_clamd.says_early(words, hangs_up=hangs_up)

    def hangs_up(self) -> None:
        """After the whole stream."""
        self.fake.behaviour = fake_clamd.hangs_up

    def hangs_up_early(self) -> None:
        """After one chunk."""
        self.fake.behaviour = fake_clamd.hangs_up_early

    def never_answers(self) -> None:
        """Stall."""
        self.fake.behaviour = fake_clamd.never_answers

    def never_reads(self) -> None:
        """Stall before the stream."""
        self.fake.behaviour = fake_clamd.never_reads

    async def refuses(self) -> None:
        """Nobody listens."""
        await self.fake.stop()


class _ClamdExam(EngineExam):
    """clamd's words (captured from clamd 1.4.6, except most of the nonsense)."""

    __test__ = False
    adapter = ClamdEngine
    clean = b"stream: OK\0"
    detected = b"stream: Win.Test.EICAR_HDB-1 FOUND\0"
    detected_name = "Win.Test.EICAR_HDB-1"
    awkward_names = (
        b"stream: Evil\r\nX-Injected: yes FOUND\0",
        b"stream: \r\n FOUND\0",
        b"stream: \x1b[2J\x07\xff\xfe FOUND\0",
        b"stream: " + b"x" * 1000 + b" FOUND\0",
        b"stream: two words: and a colon FOUND\0",
        b"stream: OK FOUND\0",
        b"stream:  FOUND\0",
        b"stream: stream: OK\0"[:8] + "Bös.Ärtig".encode() + b" FOUND\0",
    )
    encrypted = (b"stream: Heuristics.Encrypted.Zip FOUND\0", b"stream: Heuristics.Encrypted.PDF FOUND\0")
    limits = (
        b"stream: Heuristics.Limits.Exceeded FOUND\0",
        b"stream: Heuristics.Limits.Exceeded.MaxRecursion FOUND\0",
        b"stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND\0",
        b"stream: Heuristics.Limits.Exceeded.EmailHeaders FOUND\0",
    )
    errors = (
        b"stream: Can't allocate memory ERROR\0",
        b"COMMAND READ TIMED OUT ERROR\0",
        b"stream: Can't open file or directory ERROR\0",
        b"stream: Can't write to file ERROR\0",
        b"Error writing to temporary file ERROR\0",
    )
    too_big = b"INSTREAM size limit exceeded. ERROR\0"
    nonsense = (
        b"stream: OK \0",
        b"stream: ok\0",
        b"stream: OK\n\0",
        b"stream: OK\0stream: Evil FOUND\0",
        # Really said by clamd 1.4.6 when its temporary directory is full.
        b"Error writing to temporary file ERROR\0stream: OK\0",
        b"1: stream: OK\0",
        b"OK\0",
        b"stream: FOUND\0",
        b"UNKNOWN COMMAND\0",
        b"HTTP/1.1 200 OK\r\n\r\n\0",
        b"\xff\xfe\0",
        b"\0",
    )
    torn = (b"stream: OK", b"stream: OK\n", b"s", b"stream: Evil FOUND")
    listens_at: ClassVar[str | None] = None

    @asynccontextmanager
    async def candidate(self) -> AsyncIterator[ClamdCandidate]:
        """A fresh fake and engine, proved once and not watched."""
        with TemporaryDirectory(prefix="qscan-") as folder:
            async with FakeClamd(self.listens_at or Path(folder, "clamd.sock")) as fake:
                settings = AvGatewaySettings(
                    clamd_addresses=(fake.address,),
                    max_scan_bytes=self.max_scan_bytes,
                    attempt_timeout_s=1,
                    connect_timeout_s=1,
                    send_timeout_s=0.5,
                    doubt_wait_s=0,
                )
                change = Change()
                found = clamds(settings, change)
                for one in found:
                    await one.watched.look()
                    assert one.watched.standing is Standing.USABLE, one.watched.why
                engine = ClamdEngine(found, change, attempt_timeout_s=1, doubt_wait_s=0)
                yield ClamdCandidate(fake, engine)


class TestClamdOnAUnixSocket(_ClamdExam):
    __test__ = True


class TestClamdOnIpv4(_ClamdExam):
    __test__ = True
    listens_at = "127.0.0.1"


class TestClamdOnIpv6(_ClamdExam):
    __test__ = True
    listens_at = "::1"


def test_every_adapter_sits_the_exam():
    """An engine without an exam is not to be trusted, so adding one without its exam fails here."""
    modules = [
        importlib.import_module(f"{adapters.__name__}.{one.name}") for one in pkgutil.iter_modules(adapters.__path__)
    ]
    members = itertools.chain.from_iterable(vars(module).values() for module in modules)
    engines = {one for one in members if inspect.isclass(one) and Engine in one.__mro__[1:]}
    assert engines == {exam.adapter for exam in _all_exams() if exam.adapter.__module__.startswith(adapters.__name__)}


def _all_exams() -> list[type[EngineExam]]:
    found = list(EngineExam.__subclasses__())
    for exam in found:
        found.extend(exam.__subclasses__())
    return found
