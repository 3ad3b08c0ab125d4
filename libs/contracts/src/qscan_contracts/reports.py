"""Engine reports: what one engine says of one component. «Did not look» is a value of its own."""

from msgspec import Struct

from qscan_contracts.ids import ComponentPath, EngineName
from qscan_contracts.vocabulary import RETRYABLE_REASONS, EngineRole, UnscannedReason


class Clean(Struct, frozen=True, tag="clean"):
    """The engine looked at every byte and found nothing."""


class Detected(Struct, frozen=True, tag="detected"):
    """The engine found something. `signature_name` is its word, cleaned of what is unsafe in a log or header."""

    signature_name: str


class Unscanned(Struct, frozen=True, tag="unscanned"):
    """The engine did not look, or not at everything.

    `detail` is for the log and for people of the site, who may ask the intake API; never for the sender.
    """

    reason: UnscannedReason
    retryable: bool
    detail: str = ""

    @classmethod
    def because(cls, reason: UnscannedReason, detail: str = "") -> "Unscanned":
        """An unscanned outcome that may be retried exactly if another try can cure the reason."""
        return cls(reason=reason, retryable=reason in RETRYABLE_REASONS, detail=detail)


Outcome = Clean | Detected | Unscanned


class EngineCard(Struct, frozen=True):
    """An engine as it was when it scanned.

    `signatures_version` is the vendor's word plus the epoch of the gateway, which rises at every reload.
    """

    name: EngineName
    role: EngineRole
    engine_version: str
    signatures_version: str


class EngineReport(Struct, frozen=True):
    """What `engine` says of the component at `path`. `cached`: from an earlier scan of the same bytes."""

    path: ComponentPath
    engine: EngineName
    engine_version: str
    signatures_version: str
    outcome: Outcome
    cached: bool = False
