"""Whole systems as `qscan up` runs them, with the real qscan-queue and a recorder in qmail-queue's place."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qscan_testkit.compiling import compile_c
from qscan_testkit.recording import RecordingQmailQueue
from qscan_testkit.running_system import RunningSystem, Setting, Tables

QUEUE_SOURCE = Path(__file__).parents[2] / "ingress" / "qscan-queue" / "qscan-queue.c"
MakeSystem = Callable[..., RunningSystem]


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for compiled programs."""
    return tmp_path_factory.mktemp("programs")


@pytest.fixture(scope="session")
def queue_program(programs: Path) -> Path:
    """The real qscan-queue, under the name by which it is looked for."""
    compiled = compile_c(QUEUE_SOURCE, programs, {"QSCAN_INGRESS_UID": str(os.geteuid())})
    named = programs / "qscan-queue"
    named.unlink(missing_ok=True)
    named.hardlink_to(compiled)
    return named


@pytest.fixture(scope="module")
def make_system(tmp_path_factory: pytest.TempPathFactory, programs: Path, queue_program: Path) -> Iterator[MakeSystem]:
    """Make systems, each in a folder of its own, that are killed after the module's last test; none is started yet."""
    made: list[RunningSystem] = []

    def make(tables: Tables | None = None) -> RunningSystem:
        directory = tmp_path_factory.mktemp("system")
        recorder = RecordingQmailQueue.build(directory / "recorded", programs=programs, fsync=False)
        settings: dict[str, dict[str, Setting]] = {"up": {"spamd_network_tests": False}}
        for table, values in (tables or {}).items():
            settings.setdefault(table, {}).update(values)
        made.append(RunningSystem(directory, queue_program, recorder, settings))
        return made[-1]

    yield make
    for system in made:
        system.kill()
