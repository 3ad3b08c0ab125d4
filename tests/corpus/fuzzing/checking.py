"""One message through the dissector, and what of the invariant it breaks."""

import hashlib
import tempfile
import time
import traceback
from pathlib import Path

from qscan_contracts.ids import Sha256
from qscan_unpacker.dissection.budget import Budget, Limits
from qscan_unpacker.dissection.dissector import Dissector
from qscan_unpacker.dissection.holding import Holding, MemoryContent
from tests.corpus.fuzzing.invariant import breaches

MAX_FIXED_S = 2.0
MAX_S_PER_BYTE = 50e-6
"""Many times what an ordinary message takes, and far less than anything quadratic takes for some ten thousand bytes."""


def findings(raw: bytes, limits: Limits | None = None) -> list[str]:
    """What is wrong with the dissection of `raw`: breaches, exceptions, more CPU time than in proportion to it."""
    limits = limits or Limits()
    started_s = time.thread_time()
    with Holding(Path(tempfile.gettempdir())) as holding:
        content, digest = MemoryContent(raw), Sha256(hashlib.sha256(raw).hexdigest())
        dissector = Dissector(raw, digest, holding, Budget(limits, time.thread_time), content)
        try:
            dissection = dissector.dissect()
        except Exception as error:  # lint: allow-broad-except because whatever is raised is a finding
            where = traceback.extract_tb(error.__traceback__)[-1]
            return [f"{type(error).__name__} in {Path(where.filename).name}:{where.lineno}: {error}"]
        taken_s = time.thread_time() - started_s
        found = breaches(dissection, raw, max_depth=limits.max_depth, max_components=limits.max_components)
    if taken_s > MAX_FIXED_S + MAX_S_PER_BYTE * len(raw):
        found.append(f"took {taken_s:.1f} s for {len(raw)} bytes")
    return found
