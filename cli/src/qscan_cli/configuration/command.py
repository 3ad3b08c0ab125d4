"""`qscan config check`, `show` and `schema`."""

import argparse
import json

from qscan_cli.configuration.reading import find
from qscan_cli.configuration.showing import defaults, effective, schema


def check(arguments: argparse.Namespace) -> int:
    """Say whether the file is right; every problem with its line otherwise (raised by `find`)."""
    configuration = find(arguments.config)
    if configuration.file is None:
        print("there is no qscan.toml, so the defaults count; `qscan config show --defaults` prints one to begin with")
    else:
        print(f"{configuration.file}: ok")
    return 0


def show(arguments: argparse.Namespace) -> int:
    """Print what counts, or the default file."""
    print(defaults() if arguments.defaults else effective(find(arguments.config)), end="")
    return 0


def print_schema(_: argparse.Namespace) -> int:
    """Print the JSON Schema."""
    print(json.dumps(schema(), indent=2, ensure_ascii=False))
    return 0
