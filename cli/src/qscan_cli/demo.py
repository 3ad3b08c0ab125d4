"""`qscan demo`: the whole system on a directory of its own, four test messages, and nothing left behind."""

import argparse
import os
import select
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qscan_cli.errors import CommandError
from qscan_cli.places import DataDirectory
from qscan_cli.running import RunningSystem
from qscan_cli.selftest.command import queue_program, said_by, try_all
from qscan_cli.selftest.recorder import Recorder, write_program
from qscan_cli.selftest.trial import Trial, show
from qscan_cli.up.guard import die_with_parent

READY_TIMEOUT_S = 120.0
"""With a site's full signatures clamd alone takes half a minute."""
_STOP_TIMEOUT_S = 60.0
_LAST_LINES = 15
_WIDTH = 110
_MAIL_FROM, _RCPT_TO = "sender@example.org", "recipient@example.net"

_CONFIGURATION = """\
[up]
# The demonstration must show the same everywhere, with and without a network.
spamd_network_tests = false
"""

_HINT = """\
What you saw: each message went the way that qmail-smtpd sends it, qscan-queue → ingress → unpacker → policy, clamd,
spamd over NATS, and was delivered to a program in qmail-queue's place or put into the quarantine.

Where to read on:
  README.md             what qscan is, and how it fits into tcpserver's rules (QMAILQUEUE)
  qscan up              the same system to stay, on a data directory of your own
  qscan scan FILE       what it says about a message of yours
  qscan config show     everything that can be set
  qscan doctor          what is missing on this machine, and what to do about it"""


def run(_: argparse.Namespace) -> int:
    """Show everything once; 0 only if all is as it must be.

    Raises:
        CommandError: the system did not start.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    began = time.monotonic()
    queue = queue_program()
    with tempfile.TemporaryDirectory(prefix="qscan-demo-") as name:
        folder = Path(name)
        print(f"qscan demo: everything runs on {folder} and nowhere else\n")
        print("Starting NATS, clamd, spamd and the services of qscan …", flush=True)
        recorded = folder / "delivered"
        recorded.mkdir()
        with _system(folder) as system:
            print(f"  ready after {time.monotonic() - began:.1f} s")
            print(f"{_indented(f'clamd uses {system.signatures}')}\n")
            print("Sending four messages through qscan-queue, as qmail-smtpd would …\n", flush=True)
            recorder = Recorder(recorded)
            trial = Trial(
                queue_program=queue,
                environ={
                    "PATH": os.environ.get("PATH", ""),
                    "QSCAN_INGRESS_SOCKET": system.ingress_socket,
                    **recorder.environment(write_program(recorded)),
                },
                url=system.http,
                mail_from=_MAIL_FROM,
                rcpt_to=_RCPT_TO,
                recorder=recorder,
                data=Path(system.data),
            )
            outcomes = try_all(trial)
            text, is_well = show(outcomes, "the recorder")
            print(text)
            print(f"\n{said_by(outcomes, None)}")
            print("\nStopping everything …", flush=True)
    print(f"  done after {time.monotonic() - began:.1f} s; nothing is left behind\n")
    print(f"{_HINT}\n\n{'All as it must be.' if is_well else 'NOT as it must be: see the lines below the table.'}")
    return 0 if is_well else 1


def _leave(number: int, _: object) -> None:
    """End as Ctrl-C does, by way of everything that clears up."""
    sys.exit(128 + number)


def _indented(text: str) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent="  ", subsequent_indent="  ")


@contextmanager
def _system(folder: Path) -> Iterator[RunningSystem]:
    """A `qscan up` below `folder`, ready; stopped in order on leaving."""
    data = DataDirectory.at(folder / "data")
    configuration = folder / "qscan.toml"
    configuration.write_text(_CONFIGURATION, encoding="utf-8")
    # The accounts of clamd and spamd must reach their own folders below it.
    folder.chmod(0o711)
    parent = os.getpid()
    with (folder / "up.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "qscan_cli", "up"),
                *("--data", str(data.root), "--config", str(configuration), "--http", "127.0.0.1:0"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            # Ctrl-C is for us alone; we stop it in order.
            process_group=0,
            # There are no threads here.
            preexec_fn=lambda: die_with_parent(parent, signal.SIGTERM),  # noqa: PLW1509
        )
    try:
        _await_ready(process, folder / "up.log")
        system = RunningSystem.read(data.services_file)
        if system is None:
            message = f"qscan up is ready, but {data.services_file} does not say so"
            raise CommandError(message, os.EX_SOFTWARE)
        yield system
    finally:
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _await_ready(process: "subprocess.Popen[bytes]", log: Path) -> None:
    if process.stdout is None:
        message = "standard output of qscan up must be a pipe"
        raise TypeError(message)
    until = time.monotonic() + READY_TIMEOUT_S
    readable, _, _ = select.select([process.stdout], [], [], max(0.0, until - time.monotonic()))
    line = process.stdout.readline() if readable else b""
    if not line.startswith(b"ready "):
        what = "has ended" if readable else f"is not ready after {READY_TIMEOUT_S:g} s"
        last = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:])
        message = f"qscan up {what}; it said:\n{last}"
        raise CommandError(message, os.EX_UNAVAILABLE)
