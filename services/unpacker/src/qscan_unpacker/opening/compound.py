"""Compound files (OLE, MS-CFB): the directory and the streams. Never trusts a size or an index, never recurses.

A reader of our own, because olefile 0.47 is made for well-formed files: it follows a looping list of FAT sectors as
often as the header says, compares each stream with all before it, recurses along the directory's tree, does not list
what the tree leaves out and drops a whole stream where its chain breaks. Everything here is linear in the file's size.
"""

import struct
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice
from typing import Final

from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening.code_pages import utf16
from qscan_unpacker.opening.members import PIECE_BYTES, UnreadableError

MAGIC: Final = bytes.fromhex("d0cf11e0a1b11ae1")
MINI_CUTOFF_BYTES: Final = 4096
"""Streams below it lie in the mini stream. The header states it too; every reader in use wants this value there."""

_HEADER_BYTES: Final = 512
_HEADER: Final = struct.Struct("<8s16sHHHHH6sIIIIIIIII")
_SECTOR_SHIFTS: Final = (9, 12)
_MINI_SECTOR_BYTES: Final = 64
_ENTRY: Final = struct.Struct("<64sHBBIII36sIQ")
_FREE: Final = 0xFFFFFFFF
_MAX_PATH_CHARS: Final = 512
"""Of a path the end is kept: a chain of nested storages would cost the square of its length."""


class EntryType(IntEnum):
    """Types of directory entries (MS-CFB 2.6.1) that have a meaning here; others are taken for streams."""

    EMPTY = 0
    STORAGE = 1
    STREAM = 2
    ROOT = 5


@dataclass(frozen=True)
class Stream:
    """A stream. `parent` and `path` are joined by ``/``; `size` is what the directory states, in bytes."""

    parent: str
    name: str
    size: int
    start: int
    listed: bool
    """Whether the directory's tree leads to it."""

    @property
    def path(self) -> str:
        """Where it is, as far as the directory tells."""
        return f"{self.parent}/{self.name}" if self.parent else self.name


class CompoundFile:
    """A compound file in memory, owned by the caller."""

    def __init__(self, data: memoryview) -> None:
        """Read header, allocation tables and directory.

        Raises:
            UnreadableError: `not_unpackable`: no compound file, or its header makes no sense.
        """
        if len(data) < _HEADER_BYTES or data[:8] != MAGIC:
            raise UnreadableError(UnscannedReason.NOT_UNPACKABLE, "no header of a compound file")
        header = _HEADER.unpack_from(data)
        shift: int = header[5]
        if shift not in _SECTOR_SHIFTS:
            raise UnreadableError(UnscannedReason.NOT_UNPACKABLE, f"compound file with sectors of 2**{shift} bytes")
        self._data = data
        self._sector_bytes = 1 << shift
        self._sectors = -(-len(data) // self._sector_bytes) - 1
        self._fat_sectors = -(-self._sectors // (self._sector_bytes // 4))
        self._stated_fat_sectors, self._stated_mini_fat_sectors = header[9], header[14]
        self.stated_cutoff: int = header[12]
        directory, mini_fat, difat = header[10], header[13], header[15]
        self._fat = self._load_fat(data[76:_HEADER_BYTES], difat)
        self._mini_fat = _table(b"".join(self._chained(mini_fat)))
        entries = [_Entry(raw, shift) for raw in _ENTRY.iter_unpack(_whole_entries(b"".join(self._chained(directory))))]
        root = entries[0] if entries else None
        if root is None or root.type != EntryType.ROOT:
            raise UnreadableError(UnscannedReason.NOT_UNPACKABLE, "compound file without a root")
        self._mini_stream = b"".join(self._chained(root.start)) if root.size else b""
        self._root_bytes = root.size
        self.entries = len(entries)
        self.streams = list(_streams(entries))

    @property
    def is_consistent(self) -> bool:
        """Whether no size and no number of sectors is larger than what the file has."""
        return (
            self._stated_fat_sectors <= self._fat_sectors + 1
            and self._stated_mini_fat_sectors <= self._sectors
            and self._root_bytes <= len(self._mini_stream)
            and all(self.available(stream) == stream.size for stream in self.streams)
        )

    def available(self, stream: Stream) -> int:
        """How many bytes of a stream are there: its size, or less where its chain ends early or loops."""
        table, _, unit = self._place(stream)
        sectors = sum(1 for _ in islice(_chain(table, stream.start), -(-stream.size // unit)))
        return min(stream.size, sectors * unit)

    def read(self, stream: Stream) -> Iterator[bytes]:
        """Yield what is there of a stream."""
        table, source, unit = self._place(stream)
        left = stream.size
        for piece in _read_chain(islice(_chain(table, stream.start), -(-left // unit)), source, unit):
            yield piece[:left]
            left -= len(piece)

    def head(self, stream: Stream, max_bytes: int) -> bytes:
        """Return the first bytes of a stream."""
        head = bytearray()
        for piece in self.read(stream):
            head += piece
            if len(head) >= max_bytes:
                break
        return bytes(head[:max_bytes])

    def _place(self, stream: Stream) -> tuple["array[int]", memoryview, int]:
        """Return the table that a stream's chain is in, what its numbers count into, and the bytes of each."""
        if stream.size < MINI_CUTOFF_BYTES:
            return self._mini_fat, memoryview(self._mini_stream), _MINI_SECTOR_BYTES
        return self._fat, self._data[self._sector_bytes :], self._sector_bytes

    def _chained(self, start: int) -> Iterator[bytes]:
        return _read_chain(_chain(self._fat, start), self._data[self._sector_bytes :], self._sector_bytes)

    def _sector(self, number: int) -> bytes:
        """Return a sector, filled up with ones where the file does not have it: a table then says «free»."""
        start = (number + 1) * self._sector_bytes
        return bytes(self._data[start : start + self._sector_bytes]).ljust(self._sector_bytes, b"\xff")

    def _load_fat(self, first: memoryview, difat: int) -> "array[int]":
        """Join the FAT. It ends where it covers the file, so a list of its sectors that loops ends as well."""
        fat = array("I")
        numbers = _table(first)
        while len(fat) < self._sectors and numbers:
            following = numbers.pop() if len(numbers) * 4 == self._sector_bytes else difat
            for number in islice(numbers, self._fat_sectors - len(fat) * 4 // self._sector_bytes):
                fat.frombytes(self._sector(number))
            numbers = _table(self._sector(following)) if following < self._sectors else array("I")
        return _native(fat)[: self._sectors]


class _Entry:
    """A directory entry (MS-CFB 2.6.1)."""

    def __init__(self, raw: tuple[bytes, int, int, int, int, int, int, bytes, int, int], shift: int) -> None:
        name, name_bytes, self.type, _, self.left, self.right, self.child, _, self.start, self.size = raw
        self.name = utf16(name[:name_bytes] if name_bytes else name)
        if shift == _SECTOR_SHIFTS[0]:
            self.size &= 0xFFFFFFFF  # The upper half is not written in files with small sectors (MS-CFB 2.6.3).

    def stream(self, parent: str, *, listed: bool) -> Stream:
        return Stream(parent, self.name, self.size, self.start, listed)


def _streams(entries: list[_Entry]) -> Iterator[Stream]:
    """Walk the tree from the root, each entry once, then give what the tree does not lead to."""
    seen = {0}
    waiting = [(entries[0].child, "")]
    while waiting:
        number, parent = waiting.pop()
        if number in seen or number >= len(entries):
            continue
        seen.add(number)
        entry = entries[number]
        waiting += [(entry.right, parent), (entry.left, parent)]
        if entry.type == EntryType.STORAGE:
            waiting.append((entry.child, f"{parent}/{entry.name}".strip("/")[-_MAX_PATH_CHARS:]))
        elif entry.type != EntryType.EMPTY:
            yield entry.stream(parent, listed=True)
    for number, entry in enumerate(entries):
        if number not in seen and entry.type not in {EntryType.EMPTY, EntryType.STORAGE}:
            yield entry.stream("", listed=False)


def _chain(table: "array[int]", start: int) -> Iterator[int]:
    """Follow a chain of sectors, at most as far as there are sectors."""
    for _ in range(len(table)):
        if start >= len(table):
            return
        yield start
        start = table[start]


def _read_chain(chain: Iterator[int], source: memoryview, unit: int) -> Iterator[bytes]:
    """Read sectors, those that follow each other in one piece."""
    first = end = 0
    for number in chain:
        if number == end and (end - first) * unit < PIECE_BYTES:
            end += 1
            continue
        if end > first:
            yield bytes(source[first * unit : end * unit])
        first, end = number, number + 1
    if end > first:
        yield bytes(source[first * unit : end * unit])


def _table(raw: bytes | memoryview) -> "array[int]":
    table = array("I")
    table.frombytes(raw[: len(raw) & ~3])
    return _native(table)


def _native(table: "array[int]") -> "array[int]":
    if sys.byteorder == "big":
        table.byteswap()
    return table


def _whole_entries(directory: bytes) -> bytes:
    return directory[: len(directory) // _ENTRY.size * _ENTRY.size]
