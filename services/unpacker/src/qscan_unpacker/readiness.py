"""Readiness that asks the real thing: are there workers that can scan now?"""

import asyncio
import hashlib

from qscan_contracts.components import Inline
from qscan_contracts.envelope import Envelope
from qscan_contracts.ids import ScanId, Sha256
from qscan_contracts.scanning import AvAnswer, AvRequest, MessageStructure, PolicyAnswer, PolicyRequest
from qscan_contracts.subjects import ScanRole
from qscan_contracts.vocabulary import EngineRole
from qscan_kit.bus import encode
from qscan_kit.health import Health
from qscan_unpacker.asking import Asker
from qscan_unpacker.domain.aggregation import Failure

_SCAN_ID = ScanId("readiness")
_TIMEOUT_S = 4.0


async def engines(asker: Asker, roles: tuple[EngineRole, ...]) -> Health:
    """Asks for the engines by a request without components."""
    deadline = asyncio.get_running_loop().time() + _TIMEOUT_S
    answer = await asker.ask(ScanRole.AV, AvAnswer, _SCAN_ID, lambda job: AvRequest(job, roles, ()), deadline=deadline)
    if isinstance(answer, Failure):
        return Health(ok=False, detail=f"{answer.detail}; see /readyz of av-gateway")
    missing = set(roles) - {engine.role for engine in answer.engines}
    if missing:
        return Health(ok=False, detail=f"no engine for {', '.join(sorted(missing))}; see /readyz of av-gateway")
    return Health(
        ok=True,
        detail="; ".join(f"{one.name}: {one.engine_version}, {one.signatures_version}" for one in answer.engines),
    )


async def policy(asker: Asker) -> Health:
    """Has policy decide on an empty message."""
    deadline = asyncio.get_running_loop().time() + _TIMEOUT_S
    structure = encode(MessageStructure(Envelope(), b"", (), (), 0))
    digest = Sha256(hashlib.sha256(structure).hexdigest())
    answer = await asker.ask(
        ScanRole.POLICY,
        PolicyAnswer,
        _SCAN_ID,
        lambda job: PolicyRequest(job, Inline(structure), len(structure), digest),
        deadline=deadline,
    )
    if isinstance(answer, Failure):
        return Health(ok=False, detail=f"{answer.detail}; see /readyz of policy")
    return Health(ok=True, detail=f"rules {answer.rules_version}")
