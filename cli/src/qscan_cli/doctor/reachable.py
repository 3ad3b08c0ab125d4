"""What answers, asked in its own language."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

from qscan_cli.doctor.findings import Found, note, ok, problem
from qscan_cli.intake_client import IntakeClient, NotAskedError
from qscan_cli.running import RunningService, RunningSystem
from qscan_cli.selftest.expectations import signatures
from qscan_cli.up import probes

_PROBE = b"From: doctor@qscan.invalid\nTo: doctor@qscan.invalid\nSubject: are you well?\n\nHello\n"
_HTTP_OK = 200
_INTAKE_TIMEOUT_S = 30.0
"""Enough for a message of six lines, also when a service must be given up first."""


async def look(system: RunningSystem | None, url: str) -> AsyncIterator[Found]:
    """The parts of the system on this data directory, if it runs, and the intake API at `url`."""
    if system is not None:
        yield ok("running", f"qscan up, pid {system.pid}, on {system.data}{'' if system.ready else '; not ready yet'}")
        if system.own_signatures:
            yield note("in use", f"clamd has {system.signatures}", "see signatures above")
        # Side by side: one that is stopped takes its time not to answer.
        asked = (_part(name, service) for name, service in system.services.items())
        for found in await asyncio.gather(*asked):
            if found is not None:
                yield found
        yield await _ingress(system)
    yield _intake(url)


async def _part(name: str, service: RunningService) -> Found | None:
    if service.pid is None:
        return problem(name, "is not running; it is being restarted", f"what it said last is in {service.log}")
    return await _service(name, service.health, service.log) if service.health else None


async def _service(name: str, health: str, log: str) -> Found:
    parts = urlsplit(health)
    try:
        status, body = await probes.http_get(parts.hostname or "", parts.port or 80, "/readyz")
        checks = json.loads(body)["checks"]
    except (OSError, ValueError, KeyError, TypeError, asyncio.IncompleteReadError) as error:
        return problem(
            name, f"{health}/readyz gives no answer: {str(error) or type(error).__name__}", f"look into {log}"
        )
    details = "; ".join(f"{check}: {result['detail'] or 'ok'}" for check, result in checks.items())
    if status == _HTTP_OK:
        return ok(name, details)
    failing = "; ".join(f"{check}: {result['detail']}" for check, result in checks.items() if not result["ok"])
    return problem(name, failing or details, f"its log is {log}")


async def _ingress(system: RunningSystem) -> Found:
    why = await probes.ingress(Path(system.ingress_socket))()
    if why:
        return problem("socket", f"{system.ingress_socket}: {why}", "look at the ingress above")
    return ok("socket", f"{system.ingress_socket} takes messages from qscan-queue")


def _intake(url: str) -> Found:
    try:
        with IntakeClient(url, answer_timeout_s=_INTAKE_TIMEOUT_S) as client:
            answer, _ = client.ask(_PROBE, mail_from="", rcpt_to=["doctor@qscan.invalid"])
    except NotAskedError as error:
        return problem("intake", str(error), "start it with `qscan up`, or name another one with --url")
    said = (
        f"{url} scans: {answer.verdict}, {answer.disposition}; {'; '.join(signatures(answer)) or 'no engine was asked'}"
    )
    if answer.disposition.value == "deliver":
        return ok("intake", said)
    return problem(
        "intake", f"{said}: {answer.reason}", "a harmless message should be delivered; the reason says what is wrong"
    )
