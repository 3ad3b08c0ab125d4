"""`qscan selftest`, `scan`, `doctor` and `demo` against the whole system on real parts."""

import json
import os
import re
import signal
import subprocess
import sys
import threading

import pytest

from qscan_cli.selftest.messages import EICAR
from qscan_testkit.running_system import RunningSystem


@pytest.fixture(scope="module")
def system(make_system) -> RunningSystem:
    """One that runs."""
    system: RunningSystem = make_system()
    system.start()
    return system


def qscan(system: RunningSystem | None, *arguments: object, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run the command as somebody at a terminal would, with qscan-queue on PATH."""
    path = os.environ["PATH"] if system is None else f"{system.queue.parent}:{os.environ['PATH']}"
    return subprocess.run(
        [sys.executable, "-m", "qscan_cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
        env={"PATH": path, "HOME": "/nonexistent", "COLUMNS": "160", **environ},
    )


def rows(output: str) -> dict[str, list[str]]:
    """The table's cells by message; cells are two blanks apart."""
    lines = [re.split(r"\s{2,}", line.strip()) for line in output.splitlines() if re.match(r"(ok|FAILED) ", line)]
    return {cells[1]: cells for cells in lines}


def test_the_four_messages_end_where_they_must(system):
    """Through qscan-queue, to the program that QSCAN_QMAIL_QUEUE names; the recorder is the testkit's, in C."""
    run = qscan(
        system,
        *("selftest", "--data", system.data, "--recorder", system.recorder.directory),
        **system.recorder.environment,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    table = rows(run.stdout)
    assert {key: (cells[0], cells[2], cells[3], cells[-1]) for key, cells in table.items()} == {
        "clean": ("ok", "clean", "deliver", "delivered, byte for byte"),
        "Eicar.com": ("ok", "policy", "quarantine", "quarantine/policy"),
        "sneaky.txt": ("ok", "virus", "quarantine", "quarantine/viruses"),
        "GTUBE": ("ok", "spam", "deliver", "delivered, with edits"),
    }
    assert "EICAR" in table["sneaky.txt"][4].upper()
    assert "in the raw message and in component 2 (sneaky.txt)" in run.stdout
    # The zeros of Eicar.com are base64 to whoever looks for it, so there is one component more.
    assert "clamd says clean of all 4 components" in run.stdout
    assert "ClamAV 1." in run.stdout
    assert "NO REAL VIRUS" in run.stdout or "the site's signatures" in run.stdout


def test_what_it_says_is_so(system):
    """Looked at once more, by other eyes than its own: the recorder, the maildirs."""
    before = system.recorder.count()
    assert qscan(system, "selftest", "--data", system.data, **system.recorder.environment).returncode == 0
    clean, gtube = system.recorder.messages()[before:]
    assert clean.rcpt_to == gtube.rcpt_to
    assert b"coffee machine" in clean.message
    assert b"X-Spam-Status" not in clean.message
    assert gtube.message.startswith(b"X-Spam-Status: Yes")
    assert re.search(rb"(?m)^Subject: \S+ An offer$", gtube.message)
    viruses = list((system.data / "quarantine" / "viruses" / "new").iterdir())
    assert viruses
    assert all(b"sneaky.txt" in file.read_bytes() for file in viruses)
    assert not any(EICAR in message.message for message in system.recorder.messages())


def test_it_brings_a_recorder_of_its_own(system, tmp_path):
    """For those who have no qmail-queue at hand."""
    run = qscan(system, "selftest", "--data", system.data, "--recorder", tmp_path / "new folder")
    assert run.returncode == 0, run.stdout + run.stderr
    assert len([entry for entry in (tmp_path / "new folder").iterdir() if entry.is_dir()]) == 2


def test_without_a_qmail_queue_it_says_so(system):
    """What is to be delivered cannot be; what is quarantined is all the same."""
    run = qscan(system, "selftest", "--data", system.data, QSCAN_QMAIL_QUEUE="/nowhere/qmail-queue")
    assert run.returncode == 1
    table = rows(run.stdout)
    assert [table[key][0] for key in ("clean", "Eicar.com", "sneaky.txt", "GTUBE")] == ["FAILED", "ok", "ok", "FAILED"]
    assert "set QSCAN_QMAIL_QUEUE" in run.stdout


def test_with_nobody_there_it_says_so(system, tmp_path):
    """The socket and the API of nobody."""
    run = qscan(system, "selftest", "--data", tmp_path, "--socket", tmp_path / "sock", "--url", "http://127.0.0.1:1")
    assert run.returncode != 0
    assert "is qscan running there" in run.stderr


def test_scan_has_no_effects(system, tmp_path):
    """Verdict and exit status, and nothing in the quarantine or at the recorder."""
    file = tmp_path / "virus.eml"
    file.write_bytes(b"From: a@example.org\nSubject: a file\n\n" + EICAR + b"\n")
    before = sorted((system.data / "quarantine").rglob("*")), system.recorder.count()
    run = qscan(system, "scan", file, "--json", "--url", system.url, "--rcpt-to", "b@example.net")
    assert run.returncode == 1
    answer = json.loads(run.stdout)
    assert (answer["verdict"], answer["disposition"]) == ("virus", "quarantine")
    people = qscan(system, "scan", file, "--url", system.url)
    assert people.returncode == 1
    assert "quarantine" in people.stdout
    assert (sorted((system.data / "quarantine").rglob("*")), system.recorder.count()) == before


def test_doctor_finds_every_part(system):
    """What is installed, what answers, and the one problem of a machine without signatures."""
    run = qscan(system, "doctor", "--data", system.data, "--config", system.configuration)
    for part in ("nats-server", "clamd", "spamd", "av-gateway", "policy", "unpacker", "ingress", "archiver"):
        assert re.search(rf"(?m)^ok +{part} ", run.stdout), run.stdout
    problems = re.findall(r"(?m)^PROBLEM +(\S+)", run.stdout)
    has_signatures = "signatures" not in problems
    assert problems == ([] if has_signatures else ["signatures"])
    assert run.returncode == (0 if has_signatures else 1)


def test_doctor_names_the_part_that_does_not_answer(system):
    """With its log."""
    with system.signal("policy", signal.SIGSTOP):
        run = qscan(system, "doctor", "--data", system.data)
    assert run.returncode == 1
    assert re.search(r"(?m)^PROBLEM +policy .*/readyz gives no answer", run.stdout), run.stdout
    assert "policy.log" in run.stdout


@pytest.mark.timeout(120)
def test_a_missing_spam_filter_is_told(make_system):
    """Mail passes without it, so selftest must not."""
    system = make_system({"up": {"spamd": "/nowhere/spamd"}})
    system.start()
    assert "without a look for spam" in system.told
    run = qscan(system, "selftest", "--data", system.data, **system.recorder.environment)
    assert run.returncode == 1
    assert rows(run.stdout)["GTUBE"][0] == "FAILED"
    assert "the spam filter gave no score" in run.stdout
    assert rows(run.stdout)["clean"][0] == "ok"
    system.kill()


def test_the_demo_shows_everything_and_leaves_nothing(queue_program, tmp_path):
    """`make demo`: a table, where to read on, exit status 0, an empty folder."""
    run = subprocess.run(
        [sys.executable, "-m", "qscan_cli", "demo"],
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
        env={"PATH": f"{queue_program.parent}:{os.environ['PATH']}", "TMPDIR": str(tmp_path), "COLUMNS": "140"},
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert [cells[0] for cells in rows(run.stdout).values()] == ["ok"] * 4
    assert "README.md" in run.stdout
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_demo_leaves_nothing(queue_program, tmp_path):
    """Ctrl-C while it starts, and again as a person would: Python may swallow one where it cannot raise anything."""
    process = subprocess.Popen(
        [sys.executable, "-m", "qscan_cli", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={"PATH": f"{queue_program.parent}:{os.environ['PATH']}", "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    while b"Starting" not in process.stdout.readline():
        pass
    process.send_signal(signal.SIGINT)
    again = threading.Timer(4, process.send_signal, [signal.SIGINT])
    again.start()
    process.stdout.read()
    process.stdout.close()
    assert process.wait(40) == 130
    again.cancel()
    assert list(tmp_path.iterdir()) == []
