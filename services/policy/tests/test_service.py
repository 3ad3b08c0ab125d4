"""Policy as a process on a real NATS with production's rights."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from qscan_contracts.scanning import MessageStructure, PolicyAnswer, PolicyRequest, Refused
from qscan_contracts.subjects import ScanRole, Service
from qscan_kit.bus import encode
from qscan_policy.adapters import rule_file
from qscan_testkit.nats_server import NatsServer
from qscan_testkit.scan_asker import ScanAsker
from qscan_testkit.service_process import ServiceProcess
from qscan_testkit.structures import named, structure

pytestmark = pytest.mark.anyio
MAX_STRUCTURE_BYTES = 400_000


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A server whose port is known before it is started."""
    server = NatsServer(tmp_path / "nats")
    server.reserve_port()
    yield server
    server.kill()


@pytest.fixture
def policy(tmp_path: Path, nats_server: NatsServer) -> Iterator[ServiceProcess]:
    """A policy, started before its NATS is."""
    limits = {"QSCAN_POLICY_MAX_STRUCTURE_BYTES": str(MAX_STRUCTURE_BYTES)}
    with ServiceProcess("qscan_policy", tmp_path, {**nats_server.environment(Service.POLICY), **limits}) as running:
        yield running


def request(asker: ScanAsker, message: MessageStructure, *, inline: bool = True) -> PolicyRequest:
    """A request about a message."""
    content, size, sha256 = asker.lend(encode(message), inline=inline)
    return PolicyRequest(asker.job(), content, size, sha256)


async def test_it_answers_small_and_large_messages_and_refuses_what_it_cannot_read(nats_server, policy):
    """One process, started before its NATS: everything that a request can be."""
    nats_server.start()
    bus = await nats_server.bus(Service.UNPACKER)
    async with ScanAsker(bus) as asker:
        eicar = named("Eicar.com", size=68)
        answer = await asker.ask_when_there(ScanRole.POLICY, lambda: request(asker, structure(eicar)))
        assert isinstance(answer, PolicyAnswer)
        assert answer.rules_version == rule_file.load(None).version
        (group,) = answer.groups
        assert group.indices == (0,)
        assert [finding.id for finding in group.findings] == ["rule.eicar-test-file"]

        many = tuple(f"{'x' * 200}{number}@example.com" for number in range(1500))
        answer = await asker.ask(ScanRole.POLICY, request(asker, structure(eicar, rcpt_to=many), inline=False))
        assert isinstance(answer, PolicyAnswer)
        assert answer.groups[0].indices == tuple(range(1500))

        large = structure(header=b"Subject: " + b"x" * MAX_STRUCTURE_BYTES)
        answer = await asker.ask(ScanRole.POLICY, request(asker, large, inline=False))
        assert isinstance(answer, Refused)
        assert "larger than the limit" in answer.detail

        good = request(asker, structure(eicar))
        answer = await asker.ask(ScanRole.POLICY, PolicyRequest(good.job, good.structure, good.size, "0" * 64))  # type: ignore[arg-type]
        assert isinstance(answer, Refused)
        assert "SHA-256" in answer.detail

        content, size, sha256 = asker.lend(b"no structure", inline=True)
        answer = await asker.ask(ScanRole.POLICY, PolicyRequest(asker.job(), content, size, sha256))
        assert isinstance(answer, Refused)
        assert "cannot be decoded" in answer.detail

        answer = await asker.ask(ScanRole.POLICY, b"no request")
        assert isinstance(answer, Refused)
    await bus.close()
    ready = policy.readiness()
    assert ready["ready"] is True
    assert "from default_rules.yaml" in str(ready["checks"])


async def test_without_nats_it_says_so_and_still_obeys_a_signal(nats_server, policy):
    """/readyz is there before the bus is, and SIGTERM ends a service that is waiting for it."""
    ready = policy.readiness()
    assert ready["ready"] is False
    assert f"waiting for NATS at {nats_server.url}: start it" in str(ready["checks"])
    policy.process.send_signal(signal.SIGTERM)
    assert policy.process.wait(10) == 0


async def test_a_wrong_rule_file_stops_it_with_the_place_in_the_file(tmp_path, nats_server):
    """Exit status 78 (EX_CONFIG), and nothing else on standard error than what is wrong."""
    rules = tmp_path / "rules.yaml"
    rules.write_bytes(rule_file.shipped().replace(b"busy:", b"buzy:"))
    environment = {**nats_server.environment(Service.POLICY), "QSCAN_POLICY_RULES_FILE": str(rules)}
    with ServiceProcess("qscan_policy", tmp_path, environment) as broken:
        assert broken.process.wait(20) == 78
        assert broken.log.startswith(f"qscan-policy: {rules}:")
        assert "there is no buzy here: correct or remove it" in broken.log
