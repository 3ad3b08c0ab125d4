"""qscan's own services as children of `qscan up`: what each is told, which is its own part and nothing else."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from qscan_cli.configuration.reading import Configuration
from qscan_cli.configuration.tables import SERVICES, environment, package, supplied_by_up
from qscan_cli.errors import CommandError
from qscan_cli.places import DataDirectory
from qscan_cli.up import probes
from qscan_cli.up.children import ChildPlan, Stage
from qscan_cli.up.minimal import minimal_environment
from qscan_cli.up.ports import Ports, http_url
from qscan_contracts.subjects import Service

_HEALTH_HOST = "127.0.0.1"


@dataclass(frozen=True)
class Surroundings:
    """What the services are to work with. An address is empty where that engine is not `qscan up`'s."""

    data: DataDirectory
    nats_url: str
    nats_passwords: Mapping[Service, str]
    http_host: str
    http_port: int
    clamd_address: str
    spamd_address: str
    spamd_children: int
    has_spam_filter: bool
    """There is a spamd, ours or another. Without one the service could never be ready, and would say nothing new."""
    qmail_queue: str
    """The site's qmail-queue, if it is not in the usual place; notices go through it."""
    passed: tuple[str, ...]
    """Further variables of our environment for the services."""
    is_in_memory: bool
    """The data directory is on a file system in memory."""
    trace_files: bool

    def of(self, service: str) -> dict[str, object]:
        """What `qscan up` tells a service of its own accord; the file wins, except in what only we can know."""
        data = self.data
        told: dict[str, object] = {"nats_urls": [self.nats_url]}
        if service in set(Service):
            told["nats_password"] = self.nats_passwords[Service(service)]
        if self.trace_files:
            told["trace_file"] = str(data.log / "trace" / f"{service}.jsonl")
        match service:
            case "unpacker":
                told |= {
                    "http_host": self.http_host,
                    "http_port": self.http_port,
                    "token_file": str(data.token),
                    "spool_dir": str(data.spool),
                }
            case "ingress":
                told |= {
                    "socket": str(data.ingress_socket),
                    "unpacker_urls": [http_url(self.http_host, self.http_port)],
                    "token_file": str(data.token),
                    "spool_dir": str(data.spool),
                    "spool_may_be_in_memory": self.is_in_memory,
                }
            case "av-gateway" if self.clamd_address:
                told["clamd_addresses"] = [f"unix:{self.clamd_address}"]
            case "spam" if self.spamd_address:
                told |= {"address": self.spamd_address, "max_in_flight": self.spamd_children}
            case "archiver":
                told["quarantine_dir"] = str(data.quarantine)
            case "notifier":
                told["state_dir"] = str(data.notices)
                if self.qmail_queue:
                    told["qmail_queue"] = self.qmail_queue
            case _:
                pass
        return told


def plans(configuration: Configuration, surroundings: Surroundings, ports: Ports) -> Iterator[ChildPlan]:
    """A child for each service; keeps a port for its health page.

    Raises:
        CommandError: the file sets what only `qscan up` can know.
    """
    check_conflicts(configuration)
    for service in SERVICES:
        if service == "spam" and not surroundings.has_spam_filter:
            continue
        given = configuration.of_service(service)
        told = {**surroundings.of(service), **given}
        if service == "notifier" and not given.get("admin_address"):
            del told["state_dir"]  # it would take this for a wish to send notices
        if service == "unpacker":
            host, port = surroundings.http_host, surroundings.http_port
        else:
            host, port = str(told.setdefault("health_host", _HEALTH_HOST)), int(str(told.get("health_port", 0)))
            told["health_port"] = port = ports.reserve(host, port)
        probe = probes.service(_reachable(host), port)
        yield ChildPlan(
            name=service,
            command=(sys.executable, "-I", "-m", package(service)),
            environ=minimal_environment(surroundings.data, surroundings.passed) | environment(service, told),
            probe=probes.both(probe, probes.ingress(surroundings.data.ingress_socket))
            if service == "ingress"
            else probe,
            stage={"ingress": Stage.INGRESS, "unpacker": Stage.INTAKE}.get(service, Stage.SERVICES),
            address=_address(service, surroundings),
            health=http_url(_reachable(host), port),
        )


def check_conflicts(configuration: Configuration) -> None:
    """Raise CommandError when the file sets what only `qscan up` can know."""
    for table, values in configuration.tables.items():
        for key in values:
            if supplied_by_up(table, key):
                message = (
                    f"{configuration.where(table, key)}: `qscan up` sets {key} in [{table}] itself: remove it"
                    f"{' and use [up] http or --http' if key.startswith('http_') else ''}"
                )
                raise CommandError(message)


def _address(service: str, surroundings: Surroundings) -> str:
    if service == "unpacker":
        return http_url(surroundings.http_host, surroundings.http_port)
    return str(surroundings.data.ingress_socket) if service == "ingress" else ""


def _reachable(host: str) -> str:
    """Where to ask a service that listens everywhere."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # nothing is bound here
