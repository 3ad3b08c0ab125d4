"""The life of `qscan up`: ready, restarting what dies, ending in order, leaving nothing behind however it ends."""

import os
import random
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from qscan_testkit.polling import poll_until
from qscan_testkit.running_system import GUARDIAN, UP, RunningSystem

SERVICES = ["unpacker", "policy", "av-gateway", "spam", "archiver", "notifier", "ingress"]
PARTS = ["nats", "clamd", "spamd", *SERVICES]
KILL_MOMENTS = 6
LATEST_KILL_S = 3.0


@pytest.fixture(scope="module")
def system(make_system) -> RunningSystem:
    """One that runs."""
    system: RunningSystem = make_system()
    system.start()
    return system


def of_data(data: Path) -> dict[int, str]:
    """Every process that was started for a data directory, by its environment: pid → command."""
    found = {}
    mark = f"QSCAN_UP={data}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found[int(entry.name)] = (
                        (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    )
            except OSError:
                continue
    return found


def groups_of(pids: "set[int] | dict[int, str]") -> set[int]:
    """Their process groups: a grandchild may have overwritten its environment, not its group."""
    groups = set()
    for pid in pids:
        try:
            groups.add(os.getpgid(pid))
        except ProcessLookupError:
            continue
    return groups


def members(groups: set[int]) -> Iterator[int]:
    """All processes in these groups that are no zombies."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, group = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[:3]
            except OSError:
                continue
            if int(group) in groups and state not in "ZX":
                yield int(entry.name)


def test_it_says_ready_once_in_one_line(system):
    """DESIGN §5: where the API is, where the socket is, where the data is; nothing else on standard output."""
    output = (system.directory / "up.out").read_text(encoding="utf-8")
    assert output == f"ready http={system.url} ingress={system.socket} data={system.data}\n"


def test_every_part_runs_and_is_ready(system):
    """NATS, clamd, spamd and every service of qscan, each once."""
    assert sorted(system.parts()) == sorted([*PARTS, UP, GUARDIAN])
    assert all(system.starts(part) == 1 for part in PARTS)
    assert all(system.is_ready(part) for part in PARTS)


def test_the_data_directory_is_that_of_the_design(system):
    """Mail and secrets are closed to others; whoever delivers mail reaches the socket."""
    for folder in ("quarantine/viruses", "quarantine/policy", "quarantine/spam", "archives", "log", "nats"):
        assert (system.data / folder).is_dir()
    assert stat.S_IMODE((system.data / "token").stat().st_mode) == 0o600
    assert stat.S_IMODE((system.data / "quarantine").stat().st_mode) == 0o700
    assert stat.S_ISSOCK(system.socket.stat().st_mode)
    assert stat.S_IMODE(system.socket.stat().st_mode) == 0o666
    for secret in (system.data / "secrets").iterdir():
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_each_child_has_its_own_part_of_the_settings_only(system):
    """No other service's password, and nothing of the environment of whoever started it."""
    passwords = {
        file.name.removeprefix("nats-"): file.read_text().strip() for file in (system.data / "secrets").iterdir()
    }
    for service in SERVICES:
        environ = Path(f"/proc/{system.pid(service)}/environ").read_bytes().decode()
        variables = dict(one.partition("=")[::2] for one in environ.split("\0") if one)
        own = f"QSCAN_{service.upper().replace('-', '_')}_"
        assert {name for name in variables if name.startswith("QSCAN_")} >= {f"{own}NATS_URLS", "QSCAN_UP"}
        foreign = [
            name for name in variables if name.startswith("QSCAN_") and name != "QSCAN_UP" and not name.startswith(own)
        ]
        assert foreign == []
        assert "HOME" not in variables
        others = [name for name, password in passwords.items() if name != service and password in environ]
        assert others == []


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_killed_comes_back(system, part):
    """With the same address, and the whole is ready again; nothing else was restarted for it."""
    before = {name: system.starts(name) for name in PARTS}
    system.signal(part, signal.SIGKILL).close()
    poll_until(lambda: system.starts(part) == before[part] + 1, 20)
    system.await_ready(timeout_s=40)
    assert {name: system.starts(name) for name in PARTS} == before | {part: before[part] + 1}


def test_the_guardian_comes_back(system):
    """At once."""
    old = system.pid(GUARDIAN)
    system.signal(GUARDIAN, signal.SIGKILL).close()
    poll_until(lambda: system.pid(GUARDIAN) != old)


def test_another_one_on_the_same_directory_is_refused(system):
    """And says whose it is; the first one goes on."""
    run = subprocess.run(
        [sys.executable, "-m", "qscan_cli", "up", "--data", system.data, "--http", "127.0.0.1:0"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert run.returncode == os.EX_TEMPFAIL
    assert f"in use by another qscan up (pid {system.pid(UP)})" in run.stderr
    assert system.is_ready("unpacker")


def test_two_run_side_by_side_and_end_in_order(system, make_system):
    """Each on its own directory with its own ports; ending one leaves nothing of it and all of the other."""
    other = make_system()
    other.start()
    assert other.url != system.url
    groups = groups_of(of_data(other.data))
    assert len(groups) == len(PARTS)
    assert other.stop() == 0
    assert list(members(groups)) == []
    assert of_data(other.data) == {}
    assert not other.socket.exists()
    assert not (other.data / "run" / "services.json").exists()
    assert "was killed" not in other.told
    assert system.is_ready("ingress")


def test_a_second_run_keeps_token_and_passwords(make_system):
    """What programs have been told stays true."""
    system = make_system()

    def secrets() -> dict[str, str]:
        return {file.name: file.read_text() for file in [system.data / "token", *(system.data / "secrets").iterdir()]}

    system.start()
    before = secrets()
    assert system.stop() == 0
    system.start()
    assert secrets() == before
    system.kill()


@pytest.mark.timeout(240)
def test_nothing_outlives_it_when_it_is_killed_at_any_moment(make_system):
    """Children, their children and the guardian; the next start finds a free directory at once."""
    system = make_system()
    source = random.Random(4)
    # From the first moments, in which it has no children, to the time when all is ready.
    for moment_s in [0.1, *(source.uniform(0.2, LATEST_KILL_S) for _ in range(KILL_MOMENTS)), 2 * LATEST_KILL_S]:
        system.start_without_waiting()
        time.sleep(moment_s)  # nothing is waited for: any moment will do
        groups = groups_of(of_data(system.data))
        system.kill()
        poll_until(lambda: not of_data(system.data), 15)
        poll_until(lambda: not list(members(groups)), 15)  # noqa: B023  # called in this round only
    system.start()
    assert "had left behind" not in system.told
    assert system.stop() == 0


@pytest.mark.timeout(120)
def test_a_kill_together_with_the_guardian_is_repaired_by_the_next_start(make_system):
    """Nobody is left to clear up; the mark in their environment tells the next one what to kill."""
    system = make_system()
    system.start()
    groups = groups_of(of_data(system.data))
    with system.signal(UP, signal.SIGSTOP):  # it would replace the guardian
        system.signal(GUARDIAN, signal.SIGKILL).close()
        system.signal(UP, signal.SIGKILL).close()
    assert system.stop() == -signal.SIGKILL
    left = set(members(groups))
    system.start()
    assert not left & set(members(groups))
    assert ("had left behind" in system.told) == bool(left)
    assert system.stop() == 0
