"""The one place where these tests touch the dissector: with its default limits, and a real sandbox for containers."""

import hashlib
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from qscan_contracts.ids import Sha256
from qscan_contracts.reports import Unscanned
from qscan_contracts.vocabulary import Origin
from qscan_unpacker.dissection.budget import Budget, Limits
from qscan_unpacker.dissection.dissector import Dissector
from qscan_unpacker.dissection.holding import Holding, MemoryContent
from qscan_unpacker.sandbox.sandbox import Sandbox

_MEMORY_BYTES = 1024 * 1024 * 1024
_OPENING_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Dissected:
    """What qscan sees in a message.

    Attributes:
        contents: of each component but the raw message, by path and origin.
        digests: SHA-256 of each of them.
        names: all candidate file names.
        defects: ids, in order.
        hiding: those of them behind which content can hide.
        unscanned: what was not looked into, and why.
        crash: the traceback, if the dissector raised something; "" if not.
    """

    contents: dict[str, bytes]
    digests: frozenset[str]
    names: frozenset[str]
    defects: tuple[str, ...]
    hiding: tuple[str, ...]
    unscanned: tuple[str, ...] = ()
    crash: str = ""


Dissect = Callable[[bytes], Dissected]
"""Dissects a message; never raises."""


@contextmanager
def dissecting() -> Iterator[Dissect]:
    """What dissects messages, as long as the context lasts."""
    # Whether the sandbox is safe is tested elsewhere; here it must run wherever the tests run.
    with Sandbox(
        memory_bytes=_MEMORY_BYTES, max_children=1, opening_timeout_s=_OPENING_TIMEOUT_S, require_seccomp=False
    ) as sandbox:

        def dissected(raw: bytes) -> Dissected:
            try:
                return _dissected(raw, sandbox)
            except Exception:  # lint: allow-broad-except because the suite goes on to the next case
                return Dissected({}, frozenset(), frozenset(), (), (), crash=traceback.format_exc(limit=-5))

        yield dissected


def _dissected(raw: bytes, sandbox: Sandbox) -> Dissected:
    digest = Sha256(hashlib.sha256(raw).hexdigest())
    budget = Budget(Limits(), time.thread_time)
    with Holding(Path(tempfile.gettempdir())) as holding:
        dissector = Dissector(raw, digest, holding, budget, MemoryContent(raw))
        dissection = dissector.dissect()
        if dissector.has_containers:
            with sandbox.session() as session:
                dissector.open_containers(session)
        found = [one for one in dissection.found if one.component.origin is not Origin.RAW]
        outcomes = [report.outcome for report in dissection.reports]
        return Dissected(
            {f"{one.component.path} {one.component.origin}": one.content.read(0, one.content.size) for one in found},
            frozenset(one.component.sha256 for one in found),
            frozenset(name.text for component in dissection.components() for name in component.names),
            tuple(one.id for one in dissection.defects),
            tuple(one.id for one in dissection.defects if one.hides_content),
            tuple(f"{one.reason}: {one.detail}" for one in outcomes if isinstance(one, Unscanned)),
        )
