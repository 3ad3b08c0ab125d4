"""Lists of MAPI properties as they are in TNEF (MS-OXTNEF 2.1.3.4)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening.members import UnreadableError

STRING8: Final = 0x001E
UNICODE: Final = 0x001F
OBJECT: Final = 0x000D
BINARY: Final = 0x0102

MAX_PROPERTIES: Final = 100_000
"""In one list. Ordinary ones have a hundred."""

_MULTIPLE: Final = 0x1000
_NAMED: Final = 0x8000
_GUID_BYTES: Final = 16
_BY_STRING: Final = 1
_COUNTED: Final = frozenset({STRING8, UNICODE, OBJECT, BINARY})
_FIXED_BYTES: Final = {
    **dict.fromkeys((0x0000, 0x0001, 0x0002, 0x0003, 0x0004, 0x000A, 0x000B), 4),
    **dict.fromkeys((0x0005, 0x0006, 0x0007, 0x0014, 0x0040), 8),
    0x0048: _GUID_BYTES,
}
"""Bytes of a value by its type, filled up to four."""


@dataclass(frozen=True, slots=True)
class Property:
    """One value of a property; one with several values is given as often."""

    id: int
    type: int
    value: memoryview


class _Ended(Exception):  # noqa: N818 -- no error: whoever catches it says what it means
    """There are fewer bytes than stated."""


class _Cursor:
    def __init__(self, data: memoryview) -> None:
        self._data, self._at = data, 0

    def number(self, size: int = 4) -> int:
        return int.from_bytes(self.content(size), "little")

    def content(self, size: int) -> memoryview:
        start = self._at
        self._at += size
        if self._at > len(self._data):
            raise _Ended
        return self._data[start : self._at]

    def padded(self, size: int) -> memoryview:
        """Take content that is filled up to four bytes, at the list's end perhaps not."""
        content = self.content(size)
        self._at += -size % 4
        return content


def properties(data: memoryview) -> Iterator[Property]:
    """Yield the properties of a list.

    Raises:
        UnreadableError: `not_unpackable`, behind those that could be read: the list ends too early, has a type that
            is not known, or is longer than any is.
    """
    cursor = _Cursor(data)
    try:
        stated = cursor.number()
        for _ in range(min(stated, MAX_PROPERTIES)):
            type_, id_ = cursor.number(2), cursor.number(2)
            if id_ >= _NAMED:
                _skip_name(cursor)
            yield from _values(cursor, id_, type_)
    except _Ended:
        raise UnreadableError(UnscannedReason.NOT_UNPACKABLE, "MAPI properties end too early") from None
    if stated > MAX_PROPERTIES:
        raise UnreadableError(UnscannedReason.OVER_BUDGET, f"over {MAX_PROPERTIES} MAPI properties")


def _values(cursor: _Cursor, id_: int, type_: int) -> Iterator[Property]:
    base = type_ & ~_MULTIPLE
    counted = base in _COUNTED
    if not counted and base not in _FIXED_BYTES:
        raise UnreadableError(UnscannedReason.NOT_UNPACKABLE, f"MAPI property of type {type_:#06x}")
    # What has a length of its own has a number of values before it, even if there can be but one.
    for _ in range(cursor.number() if counted or type_ & _MULTIPLE else 1):
        yield Property(id_, base, cursor.padded(cursor.number() if counted else _FIXED_BYTES[base]))


def _skip_name(cursor: _Cursor) -> None:
    cursor.content(_GUID_BYTES)
    if cursor.number() == _BY_STRING:
        cursor.padded(cursor.number())
    else:
        cursor.number()
