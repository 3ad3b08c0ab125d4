"""Which descriptor qscan-queue takes for the error descriptor, and what it writes there."""

import os
from pathlib import Path

import pytest

from qscan_contracts.vocabulary import Disposition
from qscan_testkit.fake_unpacker import answer
from qscan_testkit.ingress_process import Ingressd
from qscan_testkit.qmail_callers import envelope
from qscan_testkit.spawning import spawn

TEXT = b"Dthis is a virus (#5.7.1)"


@pytest.fixture
def rejecting(ingressd: Ingressd) -> Ingressd:
    """One whose unpacker rejects everything."""
    ingressd.unpacker.script = lambda call: answer(call, Disposition.REJECT)
    return ingressd


class Pipes:
    """Pipes at numbers of the test's choice; what came out of each."""

    def __init__(self, ingressd: Ingressd, tmp_path: Path, program: Path | None = None) -> None:
        self.ingressd = ingressd
        self.program = program or ingressd.queue
        self.log = tmp_path / "log"
        (tmp_path / "message").write_bytes(b"Subject: x\n\n")
        (tmp_path / "envelope").write_bytes(envelope(b"a@x", [b"b@x"]))
        self.files = [os.open(tmp_path / name, os.O_RDONLY | os.O_CLOEXEC) for name in ("message", "envelope")]

    def run(self, wanted: dict[int, str], **environ: str) -> tuple[int, dict[int, bytes]]:
        """Run qscan-queue with descriptors of these kinds; its exit code and what was written to each."""
        ends: dict[int, int] = {}
        readers: dict[int, int] = {}
        opened: list[int] = []
        for number, kind in wanted.items():
            reader, writer = os.pipe2(os.O_CLOEXEC)
            opened += [reader, writer]
            if kind == "read side":
                ends[number] = reader
            elif kind == "file":
                ends[number] = self.files[0]
            elif kind == "written file":
                opened.append(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC))
                ends[number] = opened[-1]
            elif kind == "read and write":
                both = os.open(f"/proc/self/fd/{writer}", os.O_RDWR | os.O_CLOEXEC)
                opened.append(both)
                ends[number] = both
            else:
                ends[number] = writer
            if kind == "nobody reads":
                os.close(reader)
                opened.remove(reader)
            else:
                os.set_blocking(reader, False)
                readers[number] = reader
            if kind == "full":
                os.set_blocking(writer, False)
                _fill(writer)
                os.set_blocking(writer, True)
        for file in self.files:
            os.lseek(file, 0, os.SEEK_SET)
        pid = spawn(
            [self.program],
            environ={**self.ingressd.environ, **environ},
            descriptors={0: self.files[0], 1: self.files[1], **ends},
            directory=Path("/"),
        )
        _, status = os.waitpid(pid, 0)
        written = {number: _drain(reader) for number, reader in readers.items()}
        for descriptor in opened:
            os.close(descriptor)
        return os.waitstatus_to_exitcode(status), {number: text for number, text in written.items() if text}


def _fill(writer: int) -> None:
    while True:
        try:
            os.write(writer, b"x" * 4096)
        except BlockingIOError:
            return


def _drain(reader: int) -> bytes:
    try:
        return os.read(reader, 100_000)
    except BlockingIOError:
        return b""


@pytest.fixture
def pipes(rejecting: Ingressd, tmp_path: Path) -> Pipes:
    """For a qscan-queue whose message is rejected."""
    return Pipes(rejecting, tmp_path)


@pytest.mark.parametrize(
    ("wanted", "environ", "used"),
    [
        ({4: "pipe"}, {}, 4),
        ({6: "pipe"}, {}, 6),
        ({4: "pipe", 6: "pipe"}, {}, 6),
        ({4: "pipe", 6: "pipe"}, {"ERROR_FD": "4"}, 4),
        ({9: "pipe", 6: "pipe"}, {"ERROR_FD": "9"}, 9),
        ({2: "pipe"}, {"ERROR_FD": "2"}, 2),
        ({6: "pipe"}, {"ERROR_FD": "9"}, 6),
        ({4: "pipe"}, {"ERROR_FD": "x"}, 4),
        ({4: "pipe"}, {"ERROR_FD": ""}, 4),
        ({4: "pipe"}, {"ERROR_FD": "99999999999999999999"}, 4),
        ({4: "pipe"}, {"ERROR_FD": "-1"}, 4),
        ({6: "file", 4: "pipe"}, {}, 4),
        ({6: "written file", 4: "pipe"}, {}, 4),
        ({6: "read side", 4: "pipe"}, {}, 4),
        ({6: "read and write", 4: "pipe"}, {}, 4),
    ],
)
def test_the_first_that_is_a_pipe_for_writing(
    pipes: Pipes, wanted: dict[int, str], environ: dict[str, str], used: int
) -> None:
    """$ERROR_FD, 6, 4, in this order; anything that is no FIFO open for writing only is passed over."""
    assert pipes.run(wanted, **environ) == (82, {used: TEXT})


@pytest.mark.parametrize(
    ("wanted", "environ"),
    [
        ({}, {}),
        ({6: "file"}, {}),
        ({6: "written file"}, {}),
        ({6: "read side", 4: "read side"}, {}),
        ({6: "read and write"}, {}),
        ({5: "pipe", 7: "pipe"}, {}),
        ({2: "pipe"}, {}),
        ({6: "nobody reads"}, {}),
    ],
)
def test_without_one_the_exit_code_says_it(pipes: Pipes, wanted: dict[int, str], environ: dict[str, str]) -> None:
    """31, and nothing is written anywhere; nor where the reader is gone (no SIGPIPE either)."""
    assert pipes.run(wanted, **environ) == (31, {})


def test_a_gone_reader_kills_nobody(rejecting: Ingressd, tmp_path: Path) -> None:
    """Not even where the caller has left SIGPIPE at its default: no crash, but the exit code."""
    program = tmp_path / "queue"
    restore = "import os,signal;signal.signal(signal.SIGPIPE,signal.SIG_DFL)"
    program.write_text(f"#!/usr/bin/python3\n{restore}\nos.execv('{rejecting.queue}',['q'])\n")
    program.chmod(0o755)
    assert Pipes(rejecting, tmp_path, program).run({6: "nobody reads"}) == (31, {})


def test_a_full_pipe_hangs_nobody(pipes: Pipes) -> None:
    """If nobody empties it within five seconds the code has to do."""
    code, _ = pipes.run({6: "full"})
    assert code == 31


def test_success_writes_nothing(ingressd: Ingressd, tmp_path: Path) -> None:
    """A quarantined message is success: no text, no 82."""
    ingressd.unpacker.script = lambda call: answer(call, Disposition.QUARANTINE)
    assert Pipes(ingressd, tmp_path).run({6: "pipe"}) == (0, {})


def test_the_text_is_cut_and_printable(ingressd: Ingressd, tmp_path: Path) -> None:
    """At most 255 bytes of printable ASCII that end in the code."""
    text = "x" * 400 + "\r\n\x00é (#5.7.1)"
    ingressd.unpacker.script = lambda call: answer(call, Disposition.REJECT, smtp={"code": 554, "text": text})
    code, written = Pipes(ingressd, tmp_path).run({6: "pipe"})
    assert code == 82
    assert len(written[6]) == 255
    assert written[6].endswith(b"x (#5.7.1)")


def test_the_real_qmail_queue_does_not_inherit_it(ingressd: Ingressd, tmp_path: Path) -> None:
    """Who inherits it hangs the caller for as long as it lives."""
    assert Pipes(ingressd, tmp_path).run({6: "pipe", 4: "pipe", 9: "file"}) == (0, {})
    assert ingressd.recorder.messages()[0].facts["fds"] == "0 1 2"
