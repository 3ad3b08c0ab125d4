"""Names of before, until all who use them have moved."""

import hashlib

from qscan_contracts.ids import Sha256
from qscan_unpacker.dissection.collecting import Dissection, Found
from qscan_unpacker.dissection.dissector import Dissector as MimeDissector
from qscan_unpacker.dissection.holding import HeldContent, MemoryContent

__all__ = ["Dissection", "Found", "MimeDissector", "content_of"]


def content_of(raw: bytes) -> tuple[HeldContent, Sha256]:
    """A raw message in memory as held content, with its digest."""
    return MemoryContent(raw), Sha256(hashlib.sha256(raw).hexdigest())
