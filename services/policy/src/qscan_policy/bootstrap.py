"""Wires policy together."""

import asyncio

from qscan_contracts.scanning import PolicyRequest
from qscan_contracts.subjects import ScanRole, Service
from qscan_kit.bus import Bus
from qscan_kit.health import Health
from qscan_kit.log import get_logger
from qscan_kit.serving import serve_worker
from qscan_kit.worker import ScanWorker
from qscan_policy.adapters import rule_file
from qscan_policy.answering import Answering
from qscan_policy.settings import PolicySettings

_log = get_logger()


async def main(settings: PolicySettings, stop: asyncio.Event) -> None:
    """Serve until `stop` is set. Raises SettingsError when the rule file cannot be used."""
    rules = rule_file.load(settings.rules_file)
    _log.info("rules in force", origin=rules.origin, version=rules.version, rules=len(rules.rules.rules))

    def worker(bus: Bus) -> ScanWorker[PolicyRequest]:
        answering = Answering(
            bus, rules, max_structure_bytes=settings.max_structure_bytes, max_findings=settings.max_findings
        )
        return ScanWorker(bus, ScanRole.POLICY, PolicyRequest, answering.answer, max_in_flight=settings.max_in_flight)

    async def rules_health() -> Health:
        return Health(ok=True, detail=f"rules {rules.version}, {len(rules.rules.rules)} on, from {rules.origin}")

    await serve_worker(Service.POLICY, settings, stop, worker=worker, checks={"rules": rules_health})
