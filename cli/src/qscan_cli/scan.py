"""`qscan scan`: what a running qscan says about messages in files."""

import argparse
import os
import sys
from contextlib import ExitStack
from enum import IntEnum
from pathlib import Path

from qscan_cli.explain import as_json
from qscan_cli.intake_client import IntakeClient, NotAskedError, find_url
from qscan_cli.scan_report import explanation, report
from qscan_cli.terminal import for_encoding, has_colours
from qscan_contracts.intake import ScanAnswer
from qscan_contracts.vocabulary import Disposition

_STANDARD_INPUT = "-"


class Status(IntEnum):
    """The exit status (DESIGN §5); of several files the highest counts."""

    DELIVER = 0
    NOT_DELIVERED = 1
    DEFER = 2
    NOT_ASKED = 3


def run(arguments: argparse.Namespace) -> int:
    """Ask about each file and print the answers."""
    status = Status.DELIVER
    with IntakeClient(find_url(arguments.url)) as client:
        for number, file in enumerate(arguments.files):
            if number and not arguments.json:
                print()
            status = max(status, _scan(client, file, arguments))
    return status


def _scan(client: IntakeClient, file: str, arguments: argparse.Namespace) -> Status:
    with ExitStack() as stack:
        try:
            # Standard input has no length, and whoever types a message there may take longer than a time-out.
            message = sys.stdin.buffer.read() if file == _STANDARD_INPUT else stack.enter_context(Path(file).open("rb"))
            answer, body = client.ask(message, mail_from=arguments.mail_from, rcpt_to=arguments.rcpt_to or [])
        except (OSError, NotAskedError) as error:
            text = f"cannot read {file}: {error.strerror}" if isinstance(error, OSError) else str(error)
            print(f"qscan: {text}", file=sys.stderr)
            if arguments.json and isinstance(error, NotAskedError) and error.body:
                _print_line(error.body)
            return Status.NOT_ASKED
    if arguments.json:
        _print_line(as_json(answer) if arguments.explain else body)
    else:
        colours = has_colours(sys.stdout)
        text = explanation(file, answer, colours=colours) if arguments.explain else report(file, answer)
        print(for_encoding(text, sys.stdout.encoding))
    return status_of(answer)


def status_of(answer: ScanAnswer) -> Status:
    """The exit status for one answer."""
    match answer.disposition:
        case Disposition.DELIVER:
            return Status.DELIVER
        case Disposition.DEFER:
            return Status.DEFER
        case _:
            return Status.NOT_DELIVERED


def _print_line(body: bytes) -> None:
    """Bytes as they are: the answer is JSON in UTF-8 whatever the locale."""
    sys.stdout.flush()
    sys.stdout.buffer.write(body.replace(b"\n", b" ") + os.linesep.encode())
    sys.stdout.buffer.flush()
