"""One child process: started, watched, ended, and nothing of it left behind."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from qscan_cli.up import guardian
from qscan_cli.up.child_log import ChildLog
from qscan_cli.up.guard import Guard
from qscan_cli.up.probes import Probe

_KILL_WAIT_S = 5.0
_POLL_S = 0.02


class Stage(IntEnum):
    """The order of stopping: who takes new work goes first, who is needed by all goes last."""

    INGRESS = 0
    INTAKE = 1
    SERVICES = 2
    ENGINES = 3
    BUS = 4


@dataclass(frozen=True)
class ChildPlan:
    """Everything needed to run one child.

    `environ` is its whole environment. `address` and `health` are for `services.json`. `advice` is told when it ends
    before it has ever been ready.
    """

    name: str
    command: tuple[str, ...]
    environ: Mapping[str, str]
    probe: Probe
    stage: Stage
    directory: Path = Path("/")
    address: str = ""
    health: str = ""
    advice: str = ""
    broken: Probe | None = None


class Child:
    """One child of `qscan up`. It leads a process group of its own, which dies with it."""

    def __init__(self, plan: ChildPlan, guard: Guard, log: ChildLog) -> None:
        """Nothing is started before `start`."""
        self.plan, self.log, self._guard = plan, log, guard
        self.starts = 0
        self.started_at = 0.0
        """Of the monotonic clock."""
        self._process: subprocess.Popen[bytes] | None = None
        self._gone = asyncio.Event()
        self._gone.set()

    @property
    def pid(self) -> int | None:
        """Its process id, also that of its group; None while it is not running."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start it. Raises OSError when the program cannot be executed."""
        self.log.begin(self.plan.name, self.starts + 1)
        with self.log.open() as log:
            self._process = subprocess.Popen(
                self.plan.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.plan.directory,
                env=dict(self.plan.environ),
                process_group=0,
                # Unsafe with threads, but there are none here, and nothing else binds a child to us before it runs.
                preexec_fn=self._guard.register_in_child(),  # noqa: PLW1509
            )
        self._guard.registered(self._process.pid)
        self._gone.clear()
        self.starts += 1
        self.started_at = time.monotonic()

    async def ended(self) -> int:
        """Wait until it and all that it has started are gone; the status is that of `subprocess`."""
        process = self._process
        if process is None:
            message = f"{self.plan.name} has not been started"
            raise RuntimeError(message)
        status = await wait(process)
        # A child of its own that lives on (spamd's) would keep socket and port from the next start.
        until = time.monotonic() + _KILL_WAIT_S
        guardian.kill_groups({process.pid})
        while guardian.living({process.pid}) and time.monotonic() < until:
            await asyncio.sleep(_POLL_S)
            guardian.kill_groups({process.pid})
        self._guard.forget(process.pid)
        self._process = None
        self._gone.set()
        return status

    async def stop(self, grace_s: float) -> bool:
        """End it: SIGTERM, after the grace SIGKILL. Somebody else waits in `ended`. False if it had to be killed."""
        if self._process is None:
            return True
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGTERM)
            # A process that somebody has stopped (SIGSTOP) could not hear it.
            os.kill(self._process.pid, signal.SIGCONT)
        try:
            async with asyncio.timeout(grace_s):
                await self._gone.wait()
        except TimeoutError:
            self.kill()
            await self._gone.wait()
            return False
        return True

    def kill(self) -> None:
        """SIGKILL to it and all that it has started."""
        if self._process is not None:
            guardian.kill_groups({self._process.pid})


async def wait(process: "subprocess.Popen[bytes]") -> int:
    """Wait for a process without a thread: forking from a process with threads is not safe."""
    loop = asyncio.get_running_loop()
    watch = os.pidfd_open(process.pid)
    ended = asyncio.Event()
    loop.add_reader(watch, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(watch)
        os.close(watch)
    return process.wait()


def describe(status: int) -> str:
    """How a process ended, in words."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"
