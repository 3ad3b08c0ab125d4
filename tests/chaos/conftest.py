"""Real systems to be ill-treated: `qscan up` with short deadlines, the real qscan-queue, a recorder."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qscan_testkit.compiling import compile_c
from qscan_testkit.recording import RecordingQmailQueue
from qscan_testkit.running_system import RunningSystem, Setting, Tables

QUEUE_SOURCE = Path(__file__).parents[2] / "ingress" / "qscan-queue" / "qscan-queue.c"
DEADLINE_S = 20
"""Of ingressd; the unpacker answers 5 s earlier."""
MakeSystem = Callable[..., RunningSystem]

_SUMMARY = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for compiled programs."""
    return tmp_path_factory.mktemp("programs")


@pytest.fixture(scope="session")
def queue_program(programs: Path) -> Path:
    """The real qscan-queue with its shipped patience."""
    return compile_c(QUEUE_SOURCE, programs, {"QSCAN_INGRESS_UID": str(os.geteuid())})


@pytest.fixture(scope="module")
def make_system(tmp_path_factory: pytest.TempPathFactory, programs: Path, queue_program: Path) -> Iterator[MakeSystem]:
    """Make systems, each in a folder of its own, that are killed after the module's last test; none is started yet."""
    made: list[RunningSystem] = []

    def make(tables: Tables | None = None) -> RunningSystem:
        directory = tmp_path_factory.mktemp("system")
        recorder = RecordingQmailQueue.build(directory / "recorded", programs=programs, fsync=False)
        settings: dict[str, dict[str, Setting]] = {
            "ingress": {"deadline_s": DEADLINE_S},
            "unpacker": {"deadline_s": DEADLINE_S},
            "notifier": {"admin_address": "postmaster@example.net", "max_notices_per_hour": 100_000},
            "up": {
                "restart_delay_s": 0.2,
                "restart_delay_max_s": 1.0,
                "spamd_children": 2,
                "spamd_network_tests": False,
                # For the recorder, which is what notices are injected with.
                "pass_environment": ["QSCAN_RECORDER_DIR", "QSCAN_RECORDER_FSYNC"],
            },
        }
        for table, values in (tables or {}).items():
            settings.setdefault(table, {}).update(values)
        made.append(RunningSystem(directory, queue_program, recorder, settings))
        return made[-1]

    yield make
    for system in made:
        system.kill()


@pytest.fixture
def summarise(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Add lines to what is printed at the end of the run."""

    def add(text: str) -> None:
        request.config.stash.setdefault(_SUMMARY, []).extend(text.splitlines())

    return add


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what the tests have to tell beside passing."""
    lines = config.stash.get(_SUMMARY, [])
    if lines:
        terminalreporter.section("chaos")
        for line in lines:
            terminalreporter.write_line(line)
