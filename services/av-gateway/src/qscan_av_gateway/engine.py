"""The port to an anti-virus engine. Everything a vendor says or does ends in an adapter behind it."""

from dataclasses import dataclass
from typing import Protocol

from qscan_contracts.ids import EngineName
from qscan_contracts.reports import EngineCard, Outcome
from qscan_contracts.vocabulary import EngineRole
from qscan_kit.content import ContentSource


@dataclass(frozen=True)
class Examined:
    """What an engine says of some content, and the engine as it was when it said so."""

    outcome: Outcome
    card: EngineCard


class Engine(Protocol):
    """An anti-virus engine, which may be several equal daemons.

    It is made once and lives as long as the service; scans run side by side, and the engine itself bounds how many
    of them bother its daemons at a time.
    """

    @property
    def name(self) -> EngineName:
        """Its name in reports, settings and metrics."""
        ...

    @property
    def role(self) -> EngineRole:
        """What it is asked for."""
        ...

    @property
    def card(self) -> EngineCard:
        """The engine as it is now; versions are empty as long as it was never reached."""
        ...

    async def scan(self, content: ContentSource, *, timeout_s: float) -> Examined:
        """Look at all of `content`, which may be read more than once, and answer within `timeout_s`.

        Never raises for what the engine or its network does: each such case is an `Unscanned` outcome. `Clean` means
        that the engine got every byte and said exactly its word for clean. It raises only for a bug of ours, or when
        it is cancelled.
        """
        ...
