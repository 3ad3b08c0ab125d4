"""One message through the dissector, and what of the invariant it breaks."""

import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from qscan_contracts.vocabulary import Origin
from qscan_unpacker.dissection.budget import Budget, Limits
from qscan_unpacker.dissection.collecting import Dissection
from qscan_unpacker.dissection.dissector import Dissector
from qscan_unpacker.dissection.holding import Holding, content_of
from tests.corpus.fuzzing.invariant import MESSAGES, breaches, ran_out

MAX_FIXED_S = 2.0
MAX_S_PER_BYTE = 50e-6
"""Many times what an ordinary message takes, and far less than anything quadratic takes for some ten thousand bytes."""
_REGULAR = {"mime.message.encoded", "header.missing_blank_line", "uuencode.in_text", "yenc.in_text", "binhex.in_text"}


def findings(raw: bytes, limits: Limits | None = None) -> list[str]:
    """What is wrong with the dissection of `raw`: breaches, exceptions, more CPU time than in proportion to it."""
    limits = limits or Limits()
    started_s = time.thread_time()
    with Holding(Path(tempfile.gettempdir())) as holding:
        content, digest = content_of(raw)
        dissector = Dissector(raw, digest, holding, Budget(limits, time.thread_time), content)
        try:
            dissection = dissector.dissect()
        except Exception as error:  # lint: allow-broad-except because whatever is raised is a finding
            where = traceback.extract_tb(error.__traceback__)[-1]
            return [f"{type(error).__name__} in {Path(where.filename).name}:{where.lineno}: {error}"]
        taken_s = time.thread_time() - started_s
        found = breaches(dissection, raw, max_depth=limits.max_depth, max_components=limits.max_components)
        found += [] if found else lost(dissection, limits)
    if taken_s > MAX_FIXED_S + MAX_S_PER_BYTE * len(raw):
        found.append(f"took {taken_s:.1f} s for {len(raw)} bytes")
    return found


def lost(dissection: Dissection, limits: Limits) -> Iterator[str]:
    """What is found in a message by itself is found in it where it is the part of another as well.

    Where readers differ the readings of outer and inner message meet, and what was walked once is not walked again.
    """
    differ = any(defect.hides_content and defect.id not in _REGULAR for defect in dissection.defects)
    if differ or ran_out(dissection):
        return
    known = {one.component.sha256 for one in dissection.found}
    for found in dissection.found:
        component = found.component
        is_message = component.origin is Origin.PART and component.content_type in MESSAGES
        if not is_message or not component.size:
            continue
        alone = found.content.read(0, component.size)
        with Holding(Path(tempfile.gettempdir())) as holding:
            budget = Budget(limits, lambda: 0.0)
            content, digest = content_of(alone)
            inside = Dissector(alone, digest, holding, budget, content).dissect()
        for one in inside.found:
            if one.component.origin is Origin.DECODED:
                continue  # a text in the message is searched for more than one in something decoded
            if one.component.sha256 not in known and not ran_out(inside):
                yield f"component {one.component.path} of the message {component.path} is found there alone"
