"""The real qscan-queue, the real qscan-ingressd as a process, a fake unpacker, a recorder."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qscan_testkit.compiling import compile_c
from qscan_testkit.fake_unpacker import FakeUnpacker
from qscan_testkit.ingress_process import Ingressd, start
from qscan_testkit.recording import RecordingQmailQueue

SOURCE = Path(__file__).parents[1] / "qscan-queue" / "qscan-queue.c"
StartIngressd = Callable[..., Ingressd]


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for compiled programs."""
    return tmp_path_factory.mktemp("programs")


@pytest.fixture(scope="session")
def queue_program(programs: Path) -> Path:
    """The real qscan-queue, with short patience so that tests of silence end soon."""
    return compile_c(SOURCE, programs, {"QSCAN_SILENCE_S": "2", "QSCAN_INGRESS_UID": str(os.geteuid())})


@pytest.fixture
def recorder(tmp_path: Path, programs: Path) -> RecordingQmailQueue:
    """A recording qmail-queue."""
    return RecordingQmailQueue.build(tmp_path / "recorded", programs=programs, fsync=False)


@pytest.fixture
def start_ingressd(tmp_path: Path, queue_program: Path, recorder: RecordingQmailQueue) -> Iterator[StartIngressd]:
    """Start qscan-ingressd for some unpackers with some settings; it is ended with the test."""
    running: list[Ingressd] = []

    def start_one(*unpackers: FakeUnpacker, **settings: str) -> Ingressd:
        running.append(start(tmp_path, queue_program, recorder, unpackers, settings))
        return running[-1]

    yield start_one
    for ingressd in running:
        ingressd.kill()


@pytest.fixture
def unpacker() -> Iterator[FakeUnpacker]:
    """A fake unpacker that delivers everything until it is told otherwise."""
    with FakeUnpacker() as fake:
        yield fake


@pytest.fixture(scope="session")
def shared_ingressd(
    tmp_path_factory: pytest.TempPathFactory, queue_program: Path, programs: Path
) -> Iterator[Ingressd]:
    """One for all tests that do it no harm."""
    folder = tmp_path_factory.mktemp("shared")
    recorder = RecordingQmailQueue.build(folder / "recorded", programs=programs, fsync=False)
    with FakeUnpacker() as unpacker:
        ingressd = start(folder, queue_program, recorder, [unpacker], {})
        yield ingressd
        ingressd.kill()


@pytest.fixture
def ingressd(shared_ingressd: Ingressd) -> Ingressd:
    """A running qscan-ingressd with one unpacker and the default limits; it must survive the test."""
    shared_ingressd.reset()
    return shared_ingressd
