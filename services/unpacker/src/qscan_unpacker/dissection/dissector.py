"""The dissector: from the bytes of a message to everything in it (DESIGN §1).

The message is taken apart into entities; each component is looked at for what else is in it: another message, files
encoded in its text, a container. Containers are opened elsewhere, in a process of their own (`open_containers`).
"""

from qscan_contracts.components import Component
from qscan_contracts.ids import RAW_PATH, Sha256
from qscan_contracts.vocabulary import Origin, UnscannedReason
from qscan_unpacker.dissection.budget import Budget, OverBudgetError
from qscan_unpacker.dissection.collecting import MAIN_READING, Collector, Dissection, Found, in_order
from qscan_unpacker.dissection.entities import Entity, EntityWalker, Source
from qscan_unpacker.dissection.headers import parse_header
from qscan_unpacker.dissection.holding import HeldContent, Holding


class Dissector:
    """Dissects one message. Its bytes must stay as they are until the result is no longer used."""

    def __init__(self, raw: bytes | memoryview, raw_sha256: Sha256, holding: Holding, budget: Budget, raw_content: HeldContent) -> None:
        """Dissect `raw`; large decoded content goes to `holding`, and `budget` bounds it all."""
        self._raw, self._content = raw, raw_content
        self._budget = budget
        self._collector = Collector(Dissection(parse_header(raw, 0, min(len(raw), budget.limits.max_header_bytes))), holding, budget)
        self._walker = EntityWalker(self._collector, self._explore)
        component = Component(RAW_PATH, None, 0, Origin.RAW, len(raw), raw_sha256, detected_type="message/rfc822")
        self._collector.dissection.found.append(Found(component, raw_content))

    def dissect(self) -> Dissection:
        """The components, the raw message first; never fails for what is in a message.

        Raises:
            OSError: the disk under the holding is full or broken.
        """
        dissection = self._collector.dissection
        assert self._collector.reading(0, len(self._raw)) == MAIN_READING
        message = Entity(
            Source(self._raw, self._content, is_raw=True), RAW_PATH, RAW_PATH, 0, 0, len(self._raw), is_message=True
        )
        try:
            self._walker.walk(message)
        except OverBudgetError as error:
            self._collector.note(error.limit, RAW_PATH, 0)
            self._collector.report(RAW_PATH, UnscannedReason.OVER_BUDGET, error.limit)
        dissection.found.sort(key=in_order)
        return dissection

    def _explore(self, found: Found) -> None:
        """Look into a component."""
