"""What the first headers of a rar say that libarchive cannot get past: encrypted headers, and several volumes.

From the technical notes of rar 4 and rar 5, which their author publishes with the programs.
"""

from struct import unpack_from
from typing import Final

from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening.members import UnreadableError
from qscan_unpacker.opening.signatures import RAR4_MAGIC, RAR5_MAGIC

_RAR4_MAIN: Final = 0x73
_RAR4_VOLUME: Final = 0x0001
_RAR4_ENCRYPTED: Final = 0x0080
_RAR5_MAIN: Final = 1
_RAR5_ENCRYPTION: Final = 4
_RAR5_EXTRA: Final = 0x0001
_RAR5_DATA: Final = 0x0002
_RAR5_VOLUME: Final = 0x0001
_VARIABLE_BYTES: Final = 10


def rar_obstacle(content: memoryview) -> UnreadableError | None:
    """Why the rest of a rar cannot be read; None where its headers say nothing of the kind."""
    head = bytes(content[:64])
    if head.startswith(RAR4_MAGIC) and len(head) >= len(RAR4_MAGIC) + 7:
        _, kind, flags = unpack_from("<HBH", head, len(RAR4_MAGIC))
        encrypted = kind == _RAR4_MAIN and bool(flags & _RAR4_ENCRYPTED)
        volume = kind == _RAR4_MAIN and bool(flags & _RAR4_VOLUME)
    elif head.startswith(RAR5_MAGIC):
        kind, flags = _rar5_first_header(head)
        encrypted = kind == _RAR5_ENCRYPTION
        volume = kind == _RAR5_MAIN and bool(flags & _RAR5_VOLUME)
    else:
        return None
    if encrypted:
        return UnreadableError(UnscannedReason.ENCRYPTED, "its headers are encrypted")
    return UnreadableError(UnscannedReason.NOT_UNPACKABLE, "one of several volumes") if volume else None


def _rar5_first_header(head: bytes) -> tuple[int, int]:
    """Type and, of a main header, archive flags."""
    at = len(RAR5_MAGIC) + 4
    _, at = _variable(head, at)
    kind, at = _variable(head, at)
    flags, at = _variable(head, at)
    for optional in (_RAR5_EXTRA, _RAR5_DATA):
        if flags & optional:
            _, at = _variable(head, at)
    return kind, _variable(head, at)[0]


def _variable(head: bytes, at: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first, and where it ends."""
    value = 0
    for index, byte in enumerate(head[at : at + _VARIABLE_BYTES]):
        value |= (byte & 0x7F) << (7 * index)
        if not byte & 0x80:
            return value, at + index + 1
    return value, len(head)
