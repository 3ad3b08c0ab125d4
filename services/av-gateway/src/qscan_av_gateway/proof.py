"""The proof that a clamd does what qscan relies on. A clamd that fails it is not used (DESIGN §7: closed by default).

A clamd says `OK` for what it did not look at unless its clamd.conf says otherwise, and says `OK` to everything while
it has no signatures. So it is asked about content whose right answer is known.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from qscan_av_gateway import probes
from qscan_contracts.reports import Clean, Detected, Outcome, Unscanned
from qscan_contracts.vocabulary import UnscannedReason
from qscan_kit.content import ContentSource

Scan = Callable[[ContentSource], Awaitable[Outcome]]


@dataclass(frozen=True)
class Probe:
    """One question of the proof; `cure` says what to do when the answer is wrong."""

    name: str
    make: Callable[[], bytes]
    is_right: Callable[[Outcome], bool]
    cure: str


def _is_clean(outcome: Outcome) -> bool:
    return isinstance(outcome, Clean)


def _is_detected(outcome: Outcome) -> bool:
    return isinstance(outcome, Detected)


def _is_not_clean(outcome: Outcome) -> bool:
    # Some signature may know a quine when it sees one; only an answer that another try can change proves nothing.
    return isinstance(outcome, Detected) or (isinstance(outcome, Unscanned) and not outcome.retryable)


def _is_encrypted(outcome: Outcome) -> bool:
    return isinstance(outcome, Unscanned) and outcome.reason is UnscannedReason.ENCRYPTED


PROBES = (
    Probe(
        "a harmless text",
        probes.clean,
        _is_clean,
        "see clamd's log: its temporary directory may be full, or a signature matches everything",
    ),
    Probe(
        "the EICAR test file",
        probes.virus,
        _is_detected,
        "it has no signatures: run freshclam and look at DatabaseDirectory in its clamd.conf",
    ),
    Probe(
        f"{probes.NESTED_ZIPS} zip files around each other",
        probes.nested_zips,
        _is_not_clean,
        f"set AlertExceedsMax yes, and MaxRecursion below {probes.NESTED_ZIPS}, in its clamd.conf and restart it",
    ),
    Probe(
        "an encrypted zip file",
        probes.encrypted_zip,
        _is_encrypted,
        "set AlertEncryptedArchive yes in its clamd.conf and restart it",
    ),
    Probe(
        "an encrypted PDF",
        probes.encrypted_pdf,
        _is_encrypted,
        "set AlertEncryptedDoc yes in its clamd.conf and restart it",
    ),
    Probe(
        "EICAR behind an encrypted member of a zip file",
        probes.virus_beside_encrypted,
        _is_detected,
        "set HeuristicScanPrecedence no in its clamd.conf and restart it",
    ),
)


async def prove(scan: Scan) -> str | None:
    """Ask all questions in turn; ``None`` when every answer is right, else what is wrong and what to do about it."""
    for probe in PROBES:
        outcome = await scan(probes.content(probe.make()))
        if not probe.is_right(outcome):
            if isinstance(outcome, Unscanned) and outcome.retryable:
                return f"could not be proved with {probe.name}: {outcome.reason.value} ({outcome.detail})"
            return f"refused: it calls {probe.name} {_words(outcome)}; {probe.cure}"
    return None


def _words(outcome: Outcome) -> str:
    match outcome:
        case Clean():
            return "clean"
        case Detected(signature_name):
            return signature_name
        case Unscanned(reason, _, detail):
            return f"{reason.value} ({detail})"
