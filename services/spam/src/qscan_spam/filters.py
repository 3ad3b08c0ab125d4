"""The port to a spam filter."""

from typing import Protocol

from qscan_contracts.scanning import SpamScore
from qscan_kit.health import Health


class SpamFilterClient(Protocol):
    """A spam filter. Safe for use by several requests at once; nothing is kept between two of them."""

    @property
    def engine(self) -> str:
        """What scores carry as `engine`."""
        ...

    async def score(self, message: bytes, *, user: str | None, timeout_s: float) -> SpamScore:
        """Score a raw message, within `timeout_s`.

        Never raises for anything that the filter or its network does: every such case is a score without numbers,
        whose `detail` begins with one of `Unscored`. It raises only for a bug of ours, or when cancelled.

        Args:
            message: as it was received.
            user: whose preferences to use; already checked to be safe, or None for the site's.
            timeout_s: for everything, connecting included.
        """
        ...

    async def health(self) -> Health:
        """Whether the filter answers; otherwise what is wrong and what to do."""
        ...
