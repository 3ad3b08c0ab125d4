"""What can be done in the sandbox: the work of openers, and nothing else. In real children."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyseccomp
import pytest

from qscan_contracts.vocabulary import UnscannedReason
from qscan_kit.errors import SettingsError
from qscan_unpacker.dissection.holding import FileContent, MemoryContent
from qscan_unpacker.opening.members import OpenRequest
from qscan_unpacker.sandbox import system_calls
from qscan_unpacker.sandbox.confinement import CHANNEL
from qscan_unpacker.sandbox.sandbox import Sandbox
from qscan_unpacker.sandbox.wire import Done, Unopened
from services.unpacker.tests.sandbox_doubles import DEATHS, REFUSALS

ROOT = Path(__file__).parents[3]
MEMORY_BYTES = 400_000_000
CPU_S = 10
PR_SET_SECCOMP = 22


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A sandbox with doubles for openers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("QSCAN_NATS_PASSWORD", "for the service only")
        with doubles() as started:
            yield started


def doubles(
    *, require_seccomp: bool = True, openers: str = "services.unpacker.tests.sandbox_doubles:OPENERS"
) -> Sandbox:
    """A sandbox that is not started."""
    return Sandbox(
        memory_bytes=MEMORY_BYTES,
        max_children=8,
        opening_timeout_s=20,
        require_seccomp=require_seccomp,
        openers=openers,
    )


def asking(kind: str, *names: str) -> OpenRequest:
    """A request for a double."""
    return OpenRequest(kind, (), 1_000, 10_000_000, 100_000_000, names)


def told(sandbox: Sandbox, kind: str, *names: str) -> list[tuple[str, ...]]:
    """What a double has to tell; it must come to its end."""
    with sandbox.session() as session:
        *facts, done = session.open(MemoryContent(b"content"), asking(kind, *names), CPU_S)
    assert done == Done()
    return [fact.names for fact in facts if isinstance(fact, Unopened)]


def test_ordinary_work_is_possible(sandbox: Sandbox) -> None:
    """Decompressing, hashing, text, codecs, large memory, time and chance; modules must have been loaded before."""
    digest = hashlib.sha256(b"ordinary " * 100_000).hexdigest()
    facts = told(sandbox, "ordinary_work", digest)
    assert len(facts) == 13
    assert [fact for fact in facts if fact[1] != "True"] == []


def test_what_libraries_try_is_refused_and_they_go_on(sandbox: Sandbox) -> None:
    """Files, processes, threads, code, shared memory, higher limits, the container itself."""
    facts = {fact[0]: fact[1] for fact in told(sandbox, "refusals")}
    assert facts.pop("write to descriptors") == "0"
    assert facts.keys() == REFUSALS.keys()
    threads = {"thread": "RuntimeError"}
    values = {"raise limits": "ValueError"}
    for name, raised in facts.items():
        assert raised == (threads | values).get(name, "PermissionError"), name


@pytest.mark.parametrize("what", DEATHS)
def test_what_no_opener_does_kills_the_child(sandbox: Sandbox, what: str) -> None:
    """Programs, sockets, signals, descriptors, files by name, and ways around the filter."""
    with sandbox.session() as session:
        before, done = session.open(MemoryContent(b"content"), asking("death", what), CPU_S)
    assert isinstance(before, Unopened)
    assert isinstance(done, Done)
    assert (done.reason, done.detail) == (UnscannedReason.UNPACKER_FAILED, "unpacker tried a forbidden system call")


def test_a_child_is_confined_before_the_first_byte(sandbox: Sandbox) -> None:
    """Limits, filter, privileges and descriptors, as the kernel tells them from outside."""
    with sandbox.session() as session:
        replies = session.open(MemoryContent(b"content"), asking("hang"), CPU_S)
        fact = next(replies)
        assert isinstance(fact, Unopened)
        process = Path("/proc") / fact.names[0]
        status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)
        assert (status["Seccomp"], status["NoNewPrivs"], status["Threads"]) == ("2", "1", "1")
        limits = {line[:26].strip(): line[26:].split()[:2] for line in (process / "limits").read_text().splitlines()}
        assert limits["Max data size"] == [str(MEMORY_BYTES)] * 2
        assert limits["Max cpu time"] == [str(CPU_S), str(CPU_S + 1)]
        for nothing in ("Max file size", "Max processes", "Max core file size", "Max locked memory"):
            assert limits[nothing] == ["0", "0"], nothing
        assert int(limits["Max open files"][0]) < 20
        assert (process / "oom_score_adj").read_text().strip() == "1000"
        descriptors = {int(each.name): os.readlink(each) for each in (process / "fd").iterdir()}  # noqa: PTH115  # no file
        assert {descriptors.pop(standard) for standard in range(3)} == {os.devnull}
        assert descriptors.pop(CHANNEL).startswith("socket:")
        # The container, as the map of it holds it, and what a library has opened when it was loaded.
        assert {target.split()[0] for target in descriptors.values()} == {"/memfd:qscan-container", "/dev/urandom"}


def test_the_services_secrets_are_not_in_the_sandbox(sandbox: Sandbox) -> None:
    """Neither in the environment nor in modules that hold connections and settings."""
    names, modules = told(sandbox, "secrets")
    assert set(names) <= {"PATH", "PYTHONPATH", "LC_ALL", "TZ", "LC_CTYPE"}
    assert modules == ()


def test_a_file_of_the_spool_is_read_and_not_written(sandbox: Sandbox, tmp_path: Path) -> None:
    """A part of it that begins anywhere; its descriptor is of no use for writing."""
    spool = tmp_path / "spool"
    content = bytes(range(251)) * 20_000
    spool.write_bytes(b"before " + content + b" behind")
    with spool.open("r+b") as file:
        part = FileContent(file.fileno(), 7, len(content))
        with sandbox.session() as session:
            pieces = [bytes(getattr(reply, "data", b"")) for reply in session.open(part, asking("echo"), CPU_S)]
            assert b"".join(pieces) == content
            replies = session.open(part, asking("refusals"), CPU_S)
            facts = {reply.names[0]: reply.names[1] for reply in replies if isinstance(reply, Unopened)}
    assert facts["write to descriptors"] == "0"
    assert facts["write to the container"] == "PermissionError"
    assert spool.read_bytes() == b"before " + content + b" behind"


@pytest.mark.parametrize("architecture", [pyseccomp.Arch.X86_64, pyseccomp.Arch.AARCH64])
def test_the_filter_is_complete_on_each_architecture(architecture: int, tmp_path: Path) -> None:
    """All names are known to libseccomp; what is not in the list is not in the filter."""
    rules = system_calls.allow_list(architecture)
    listing = tmp_path / "listing"
    with listing.open("wb") as file:
        rules.export_pfc(file)  # type: ignore[attr-defined]
    text = listing.read_text()
    for name in ("recvmsg", "mmap", "madvise", "futex", "exit_group", "openat", "clone3"):
        assert f'"{name}"' in text, name
    assert "execve" not in text


NO_SECCOMP = f"""
import errno, sys, pyseccomp
rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
rules.add_rule(pyseccomp.ERRNO(errno.EPERM), "seccomp")
rules.add_rule(pyseccomp.ERRNO(errno.EINVAL), "prctl", pyseccomp.Arg(0, pyseccomp.EQ, {PR_SET_SECCOMP}))
rules.load()
import asyncio
from qscan_kit.errors import SettingsError
from services.unpacker.tests.test_sandbox_confinement import doubles, told
try:
    with doubles(require_seccomp=sys.argv[1] == "required") as sandbox:
        print(told(sandbox, "who") != [], asyncio.run(sandbox.health()))
except SettingsError as error:
    print("refused", error)
"""


def without_seccomp(setting: str, **environment: str) -> str:
    """What a service says that was started where seccomp is forbidden."""
    ended = subprocess.run(
        [sys.executable, "-c", NO_SECCOMP, setting],
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_without_seccomp_the_service_does_not_start() -> None:
    """The text says why, what to do, and how to do without."""
    text = without_seccomp("required")
    assert text.startswith("refused")
    assert "forbids" in text
    assert "profile" in text
    assert "require_seccomp = false" in text


def test_a_site_may_do_without_seccomp() -> None:
    """Containers are opened all the same, and readiness says how it is."""
    text = without_seccomp("not required")
    assert "True Health(ok=True, detail='seccomp OFF" in text
    assert "forbids" in text


def test_without_libseccomp_the_text_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As pyseccomp finds it where it is not installed."""
    (tmp_path / "pyseccomp.py").write_text("raise RuntimeError('Unable to find libseccomp')\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    with pytest.raises(SettingsError, match="libseccomp2"), doubles():
        pytest.fail("it started")
