"""`qscan up`: puts the children together, and runs them until Ctrl-C."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from qscan_cli.configuration.reading import Configuration, find
from qscan_cli.configuration.tables import SERVICE_CLASSES, SERVICES
from qscan_cli.configuration.up_settings import UpSettings
from qscan_cli.places import DataDirectory, default_data_directory
from qscan_cli.running import RunningSystem
from qscan_cli.up import bus, clamd, spamd
from qscan_cli.up.children import ChildPlan
from qscan_cli.up.guard import Guard
from qscan_cli.up.leftovers import kill_leftovers
from qscan_cli.up.locking import lock
from qscan_cli.up.memory import is_in_memory
from qscan_cli.up.passwords import kept_secret, nats_passwords
from qscan_cli.up.ports import Ports, http_url
from qscan_cli.up.services import Surroundings, check_conflicts, plans
from qscan_cli.up.supervisor import Supervisor

_ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def say(text: str) -> None:
    """One line for whoever watches; a terminal that is gone does not end the system."""
    try:
        print(f"qscan up: {text}", file=sys.stderr, flush=True)
    except OSError:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  # for the rest of our life


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGINT or SIGTERM; 0 then.

    Raises:
        CommandError: something is missing, taken or wrong.
    """
    configuration = find(arguments.config)
    check_conflicts(configuration)
    settings = configuration.up
    if arguments.http is not None:
        settings = settings.model_copy(update={"http": arguments.http})
    _warn_of_environment()
    data = DataDirectory.at(arguments.data or default_data_directory())
    nats_server = bus.program(settings.nats_server)
    starts_clamd = "clamd_addresses" not in configuration.of_service("av-gateway")
    if starts_clamd:
        clamd.check_installed(settings)
    data.make()
    locked = lock(data)
    ports = Ports()
    try:
        data.services_file.unlink(missing_ok=True)
        if kill_leftovers(data):
            say("killed what an earlier qscan up had left behind")
        plan = _Plan(configuration, settings, data, ports)
        children = [plan.bus(nats_server)]
        if starts_clamd:
            children.append(plan.clamd())
        children += plan.spamd()
        children += plan.services()
        guard = Guard(locked)
        try:
            system = RunningSystem(
                pid=os.getpid(),
                guardian_pid=guard.process.pid,
                data=str(data.root),
                http=plan.http,
                ingress_socket=str(data.ingress_socket),
                signatures=plan.signatures_text,
                own_signatures=plan.own_signatures,
            )
            supervisor = Supervisor(
                children,
                guard=guard,
                system=system,
                services_file=data.services_file,
                log_folder=data.log,
                settings=settings,
                say=say,
            )
            say(f"data directory {data.root}, configuration {configuration.file or '(defaults)'}")
            say(f"starting {', '.join(child.name for child in children)}")
            asyncio.run(_until_signalled(supervisor, lambda: _announce(system)))
        finally:
            guard.close()
    finally:
        ports.close()
        os.close(locked)
    say("everything has ended")
    return 0


class _Plan:
    """Puts the plans of the children together; what was decided on the way is told by `say`."""

    def __init__(self, configuration: Configuration, settings: UpSettings, data: DataDirectory, ports: Ports) -> None:
        """Reserve the addresses and read, or make, the secrets."""
        self._configuration, self._settings, self._data, self._ports = configuration, settings, data, ports
        self._http_host, self._http_port = ports.reserve_http(settings.http)
        self.http = http_url(self._http_host, self._http_port)
        self._nats_port, self._nats_http_port = ports.reserve(bus.HOST), ports.reserve(bus.HOST)
        self._passwords = nats_passwords(data.secrets)
        kept_secret(data.token)
        self._clamd_address, self._spamd_address = "", ""
        self.signatures_text, self.own_signatures = "those of the clamds in [av-gateway] clamd_addresses", False

    def bus(self, server: Path) -> ChildPlan:
        """nats-server."""
        defaults = SERVICE_CLASSES["unpacker"].model_fields
        told = self._configuration.of_service("unpacker")
        events, mail = (
            int(str(told.get(key, defaults[key].default))) for key in ("events_max_bytes", "mail_max_bytes")
        )
        return bus.plan(
            server,
            self._data,
            self._passwords,
            port=self._nats_port,
            http_port=self._nats_http_port,
            events_max_bytes=events,
            mail_max_bytes=mail,
        )

    def clamd(self) -> ChildPlan:
        """clamd, with the signatures that there are."""
        signatures = clamd.choose_signatures(self._settings, self._data)
        self.signatures_text, self.own_signatures = signatures.text, signatures.is_own
        say(f"clamd gets {signatures.text}")
        plan = clamd.plan(self._settings, self._data, signatures)
        self._clamd_address = plan.address
        return plan

    def spamd(self) -> list[ChildPlan]:
        """spamd, if it is there and no other one is named."""
        if "address" in self._configuration.of_service("spam"):
            return []
        if not spamd.is_installed(self._settings):
            say(
                f"there is no {self._settings.spamd}, so mail is delivered without a look for spam; "
                "Debian: apt-get install --no-install-recommends spamassassin spamd"
            )
            return []
        plan = spamd.plan(self._settings, self._data)
        self._spamd_address = plan.address
        return [plan]

    def services(self) -> list[ChildPlan]:
        """Our own."""
        in_memory = is_in_memory(self._data.root)
        if in_memory:
            say(f"{self._data.root} is in memory (tmpfs): good for a trial, but a reboot loses what was accepted")
        surroundings = Surroundings(
            data=self._data,
            nats_url=f"nats://{bus.HOST}:{self._nats_port}",
            nats_passwords=self._passwords,
            http_host=self._http_host,
            http_port=self._http_port,
            clamd_address=self._clamd_address,
            spamd_address=self._spamd_address,
            spamd_children=self._settings.spamd_children,
            has_spam_filter=bool(self._spamd_address) or "address" in self._configuration.of_service("spam"),
            qmail_queue=os.environ.get("QSCAN_QMAIL_QUEUE", ""),
            passed=self._settings.pass_environment,
            is_in_memory=in_memory,
            trace_files=self._settings.trace_files,
        )
        return list(plans(self._configuration, surroundings, self._ports))


def _announce(system: RunningSystem) -> None:
    """The one line that programs wait for."""
    try:
        print(f"ready http={system.http} ingress={system.ingress_socket} data={system.data}", flush=True)
    except OSError:
        say("ready, but nobody reads standard output any more")


async def _until_signalled(supervisor: Supervisor, on_ready: Callable[[], None]) -> None:
    stop, hurry = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            say("killing what is left")
            hurry.set()
        else:
            say("stopping; once more to kill")
            stop.set()

    loop = asyncio.get_running_loop()
    for number in _ENDING_SIGNALS:
        loop.add_signal_handler(number, on_signal)
    await supervisor.run(stop, hurry, on_ready)


def _warn_of_environment() -> None:
    """Children get their settings from the file only; somebody may expect something else."""
    prefixes = tuple(f"QSCAN_{service.upper().replace('-', '_')}_" for service in SERVICES)
    ignored = sorted(name for name in os.environ if name.startswith(prefixes) and name != "QSCAN_INGRESS_SOCKET")
    if ignored:
        say(f"not used: {', '.join(ignored)} from the environment; write these settings into qscan.toml")
