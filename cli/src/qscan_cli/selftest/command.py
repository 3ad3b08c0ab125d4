"""`qscan selftest`: against a qscan that runs."""

import argparse
import os
import socket
from pathlib import Path

from qscan_cli.errors import CommandError
from qscan_cli.intake_client import NotAskedError, find_url
from qscan_cli.places import DataDirectory, default_data_directory, find_program
from qscan_cli.running import RunningSystem
from qscan_cli.selftest.expectations import Outcome, signatures
from qscan_cli.selftest.recorder import Recorder, write_program
from qscan_cli.selftest.trial import Trial, show

_DEFAULT_SOCKET = "/run/qscan/ingress.sock"
_WOULD_SKIP_THE_FILTER = frozenset({"RELAYCLIENT", "QS_SPAMASSASSIN"})
_DEFAULT_QMAIL_QUEUE = "/var/qmail/bin/qmail-queue"


def run(arguments: argparse.Namespace) -> int:
    """Send the four messages and show what became of them; 0 only if all is as it must be.

    Raises:
        CommandError: they cannot be sent.
    """
    data = DataDirectory((arguments.data or default_data_directory()).expanduser().resolve())
    system = RunningSystem.read(data.services_file)
    url = find_url(arguments.url, data.root)
    named_socket = arguments.socket or os.environ.get("QSCAN_INGRESS_SOCKET")
    if system is not None and named_socket and str(named_socket) != system.ingress_socket:
        system = None  # another qscan is meant than the one on this data directory
    ingress = named_socket or (system.ingress_socket if system else _DEFAULT_SOCKET)
    environ = {name: value for name, value in os.environ.items() if name not in _WOULD_SKIP_THE_FILTER}
    environ["QSCAN_INGRESS_SOCKET"] = str(ingress)
    program = os.environ.get("QSCAN_QMAIL_QUEUE")
    recorder = None
    if arguments.recorder is not None:
        recorder = Recorder(_made(arguments.recorder))
        environ |= recorder.environment(Path(program) if program else write_program(recorder.folder))
    trial = Trial(
        queue_program=queue_program(),
        environ=environ,
        url=url,
        mail_from=arguments.mail_from,
        rcpt_to=arguments.rcpt_to or f"postmaster@{socket.getfqdn()}",
        recorder=recorder,
        data=data.root if system is not None else None,
    )
    print(f"Sending four messages through {trial.queue_program} to {ingress} …\n", flush=True)
    outcomes = try_all(trial)
    text, is_well = show(outcomes, environ.get("QSCAN_QMAIL_QUEUE", _DEFAULT_QMAIL_QUEUE))
    print(text)
    print(f"\n{said_by(outcomes, system)}\n{'All as it must be.' if is_well else 'NOT as it must be: see above.'}")
    return 0 if is_well else 1


def try_all(trial: Trial) -> list[Outcome]:
    """Run the trial. Raises CommandError when it cannot be run."""
    try:
        return list(trial.run())
    except NotAskedError as error:
        raise CommandError(str(error), os.EX_UNAVAILABLE) from error


def said_by(outcomes: list[Outcome], system: RunningSystem | None) -> str:
    """Which engines with which signatures looked at the messages."""
    engines = dict.fromkeys(engine for outcome in outcomes for engine in signatures(outcome.answer))
    text = f"Scanned by {'; '.join(engines) or 'nobody'}."
    return text if system is None else f"{text}\nclamd uses {system.signatures}."


def queue_program() -> Path:
    """qscan-queue, as `make setup` installs it beside the interpreter.

    Raises:
        CommandError: it is not there.
    """
    found = find_program("qscan-queue")
    if found is None:
        message = "there is no qscan-queue beside the interpreter or on PATH: run `make setup`, which compiles it"
        raise CommandError(message, os.EX_UNAVAILABLE)
    return found


def _made(folder: Path) -> Path:
    folder = folder.expanduser().resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"cannot make {folder} for the recorder: {error.strerror}"
        raise CommandError(message, os.EX_CANTCREAT) from error
    return folder
