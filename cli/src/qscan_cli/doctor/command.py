"""The command: look, print, and say with the exit status whether somebody has to do something."""

import argparse
import asyncio

from qscan_cli.configuration.reading import Configuration, find
from qscan_cli.doctor import installed, reachable
from qscan_cli.doctor.findings import Found, State, as_text, ok, problem
from qscan_cli.errors import CommandError
from qscan_cli.intake_client import find_url
from qscan_cli.places import DataDirectory, default_data_directory
from qscan_cli.running import RunningSystem


def run(arguments: argparse.Namespace) -> int:
    """0 when there is no problem, 1 otherwise."""
    data = DataDirectory((arguments.data or default_data_directory()).expanduser().resolve())
    found: list[Found] = []
    try:
        configuration = find(arguments.config)
        found.append(ok("configuration", str(configuration.file or "the defaults: there is no qscan.toml")))
    except CommandError as error:
        configuration = Configuration()
        found.append(problem("configuration", str(error), "correct it; below, the defaults are assumed"))
    found += installed.look(configuration, data)
    system = RunningSystem.read(data.services_file)
    found += asyncio.run(_collect(system, find_url(arguments.url, data.root)))
    print(as_text(found))
    problems = sum(one.state is State.PROBLEM for one in found)
    print(f"\n{'No problem.' if not problems else f'{problems} problem(s): see the arrows.'}")
    return 1 if problems else 0


async def _collect(system: RunningSystem | None, url: str) -> list[Found]:
    return [one async for one in reachable.look(system, url)]
