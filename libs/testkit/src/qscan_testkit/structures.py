"""Messages as policy sees them, made from what matters in a test."""

from qscan_contracts.components import CandidateName, Component
from qscan_contracts.envelope import Envelope
from qscan_contracts.ids import RAW_PATH, ComponentPath, Sha256
from qscan_contracts.scanning import MessageStructure
from qscan_contracts.vocabulary import NameSource, Origin

_NO_DIGEST = Sha256("0" * 64)


def named(*names: str, size: int = 10, path: str = "1", origin: Origin = Origin.PART) -> Component:
    """A component with these candidate names."""
    candidates = tuple(CandidateName(name, NameSource.DISPOSITION_FILENAME) for name in names)
    return Component(ComponentPath(path), RAW_PATH, 1, origin, size, _NO_DIGEST, names=candidates)


def structure(
    *components: Component, header: bytes = b"Subject: x\n\n", rcpt_to: tuple[str, ...] = ("bob@example.com",)
) -> MessageStructure:
    """A message of the raw message and these components."""
    raw = Component(RAW_PATH, None, 0, Origin.RAW, 1000, _NO_DIGEST)
    return MessageStructure(Envelope("ann@example.com", rcpt_to), header, (raw, *components), (), raw.size)
