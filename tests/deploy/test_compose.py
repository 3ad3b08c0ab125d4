"""compose.yaml and its layer for observability, checked against the settings classes and the rules of the house.

Nothing is started: there may be no container engine where the tests run.
"""

import asyncio
import ipaddress
import json
import re
import sys
import textwrap
from itertools import combinations
from typing import Any

import pytest

from qscan_kit.health import Health, HealthServer
from qscan_unpacker.settings import MEMORY_WITHOUT_SANDBOX_BYTES
from tests.deploy import strict_yaml
from tests.deploy.house import (
    ROOT,
    SERVICES,
    bytes_of,
    dockerfile,
    final_stage,
    house,
    image_environment,
    names_set,
    others,
    settings,
)
from tools.deploy_files import WIRED, WIRED_EVERYWHERE

CORE: dict[str, Any] = strict_yaml.load((ROOT / "compose.yaml").read_text("utf-8"))
LAYER: dict[str, Any] = strict_yaml.load((ROOT / "compose.observability.yaml").read_text("utf-8"))
CONTAINERS: dict[str, dict[str, Any]] = CORE["services"]
ADDED = {name: service for name, service in LAYER["services"].items() if name not in CONTAINERS}
EVERY = CONTAINERS | ADDED
VENDORS = {"nats", "clamd", "freshclam", "spamd"}

ON_THE_BUS = {"nats", *SERVICES}
MEETINGS = {
    "bus": ON_THE_BUS,
    "engines": {"av-gateway", "clamd"},
    "filters": {"spam", "spamd"},
    "intake": {"unpacker"},
    "updates": {"freshclam"},
    "lookups": {"spamd"},
}
"""Who is in which network: the cards of the services. One with two or more in it has no way out."""


def _networks(container: str) -> set[str]:
    return set(CONTAINERS[container]["networks"])


def _text(value: object) -> str:
    """A variable's value as Compose hands it over, with the defaults of what it interpolates."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value))


def _environment(service: str, made_secrets) -> dict[str, str]:
    """Everything that the container of a service gets: from the image, from env files, from compose.yaml."""
    environ = image_environment(service)
    for entry in CONTAINERS[service]["env_file"]:
        if isinstance(entry, dict):  # .env, which need not be there
            assert entry == {"path": ".env", "required": False}
            continue
        lines = (made_secrets / entry.removeprefix("deploy/secrets/")).read_text().splitlines()
        environ |= dict(line.split("=", 1) for line in lines)
    return environ | {name: _text(value) for name, value in CONTAINERS[service]["environment"].items()}


def test_all_of_the_house_is_there():
    """And what it needs of others; nothing else, so that nothing is forgotten here."""
    assert set(CONTAINERS) == house() | VENDORS


# ------------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize("service", SERVICES)
def test_settings_are_right(service, made_secrets):
    """The service itself reads its variables: unknown ones and wrong values are what it would refuse to start with."""
    environ = _environment(service, made_secrets)
    read = settings(service, environ)
    assert read.nats_password.get_secret_value()
    assert not others(service, environ)


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_set_is_what_is_not_offered(service, made_secrets):
    """.env.example leaves out what compose.yaml knows; one in neither could not be set, one in both not be changed."""
    known = names_set(service, _environment(service, made_secrets))
    optional = {"rules_file", "health_host", "health_port"}
    assert known - WIRED_EVERYWHERE <= WIRED[service]
    assert WIRED[service] - known <= optional


@pytest.mark.parametrize("service", SERVICES)
def test_addresses_are_of_containers_in_reach(service, made_secrets):
    """Every host in a setting is a container that shares a network with the service."""
    read = settings(service, _environment(service, made_secrets))
    addresses = [*read.nats_urls, *getattr(read, "clamd_addresses", ())]
    if service == "spam":
        addresses.append(read.address)  # type: ignore[attr-defined]  # of SpamSettings
    for address in addresses:
        host, port = re.sub(r"^(nats://|tcp:)", "", address).rsplit(":", 1)
        assert _networks(host) & _networks(service)
        assert port == {"nats": "4222", "clamd": "3310", "spamd": "1783"}[host]


def test_each_service_knows_its_own_password_only(made_secrets):
    """Six different ones, of which nats-server knows all; the token is the unpacker's."""
    secret_files = {
        name: [entry for entry in service.get("env_file", ()) if isinstance(entry, str)]
        for name, service in CONTAINERS.items()
    }
    knowing = {"nats", *SERVICES}
    assert secret_files == {name: [f"deploy/secrets/{name}.env"] * (name in knowing) for name in CONTAINERS}
    at_the_server = dict(line.split("=", 1) for line in (made_secrets / "nats.env").read_text().splitlines())
    for service in SERVICES:
        own = settings(service, _environment(service, made_secrets)).nats_password.get_secret_value()
        assert own == at_the_server[f"NATS_PASSWORD_{service.upper().replace('-', '_')}"]
    assert len(set(at_the_server.values())) == len(SERVICES)
    assert {name for name, service in EVERY.items() if service.get("secrets")} == {"unpacker"}


def test_streams_fit_into_the_store(made_secrets):
    """nats-server refuses streams whose limits together are above its own."""
    read = settings("unpacker", _environment("unpacker", made_secrets))
    bound = re.search(r"max_file_store: (\d+)", (ROOT / "deploy/nats/nats-server.conf").read_text())
    assert bound is not None
    assert 2 * read.events_max_bytes + read.mail_max_bytes <= int(bound[1])  # type: ignore[attr-defined]  # unpacker's


def test_spam_asks_for_no_more_than_spamd_has(made_secrets):
    """Else messages would wait in spamd's queue, where nobody sees them."""
    read = settings("spam", _environment("spam", made_secrets))
    children = re.search(r"--max-children=(\d+)", dockerfile("spamd"))
    assert children is not None
    assert read.max_in_flight <= int(children[1])  # type: ignore[attr-defined]  # of SpamSettings


def test_memory_of_the_unpacker_is_enough_for_its_sandbox(made_secrets):
    """For the service and as many children as there may be, each with all it may take."""
    read = settings("unpacker", _environment("unpacker", made_secrets))
    most = read.most_memory_bytes  # type: ignore[attr-defined]  # unpacker's
    assert bytes_of(CONTAINERS["unpacker"]["mem_limit"]) >= most > MEMORY_WITHOUT_SANDBOX_BYTES


def test_processes_of_the_unpacker_are_allowed(made_secrets):
    """A limit of processes counts threads; what is refused one fails in ways that nobody looks for there."""
    read = settings("unpacker", _environment("unpacker", made_secrets))
    threads = read.max_messages_in_flight + 32  # type: ignore[attr-defined]  # unpacker's; and asyncio's own pool
    others = 10  # init, the service, uvloop's, the exporter of traces, the forkserver, the health check
    most = threads + read.max_sandbox_processes + others  # type: ignore[attr-defined]  # unpacker's
    assert CONTAINERS["unpacker"]["pids_limit"] >= most


# -------------------------------------------------------------------------------------------- confinement


@pytest.mark.parametrize("name", EVERY)
def test_container_is_confined(name):
    """It cannot change itself, gain rights, or take all memory, processes or disk of the machine."""
    container = EVERY[name]
    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "devices", "pid", "ipc", "network_mode", "userns_mode"} & set(container)
    assert re.fullmatch(r"\d+(m|g)", container["mem_limit"])
    assert container["pids_limit"] <= 200
    assert container["restart"] == "unless-stopped"
    assert container["logging"]["options"].keys() == {"max-size", "max-file"}
    assert container["stop_grace_period"]


@pytest.mark.parametrize("name", EVERY)
def test_container_is_not_root(name):
    """By compose.yaml, or by the Dockerfile for what is built here."""
    container = EVERY[name]
    if "build" in container:
        file = container["build"]["dockerfile"]
        [user] = [rest for word, rest in final_stage(file.split("/")[-1].removesuffix(".Dockerfile")) if word == "USER"]
    elif container["image"].startswith("prom/prometheus:"):
        return  # runs as nobody, as its documentation says
    else:
        user = container["user"]
    assert int(user.split(":")[0]) > 0


@pytest.mark.parametrize("name", EVERY)
def test_container_says_how_it_is(name):
    """The collector's image has no program that could ask; Prometheus watches it."""
    health = EVERY[name]["healthcheck"]
    if name == "collector":
        assert health == {"disable": True}
        return
    assert health["test"][0] in {"CMD", "CMD-SHELL"}
    assert {"interval", "timeout", "retries", "start_period"} <= set(health)


def test_clamd_has_time_to_load():
    """Signatures take minutes, on a small machine several."""
    assert CONTAINERS["clamd"]["healthcheck"]["start_period"] == "15m"


@pytest.mark.parametrize("name", EVERY)
def test_image_is_pinned(name):
    """By a version; what is built here has ours."""
    image = _text(EVERY[name]["image"])
    assert re.search(r":v?\d+(\.\d+)+$", image)
    assert image.startswith("qscan-") == ("build" in EVERY[name])


def test_ports_are_on_loopback_only():
    """The intake API, and the two pages of the layer."""
    published = {name: [_text(port) for port in container.get("ports", ())] for name, container in EVERY.items()}
    assert {name for name, ports in published.items() if ports} == {"unpacker", "jaeger", "prometheus"}
    for ports in published.values():
        for port in ports:
            address, _, _ = port.split(":")
            assert ipaddress.ip_address(address).is_loopback


def test_av_gateway_can_be_scaled():
    """`--scale av-gateway=3`: neither a name nor a port of the host is taken twice."""
    assert not {"container_name", "ports", "hostname"} & set(CONTAINERS["av-gateway"])
    assert not any("container_name" in container for container in EVERY.values())


# ------------------------------------------------------------------------------------------------ networks


def test_only_those_meet_who_have_to():
    """clamd asks nobody who he is, so nobody but the gateway is in its network; likewise spamd."""
    members = {network: {name for name in CONTAINERS if network in _networks(name)} for network in CORE["networks"]}
    assert members == MEETINGS


@pytest.mark.parametrize("network", MEETINGS)
def test_shared_network_has_no_way_out(network):
    """Whoever breaks into a service that holds mail can send it nowhere."""
    described = CORE["networks"][network]
    without_masquerading = {"driver_opts": {"com.docker.network.bridge.enable_ip_masquerade": "false"}}
    if len(MEETINGS[network]) > 1:
        assert described == {"internal": True}
    elif network == "intake":
        assert described == without_masquerading
    else:
        assert described == {}


def test_layer_opens_nothing_of_the_core():
    """It adds one network to the services, which has no way out, and the pages have one without masquerading."""
    for service in SERVICES:
        added = LAYER["services"][service]
        assert set(added) == {"environment", "networks"}
        assert added["networks"] == ["telemetry"]
    assert LAYER["networks"]["telemetry"] == LAYER["networks"]["traces"] == {"internal": True}
    assert not set(LAYER["networks"]) & set(CORE["networks"])
    for one, other in combinations(ADDED, 2):
        assert set(ADDED[one]["networks"]) & set(ADDED[other]["networks"]) or {one, other} == {"collector", "jaeger"}


# ------------------------------------------------------------------------------------------- what is written


def test_what_must_last_is_on_volumes():
    """On a real disk, each in the one container that owns it; signatures are read-only for clamd."""
    mounted = {name: container["volumes"] for name, container in EVERY.items() if "volumes" in container}
    assert mounted == {
        "nats": ["nats:/data"],
        "unpacker": ["spool:/var/spool/qscan"],
        "archiver": ["quarantine:/var/lib/qscan"],
        "notifier": ["notices:/var/lib/qscan"],
        "clamd": ["signatures:/var/lib/clamav:ro"],
        "freshclam": ["signatures:/var/lib/clamav"],
        "spamd": ["spamd:/var/lib/spamd"],
        "prometheus": ["metrics:/prometheus"],
    }
    named = {entry.split(":")[0] for entries in mounted.values() for entry in entries}
    assert named == set(CORE["volumes"]) | set(LAYER["volumes"])


def test_memory_file_systems_are_bounded():
    """They count as memory, and nothing is executed from them."""
    for container in EVERY.values():
        for entry in container.get("tmpfs", ()):
            assert re.fullmatch(r"/tmp:size=\d+[mg],mode=1777,noexec,nosuid,nodev", entry)


def test_mounted_files_are_there():
    """Configuration that is missing would be made as a folder by Docker."""
    for document in (CORE, LAYER):
        for name, source in document["configs"].items():
            assert (ROOT / source["file"]).is_file(), name
    used = {config["source"] for container in EVERY.values() for config in container.get("configs", ())}
    assert used == set(CORE["configs"]) | set(LAYER["configs"])


def test_build_files_are_there():
    """From the root of the repository, since the members are copied from there."""
    for container in CONTAINERS.values():
        if "build" in container:
            assert container["build"]["context"] == "."
            assert (ROOT / container["build"]["dockerfile"]).is_file()


# ------------------------------------------------------------------------------------------- observability


@pytest.mark.parametrize("service", SERVICES)
def test_layer_sends_traces_to_the_collector(service, made_secrets):
    """The endpoint is one of the service's settings, with its path, since the exporter takes it as it is."""
    added = LAYER["services"][service]["environment"]
    read = settings(service, _environment(service, made_secrets) | added)
    assert read.trace_endpoint == "http://collector:4318/v1/traces"
    receivers = strict_yaml.load((ROOT / "deploy/otel/collector.yaml").read_text("utf-8"))["receivers"]
    assert receivers["otlp"]["protocols"]["http"]["endpoint"].endswith(":4318")


def test_collector_uses_what_it_declares():
    """A pipeline names receivers, processors and exporters that exist, and nothing is declared in vain."""
    collector = strict_yaml.load((ROOT / "deploy/otel/collector.yaml").read_text("utf-8"))
    [pipeline] = collector["service"]["pipelines"].values()
    for kind in ("receivers", "processors", "exporters"):
        assert set(pipeline[kind]) == set(collector[kind])
    assert pipeline["processors"][0] == "memory_limiter"


def test_prometheus_asks_every_service():
    """At the port where its health and metrics are."""
    jobs = strict_yaml.load((ROOT / "deploy/prometheus/prometheus.yml").read_text("utf-8"))["scrape_configs"]
    asked = {
        (name, found["port"]) for job in jobs for found in job.get("dns_sd_configs", ()) for name in found["names"]
    }
    assert asked == {(str(service), 8080 if service == "unpacker" else 8081) for service in SERVICES}


# ------------------------------------------------------------------------------------------------- health


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("is_ready", [True, False])
async def test_health_command_asks_for_readiness(service, is_ready):
    """The very command of compose.yaml against a real health page: it fails when a peer is away, and says which."""

    async def peer() -> Health:
        return Health(ok=is_ready, detail="clamd is away")

    word, _, *arguments = CONTAINERS[service]["healthcheck"]["test"]
    assert word == "CMD"
    port = 8080 if service == "unpacker" else 8081
    assert str(port) in image_environment(service).values()
    async with HealthServer({"peer": peer}, host="127.0.0.1", port=0) as server:
        command = [argument.replace(str(port), str(server.port)) for argument in arguments]
        process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.PIPE)
        said, _ = await process.communicate()
    assert process.returncode == (0 if is_ready else 1)
    assert json.loads(said)["checks"]["peer"]["detail"] == "clamd is away"


# ------------------------------------------------------------------------------------------------ its README


def test_override_in_the_readme_is_right(made_secrets):
    """The rule file of a site: the service knows the setting, and the file is mounted where it says."""
    readme = (ROOT / "deploy/README.md").read_text("utf-8")
    [example] = re.findall(r"(?ms)^ +```yaml\n(.*?)^ +```", readme)
    override = strict_yaml.load(textwrap.dedent(example))
    policy = override["services"]["policy"]
    read = settings("policy", _environment("policy", made_secrets) | policy["environment"])
    [config] = policy["configs"]
    assert str(read.rules_file) == config["target"]  # type: ignore[attr-defined]  # of PolicySettings
    assert set(override["configs"]) == {config["source"]}
