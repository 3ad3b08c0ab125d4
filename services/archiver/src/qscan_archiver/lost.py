"""Messages that somebody was told are safe, and that are nowhere: there should never be one."""

from qscan_contracts.ids import ScanId
from qscan_kit import metrics
from qscan_kit.health import Health
from qscan_kit.log import get_logger

_SHOWN = 5
_log = get_logger()


class LostMessages:
    """Which ones are missing now. It is asked for each of them again and again, in case it comes back."""

    def __init__(self) -> None:
        """None so far."""
        self._missing: dict[ScanId, str] = {}

    def __len__(self) -> int:
        """How many are missing."""
        return len(self._missing)

    def __contains__(self, scan_id: object) -> bool:
        """Whether this one is missing."""
        return scan_id in self._missing

    def report(self, scan_id: ScanId, reason: str) -> None:
        """A message is neither in the store nor in the quarantine, or is damaged."""
        _log.error("accepted message is missing", scan_id=scan_id, reason=reason)
        self._missing[scan_id] = reason
        metrics.MISSING_MESSAGES.set(len(self._missing))

    def found(self, scan_id: ScanId) -> None:
        """It is in the quarantine."""
        if self._missing.pop(scan_id, None) is not None:
            _log.warning("missing message is back", scan_id=scan_id)
            metrics.MISSING_MESSAGES.set(len(self._missing))

    async def health(self) -> Health:
        """Not ok while one is missing, so that somebody looks."""
        if not self._missing:
            return Health(ok=True, detail="no accepted message is missing")
        some = ", ".join(list(self._missing)[:_SHOWN])
        return Health(
            ok=False,
            detail=f"{len(self._missing)} accepted messages are missing from the store ({some}): "
            "bring the stream's files back from a backup, or ask the senders",
        )
