"""Scan ids: 26 letters and digits that sort by time (the layout of ULID)."""

from qscan_contracts.ids import ScanId

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no letters that are mistaken for digits."""
RANDOM_BYTES = 10
_TIME_BYTES = 6
_LENGTH = 26


def scan_id(now_ms: int, random: bytes) -> ScanId:
    """An id of the time in milliseconds since 1970 and of `RANDOM_BYTES` random bytes."""
    number = int.from_bytes(now_ms.to_bytes(_TIME_BYTES, "big") + random, "big")
    digits = ""
    for _ in range(_LENGTH):
        number, rest = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[rest] + digits
    return ScanId(digits)
