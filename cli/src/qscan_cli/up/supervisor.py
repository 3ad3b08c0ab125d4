"""Keeps the children running, says what happens, and ends them in order."""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from qscan_cli.configuration.up_settings import UpSettings
from qscan_cli.errors import CommandError
from qscan_cli.running import RunningService, RunningSystem
from qscan_cli.up.child_log import ChildLog
from qscan_cli.up.children import Child, ChildPlan, Stage, describe, wait
from qscan_cli.up.guard import Guard
from qscan_cli.up.probes import Probe

Say = Callable[[str], None]

_PROBE_PAUSE_S = 0.05
_HOUSEKEEPING_S = 1.0
_BROKEN_PAUSE_S = 2.0
_BROKEN_TIMES = 3
"""So many times in a row: what passes by itself is no reason to interrupt everybody's work."""


class Supervisor:
    """All children of one `qscan up`."""

    def __init__(
        self,
        plans: Sequence[ChildPlan],
        *,
        guard: Guard,
        system: RunningSystem,
        services_file: Path,
        log_folder: Path,
        settings: UpSettings,
        say: Say,
    ) -> None:
        """Nothing is started before `run`. `say` tells people a line; `system` is what `services.json` begins with."""
        self._guard, self._system, self._services_file = guard, system, services_file
        self._settings, self._say = settings, say
        self._children = [
            Child(plan, guard, ChildLog(log_folder / f"{plan.name}.log", max_bytes=settings.log_max_bytes))
            for plan in plans
        ]
        self._ready: set[str] = set()
        self._waiting_for: dict[str, str] = {}
        self._stopping = asyncio.Event()
        self._fatal: CommandError | None = None

    async def run(self, stop: asyncio.Event, hurry: asyncio.Event, on_ready: Callable[[], None]) -> None:
        """Run everything until `stop` is set, then end it in order; `hurry` makes that end a killing.

        Raises:
            CommandError: a child says that its configuration is wrong, or cannot be executed. Everything is ended.
        """
        watching = [asyncio.create_task(self._keep(child, stop)) for child in self._children]
        watching.append(asyncio.create_task(self._keep_house(on_ready)))
        watching.append(asyncio.create_task(self._keep_guardian()))
        stopped = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait([stopped, *watching], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # only a bug makes one of them fail, and then it must be heard
        finally:
            await self._stop(hurry)
            for task in (*watching, stopped):
                task.cancel()
            await asyncio.gather(*watching, stopped, return_exceptions=True)
            self._services_file.unlink(missing_ok=True)
        if self._fatal is not None:
            raise self._fatal

    async def _keep(self, child: Child, stop: asyncio.Event) -> None:
        quick_deaths = 0
        name = child.plan.name
        while not self._stopping.is_set():
            try:
                child.start()
            except OSError as error:
                self._give_up(CommandError(f"cannot start {name}: {error}", os.EX_UNAVAILABLE), stop)
                return
            self._write()
            attending = asyncio.create_task(self._attend(child))
            try:
                status = await child.ended()
            finally:
                attending.cancel()
            was_ready = name in self._ready
            self._ready.discard(name)
            self._write()
            if self._stopping.is_set():
                return
            if status == os.EX_CONFIG:
                self._give_up(
                    CommandError(f"{name} cannot run with this configuration:\n{child.log.last_words()}"), stop
                )
                return
            if time.monotonic() - child.started_at >= self._settings.restart_settled_s:
                quick_deaths = 0
            pause_s = min(
                self._settings.restart_delay_s * 2.0 ** min(quick_deaths, 30), self._settings.restart_delay_max_s
            )
            quick_deaths += 1
            self._say(f"{name} has ended ({describe(status)}); it is started again in {pause_s:g} s")
            if not was_ready:
                self._say_indented(child.log.last_words())
                if child.plan.advice:
                    self._say_indented(child.plan.advice)
            await asyncio.sleep(pause_s)

    async def _attend(self, child: Child) -> None:
        """Say when it is ready, and end it, to be started again, when it is sick after that."""
        name = child.plan.name
        while why := await child.plan.probe():
            self._waiting_for[name] = why
            await asyncio.sleep(_PROBE_PAUSE_S)
        self._waiting_for.pop(name, None)
        self._ready.add(name)
        self._say(f"{name} is ready ({time.monotonic() - child.started_at:.1f} s)")
        if child.plan.broken is not None:
            await self._replace_when_broken(child, child.plan.broken)

    async def _replace_when_broken(self, child: Child, broken: Probe) -> None:
        """End a child that says itself, and keeps saying, that it works no more; `_keep` starts it anew."""
        times, why = 0, ""
        while times < _BROKEN_TIMES:
            await asyncio.sleep(_BROKEN_PAUSE_S)
            why = await broken()
            times = times + 1 if why else 0
        self._say(f"{child.plan.name} is started anew: {why}")
        await child.stop(self._settings.stop_grace_s)

    async def _keep_house(self, on_ready: Callable[[], None]) -> None:
        names = {child.plan.name for child in self._children}
        report_at = time.monotonic() + self._settings.start_timeout_s
        while True:
            if not self._system.ready:
                if self._ready == names:
                    self._system = replace(self._system, ready=True)
                    self._write()
                    on_ready()
                elif time.monotonic() >= report_at:
                    report_at += self._settings.start_timeout_s
                    for name in sorted(names - self._ready):
                        self._say(f"still waiting for {name}: {self._waiting_for.get(name) or 'it is not running'}")
            for child in self._children:
                child.log.bound()
            await asyncio.sleep(_HOUSEKEEPING_S if self._system.ready else _PROBE_PAUSE_S)

    async def _keep_guardian(self) -> None:
        """At once: while there is none, a kill of `qscan up` could leave a child behind."""
        while True:
            status = await wait(self._guard.process)
            self._guard.replace()
            self._say(f"the guardian has ended ({describe(status)}); there is a new one")
            self._system = replace(self._system, guardian_pid=self._guard.process.pid)
            self._write()

    async def _stop(self, hurry: asyncio.Event) -> None:
        self._stopping.set()
        stopping = asyncio.create_task(self._stop_in_order())
        hurrying = asyncio.create_task(hurry.wait())
        await asyncio.wait([stopping, hurrying], return_when="FIRST_COMPLETED")
        if hurry.is_set():
            for child in self._children:
                child.kill()
        await stopping
        hurrying.cancel()

    async def _stop_in_order(self) -> None:
        for stage in Stage:
            children = [child for child in self._children if child.plan.stage is stage and child.pid is not None]
            in_time = await asyncio.gather(*(child.stop(self._settings.stop_grace_s) for child in children))
            for child, is_in_time in zip(children, in_time, strict=True):
                if not is_in_time:
                    self._say(f"{child.plan.name} did not end within {self._settings.stop_grace_s:g} s and was killed")

    def _give_up(self, error: CommandError, stop: asyncio.Event) -> None:
        self._fatal = self._fatal or error
        stop.set()

    def _say_indented(self, text: str) -> None:
        for line in text.splitlines():
            self._say(f"  | {line}")

    def _write(self) -> None:
        if not self._stopping.is_set():
            services = {
                child.plan.name: RunningService(
                    pid=child.pid,
                    starts=child.starts,
                    log=str(child.log.path),
                    address=child.plan.address,
                    health=child.plan.health,
                )
                for child in self._children
            }
            replace(self._system, services=services).write(self._services_file)
