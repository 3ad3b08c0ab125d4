"""Running a queue program, and the recorder in qmail-queue's place."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from qscan_cli.errors import CommandError
from qscan_cli.selftest import recording
from qscan_cli.selftest.queue_caller import hand_over
from qscan_cli.selftest.recorder import Recorder, write_program

ENVELOPE = b"Fa@example.org\0Tb@example.net\0\0"


def script(folder: Path, text: str) -> Path:
    """A queue program in shell."""
    program = folder / "queue"
    program.write_text(f"#!/bin/bash\n{text}\n", encoding="utf-8")
    program.chmod(0o755)
    return program


def call(program: Path, **environ: str):
    """Hand over a small message."""
    environ |= {"PATH": os.environ["PATH"]}
    return hand_over(program, b"x: y\n\nz\n", mail_from="a@example.org", rcpt_to=["b@example.net"], environ=environ)


def test_message_and_envelope_are_on_0_and_1(tmp_path):
    """As qmail's programs hand them over."""
    program = script(tmp_path, f'cat > "{tmp_path}/message"; cat <&1 > "{tmp_path}/envelope"')
    assert call(program).status == 0
    assert (tmp_path / "message").read_bytes() == b"x: y\n\nz\n"
    assert (tmp_path / "envelope").read_bytes() == ENVELOPE


def test_status_and_error_text_are_told(tmp_path):
    """The text comes on the descriptor that $ERROR_FD names."""
    answer = call(script(tmp_path, "echo -n 'Zlater (#4.3.0)' >&$ERROR_FD; exit 82"))
    assert (answer.status, answer.text) == (82, "Zlater (#4.3.0)")
    assert answer.elapsed_ms > 0


def test_a_program_that_is_not_there_is_told(tmp_path):
    """With its name."""
    with pytest.raises(CommandError, match=r"cannot run .*nowhere"):
        call(tmp_path / "nowhere")


def test_the_recorder_keeps_message_and_envelope(tmp_path):
    """It is found again by its Message-ID; the folder may have a blank in its name."""
    folder = tmp_path / "with blank"
    folder.mkdir()
    recorder = Recorder(folder)
    program = write_program(folder)
    environ = recorder.environment(program)
    assert call(program, **environ).status == 0
    assert recorder.find("x: y") == b"x: y\n\nz\n"
    assert recorder.find("something else") is None
    (kept,) = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    assert (kept / "envelope").read_bytes() == ENVELOPE


@pytest.mark.parametrize(
    ("envelope", "status"),
    [
        (b"", 54),
        (b"Fa\0Tb\0", 54),
        (b"Fa\0Tb", 54),
        (b"Xa\0Tb\0\0", 91),
        (b"Fa\0Xb\0\0", 91),
        (b"F\0\0", 0),
        (b"Fa\0Tb\0Tc\0\0", 0),
    ],
)
def test_the_recorder_judges_envelopes_as_qmail_queue_does(tmp_path, envelope, status):
    """And keeps nothing of what it refuses."""
    (tmp_path / "envelope").write_bytes(envelope)
    with (tmp_path / "envelope").open("rb") as on_1:
        run = subprocess.run(
            [sys.executable, "-I", "-S", recording.__file__],
            stdin=subprocess.DEVNULL,
            stdout=on_1,
            env={"QSCAN_RECORDER_DIR": str(tmp_path)},
            check=False,
        )
    assert run.returncode == status
    assert len([entry for entry in tmp_path.iterdir() if entry.is_dir()]) == (0 if status else 1)


def test_the_recorder_without_a_folder_fails_as_qmail_queue_without_a_home(tmp_path):
    """61; a relative one would depend on where it runs."""
    for folder in ("", "relative", str(tmp_path / "nowhere")):
        run = subprocess.run(
            [sys.executable, "-I", "-S", recording.__file__], env={"QSCAN_RECORDER_DIR": folder}, check=False
        )
        assert run.returncode == 61
