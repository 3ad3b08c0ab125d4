"""The supervisor with small children: shell scripts that do what services do."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from qscan_cli.configuration.up_settings import UpSettings
from qscan_cli.errors import CommandError
from qscan_cli.places import DataDirectory
from qscan_cli.running import RunningSystem
from qscan_cli.up import guardian
from qscan_cli.up.children import ChildPlan, Stage
from qscan_cli.up.guard import Guard
from qscan_cli.up.locking import lock
from qscan_cli.up.supervisor import Supervisor

QUICK = UpSettings(restart_delay_s=0.05, restart_delay_max_s=0.2, stop_grace_s=0.5, start_timeout_s=0.2)
TIMEOUT_S = 20.0
Told = list[str]
Watch = Callable[[RunningSystem], bool]


def plan(folder: Path, name: str, script: str, stage: Stage = Stage.SERVICES) -> ChildPlan:
    """A child that runs a shell script; it is ready when it has made the file ``NAME.ready``."""

    async def probe() -> str:
        return "" if (folder / f"{name}.ready").exists() else "it has not said that it is ready"

    environ = {"PATH": os.environ["PATH"], "READY": str(folder / f"{name}.ready"), "FOLDER": str(folder)}
    return ChildPlan(name, ("/bin/sh", "-c", script), environ, probe, stage)


class Run:
    """One supervised run: `until` is asked again and again until it is true; then everything is stopped."""

    def __init__(self, data: DataDirectory, plans: list[ChildPlan]) -> None:
        """Nothing is started yet."""
        self.data, self.plans = data, plans
        self.told: Told = []
        self.ready = False
        self.pids: dict[str, int | None] = {}

    @property
    def now(self) -> RunningSystem:
        """What services.json says."""
        system = RunningSystem.read(self.data.services_file)
        assert system is not None
        return system

    def go(self, until: Callable[["Run"], bool], *, hurry: bool = False) -> None:
        """Run. Raises what the supervisor raises, TimeoutError when `until` does not become true."""
        asyncio.run(self._go(until, hurry))

    async def _go(self, until: Callable[["Run"], bool], hurry: bool) -> None:
        locked = lock(self.data)
        guard = Guard(locked)
        beginning = RunningSystem(os.getpid(), guard.process.pid, "", "", "", "", own_signatures=True)
        supervisor = Supervisor(
            self.plans,
            guard=guard,
            system=beginning,
            services_file=self.data.services_file,
            log_folder=self.data.log,
            settings=QUICK,
            say=self.told.append,
        )
        stop, hurrying = asyncio.Event(), asyncio.Event()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                running = asyncio.create_task(supervisor.run(stop, hurrying, self._on_ready))
                await self._watch(running, until)
                stop.set()
                if hurry:
                    hurrying.set()
                await running
        finally:
            guard.close()
            os.close(locked)

    async def _watch(self, running: "Awaitable[None] | asyncio.Task[None]", until: Callable[["Run"], bool]) -> None:
        assert isinstance(running, asyncio.Task)
        while not running.done():
            if self.data.services_file.exists():
                self.pids = {name: service.pid for name, service in self.now.services.items()}
                if until(self):
                    return
            await asyncio.sleep(0.01)

    def _on_ready(self) -> None:
        self.ready = True


WAITS = "touch $READY; while :; do sleep 0.05; done"


def test_it_is_ready_when_every_child_is(data, tmp_path):
    """And services.json says so, with the processes."""
    run = Run(data, [plan(tmp_path, "a", WAITS), plan(tmp_path, "b", WAITS)])
    run.go(lambda run: run.ready and run.now.ready)
    assert all(pid for pid in run.pids.values())
    assert not data.services_file.exists()


def test_what_is_not_ready_is_told_with_its_reason(data, tmp_path):
    """Again and again, while the others run."""
    run = Run(data, [plan(tmp_path, "a", WAITS), plan(tmp_path, "b", "sleep 1000")])
    run.go(lambda run: sum("still waiting" in line for line in run.told) >= 2)
    assert "still waiting for b: it has not said that it is ready" in run.told
    assert not run.ready


def test_a_child_that_dies_is_started_again_with_growing_pauses(data, tmp_path):
    """The pause doubles up to its limit, and what it said is told."""
    run = Run(data, [plan(tmp_path, "a", "echo something is wrong; exit 3")])
    run.go(lambda run: run.now.services["a"].starts >= 5)
    pauses = [line.partition("again in ")[2] for line in run.told if "again in" in line]
    assert pauses[:4] == ["0.05 s", "0.1 s", "0.2 s", "0.2 s"]
    assert "a has ended (exit status 3); it is started again in 0.05 s" in run.told
    assert "  | something is wrong" in run.told


def test_a_killed_child_comes_back_and_what_it_had_started_is_gone(data, tmp_path):
    """A grandchild would keep its socket."""
    script = "sleep 1000 & echo $! >> $FOLDER/grandchildren; touch $READY; wait"
    run = Run(data, [plan(tmp_path, "a", script)])

    def killed_twice(run: Run) -> bool:
        service = run.now.services["a"]
        grandchildren = (tmp_path / "grandchildren").read_text().split() if run.ready else []
        if service.pid and len(grandchildren) == service.starts and service.starts < 3:
            os.kill(service.pid, signal.SIGKILL)
            (tmp_path / "killed").touch()
        return service.starts == 3

    run.go(killed_twice)
    assert "a has ended (killed by SIGKILL); it is started again in 0.05 s" in run.told
    for pid in (tmp_path / "grandchildren").read_text().split():
        assert not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text()


def test_wrong_settings_of_a_child_end_everything_with_its_words(data, tmp_path):
    """EX_CONFIG says that starting again helps nobody."""
    run = Run(data, [plan(tmp_path, "a", WAITS), plan(tmp_path, "b", "echo QSCAN_B_X: unknown >&2; exit 78")])
    with pytest.raises(CommandError, match=r"(?s)b cannot run with this configuration.*QSCAN_B_X: unknown"):
        run.go(lambda _: False)
    assert not guardian.living({pid for pid in run.pids.values() if pid})


def test_a_program_that_is_not_there_ends_everything(data, tmp_path):
    """It will not come by waiting."""
    missing = ChildPlan("a", ("/nowhere/program",), {}, plan(tmp_path, "a", "").probe, Stage.BUS)
    with pytest.raises(CommandError, match=r"cannot start a: .*No such file"):
        Run(data, [missing]).go(lambda _: False)


def test_everything_ends_in_order(data, tmp_path):
    """Who takes new work first, who is needed by all last; one stage waits for the one before."""
    script = "trap 'sleep 0.1; echo {} >> $FOLDER/order; exit 0' TERM; touch $READY; while :; do sleep 0.02; done"
    names = {stage.name: plan(tmp_path, stage.name, script.format(stage.name), stage) for stage in reversed(Stage)}
    run = Run(data, list(names.values()))
    run.go(lambda run: run.ready)
    assert (tmp_path / "order").read_text().split() == ["INGRESS", "INTAKE", "SERVICES", "ENGINES", "BUS"]


def test_a_child_that_does_not_end_is_killed_after_the_grace(data, tmp_path):
    """And it is told."""
    run = Run(data, [plan(tmp_path, "a", f"trap '' TERM; {WAITS}")])
    run.go(lambda run: run.ready)
    assert "a did not end within 0.5 s and was killed" in run.told
    assert not guardian.living({run.pids["a"] or 0})


def test_a_stopped_child_ends_too(data, tmp_path):
    """SIGSTOP does not keep it from hearing SIGTERM."""
    run = Run(data, [plan(tmp_path, "a", WAITS)])

    def stopped(run: Run) -> bool:
        pid = run.now.services["a"].pid
        if run.ready and pid:
            os.kill(pid, signal.SIGSTOP)
        return run.ready

    run.go(stopped)
    assert "a did not end within 0.5 s and was killed" not in run.told


def test_a_second_signal_kills_what_is_left(data, tmp_path):
    """Without waiting for any grace."""
    slow = f"trap '' TERM; {WAITS}"
    run = Run(data, [plan(tmp_path, stage.name, slow, stage) for stage in Stage])
    started = 0.0

    def ready(run: Run) -> bool:
        nonlocal started
        started = time.monotonic()
        return run.ready

    run.go(ready, hurry=True)
    assert time.monotonic() - started < QUICK.stop_grace_s * len(Stage)
    assert not guardian.living({pid for pid in run.pids.values() if pid})


def test_a_killed_guardian_is_replaced_and_knows_the_children(data, tmp_path):
    """The new one kills them when its pipe ends, as the old one would have."""
    run = Run(data, [plan(tmp_path, "a", WAITS)])
    guardians: list[int] = []

    def replaced(run: Run) -> bool:
        pid = run.now.guardian_pid
        if run.ready and pid not in guardians:
            guardians.append(pid)
            if len(guardians) == 1:
                os.kill(pid, signal.SIGKILL)
        return len(guardians) == 2

    run.go(replaced)
    assert "the guardian has ended (killed by SIGKILL); there is a new one" in run.told
