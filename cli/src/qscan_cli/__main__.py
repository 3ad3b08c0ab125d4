"""The `qscan` command: arguments in, exit status out. What a command needs is imported when it is run."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from qscan_cli.errors import CommandError

_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    arguments = _parser().parse_args(argv)
    module, function = arguments.run
    try:
        status: int = getattr(import_module(f"qscan_cli.{module}"), function)(arguments)
        sys.stdout.flush()
    except CommandError as error:
        print(f"qscan: {error}" if "\n" not in str(error) else str(error), file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader (head, a closed pager) has seen enough; nothing may be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


class _Version(argparse.Action):
    """Looked up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print it and end."""
        try:
            print(f"qscan {version('qscan-cli')}")
        except PackageNotFoundError:
            print("qscan, from its source tree, not installed")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="qscan", description="Scans mail before the MTA accepts it.")
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_up(commands)
    _add_scan(commands)
    _add_selftest(commands)
    _add_demo(commands)
    _add_doctor(commands)
    _add_config(commands)
    return parser


_Commands = argparse._SubParsersAction  # noqa: SLF001  # argparse has no public name for it


def _add_up(commands: "_Commands[argparse.ArgumentParser]") -> None:
    up = commands.add_parser("up", help="run the whole system on this machine, until Ctrl-C")
    _add_data(up)
    _add_config_file(up)
    up.add_argument("--http", metavar="HOST:PORT", help="where the intake API listens; port 0: any free one")
    up.set_defaults(run=("up.command", "run"))


def _add_scan(commands: "_Commands[argparse.ArgumentParser]") -> None:
    scan = commands.add_parser(
        "scan",
        help="ask a running qscan about messages; nothing else happens",
        description="Ask a running qscan about messages, without effects. "
        "Exit status: 0 deliver, 1 not delivered, 2 defer, 3 could not ask; of several files the highest.",
    )
    scan.add_argument("files", nargs="+", metavar="FILE", help="a message as a file; - is standard input")
    scan.add_argument("--json", action="store_true", help="print the answers as they are, one line each")
    scan.add_argument(
        "--explain",
        action="store_true",
        help="draw the tree of what was found in the message, and why; with --json: `tree` (nodes with path, "
        "component or null, findings, children) instead of `findings` and `components`",
    )
    scan.add_argument("--mail-from", default="", metavar="A", help="envelope sender (default: the null sender)")
    scan.add_argument("--rcpt-to", action="append", metavar="B", help="envelope recipient; may be repeated")
    _add_url(scan)
    scan.set_defaults(run=("scan", "run"))


def _add_selftest(commands: "_Commands[argparse.ArgumentParser]") -> None:
    selftest = commands.add_parser(
        "selftest",
        help="send four test messages through qscan-queue and check what becomes of them",
        description="Send four messages through qscan-queue: clean, Eicar.com by name and size, the EICAR test string, "
        "GTUBE. QSCAN_QMAIL_QUEUE names the program that gets what is delivered.",
    )
    selftest.add_argument("--socket", type=Path, metavar="S", help="where ingressd listens")
    selftest.add_argument("--recorder", type=Path, metavar="DIR", help="deliver to files in DIR, and compare them")
    selftest.add_argument("--mail-from", default="selftest@qscan.invalid", metavar="A", help="envelope sender")
    selftest.add_argument("--rcpt-to", metavar="B", help="envelope recipient (default: postmaster at this host)")
    _add_data(selftest)
    _add_url(selftest)
    selftest.set_defaults(run=("selftest.command", "run"))


def _add_demo(commands: "_Commands[argparse.ArgumentParser]") -> None:
    demo = commands.add_parser("demo", help="run everything on a private directory, send the test messages, clean up")
    demo.set_defaults(run=("demo", "run"))


def _add_doctor(commands: "_Commands[argparse.ArgumentParser]") -> None:
    doctor = commands.add_parser("doctor", help="what is installed, what is reachable, and what to do about it")
    _add_data(doctor)
    _add_config_file(doctor)
    _add_url(doctor)
    doctor.set_defaults(run=("doctor.command", "run"))


def _add_config(commands: "_Commands[argparse.ArgumentParser]") -> None:
    config = commands.add_parser("config", help="check, show and explain qscan.toml")
    verbs = config.add_subparsers(title="verbs", metavar="VERB", required=True)
    check = verbs.add_parser("check", help="find what is wrong in the file, with lines")
    _add_config_file(check)
    check.set_defaults(run=("configuration.command", "check"))
    show = verbs.add_parser("show", help="print every setting with its meaning and value")
    _add_config_file(show)
    show.add_argument("--defaults", action="store_true", help="print the default file to begin with")
    show.set_defaults(run=("configuration.command", "show"))
    schema = verbs.add_parser("schema", help="print the JSON Schema of the file, for editors")
    schema.set_defaults(run=("configuration.command", "print_schema"))


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="data directory (default: /var/lib/qscan for root, else in your home)"
    )


def _add_config_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="instead of the usual qscan.toml")


def _add_url(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", help="a running qscan (default: $QSCAN_URL, else the one of the data directory)")


if __name__ == "__main__":
    sys.exit(main())
