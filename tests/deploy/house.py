"""What the deployment is compared with: the members, their settings, their Dockerfiles."""

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from qscan_cli.configuration.tables import SERVICE_CLASSES
from qscan_contracts.subjects import Service
from qscan_kit.settings import ServiceSettings, load, prefix

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "deploy/docker"
SERVICES = tuple(Service)


def house() -> set[str]:
    """The services that exist, as folders."""
    return {file.parent.name for file in (ROOT / "services").glob("*/pyproject.toml")}


def settings(service: str, environ: Mapping[str, str]) -> ServiceSettings:
    """What the service would make of these variables. Raises qscan_kit.errors.SettingsError as it would."""
    with _environment(environ):
        return load(SERVICE_CLASSES[service], environ)


@contextmanager
def _environment(environ: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    ours = {name: value for name, value in before.items() if not name.startswith("QSCAN_")}
    os.environ.clear()
    os.environ.update(ours | dict(environ))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def names_set(service: str, environ: Mapping[str, str]) -> set[str]:
    """The settings of a service that `environ` sets, by their names in the class."""
    own = prefix(service)
    return {name.removeprefix(own).lower() for name in environ if name.startswith(own)}


def others(service: str, environ: Mapping[str, str]) -> set[str]:
    """Variables in `environ` that belong to another service; a container has no use for them."""
    return {name for name in environ if name.startswith("QSCAN_") and not name.startswith(prefix(service))}


_UNITS = {"m": 2**20, "g": 2**30, "Mi": 2**20, "Gi": 2**30}


def bytes_of(quantity: str) -> int:
    """A size as Compose (512m) or Kubernetes (512Mi) writes it. Raises KeyError for other units than these."""
    number, unit = re.fullmatch(r"(\d+)(\w+)", quantity).groups()  # type: ignore[union-attr]  # a test's failure
    return int(number) * _UNITS[unit]


def dockerfile(name: str) -> str:
    """The text of a Dockerfile, with continued lines joined."""
    text = (DOCKER / f"{name}.Dockerfile").read_text("utf-8")
    return re.sub(r"\\\n\s*", " ", text)


def instructions(name: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile in order: (word, rest)."""
    lines = (line for line in dockerfile(name).splitlines() if line.strip() and not line.lstrip().startswith("#"))
    return [(word.upper(), rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def final_stage(name: str) -> list[tuple[str, str]]:
    """The instructions of the last stage: what the image is."""
    all_of_them = instructions(name)
    last = max(index for index, (word, _) in enumerate(all_of_them) if word == "FROM")
    return all_of_them[last:]


def image_environment(name: str) -> dict[str, str]:
    """The variables that an image sets."""
    pairs = (pair for word, rest in final_stage(name) if word == "ENV" for pair in shlex.split(rest))
    return dict(pair.split("=", 1) for pair in pairs)
