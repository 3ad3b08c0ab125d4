"""What a zip file's end records and central directories say, in every way that readers read them.

Readers start from the end: which end record, which of the places where the directory may be, whether zip64 values
count, to what the offsets are relative. Here every directory that some reader would find is found, and where they
differ it is noted. Whether a local header is listed anywhere is known afterwards.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate, islice
from typing import Final

from qscan_unpacker.opening.kinds import END_RECORD, LOCAL_HEADER
from qscan_unpacker.opening.members import Noted
from qscan_unpacker.opening.signatures import occurrences
from qscan_unpacker.opening.zip_records import (
    ARCHIVE_EXTRA,
    CENTRAL_HEADER,
    FULL_16,
    MASKED_HEADER,
    EndRecord,
    Header,
    central_header,
    end_record,
    local_header,
    stands_at,
)

MAX_END_RECORDS: Final = 64
"""End records that are followed, beside those within members that the last one lists. A zip has one."""
MAX_LISTED_FACTOR: Final = 4
"""Central headers that are read, for each member that may be opened: several may name the same one."""
_MAX_END_PROBES: Final = 100_000


@dataclass(frozen=True, slots=True)
class Listed:
    """A member as a central directory lists it. `end_record_at` names the directory."""

    header: Header
    end_record_at: int


@dataclass
class Layout:
    """All directories of a file.

    Attributes:
        listed: by the offset of the local header that is meant.
        end_records: those whose directory could be read, in their order.
        notes: what is inconsistent.
        encrypted: a central directory is encrypted.
        volumes: it is one of several volumes.
        overflow: there are more records than are read.
    """

    listed: dict[int, list[Listed]] = field(default_factory=dict)
    end_records: list[EndRecord] = field(default_factory=list)
    notes: list[Noted] = field(default_factory=list)
    encrypted: bool = False
    volumes: bool = False
    overflow: bool = False


def read_layout(content: memoryview, *, max_members: int) -> Layout:
    """Follow the last end record, which is the one that most readers take, and every other one."""
    layout = Layout()
    records = _end_records(content)
    left = max_members * MAX_LISTED_FACTOR
    last = records[-1:]
    for record in last:
        left -= _follow(content, record, layout, left)
    extents = _Extents(content, layout)
    others = [record for record in records[:-1] if record.at not in extents]
    layout.overflow = layout.overflow or len(others) > MAX_END_RECORDS
    for record in others[:MAX_END_RECORDS]:
        left -= _follow(content, record, layout, left)
    layout.end_records.sort(key=lambda record: record.at)
    return layout


def _end_records(content: memoryview) -> list[EndRecord]:
    found = (end_record(content, at) for at in islice(occurrences(content, END_RECORD), _MAX_END_PROBES))
    return [record for record in found if record is not None]


class _Extents:
    """Where the listed members are, as far as what the directory says is true: zips in zips are no second archive."""

    def __init__(self, content: memoryview, layout: Layout) -> None:
        found = []
        for at, listed in sorted(layout.listed.items()):
            local = local_header(content, at)
            if local is not None:
                found.append((at, local.end + max(one.header.compressed_size for one in listed)))
        self._starts = [start for start, _ in found]
        self._ends = list(accumulate((end for _, end in found), max))

    def __contains__(self, at: int) -> bool:
        index = bisect_right(self._starts, at) - 1
        return index >= 0 and at < self._ends[index]


def _follow(content: memoryview, record: EndRecord, layout: Layout, left: int) -> int:
    """Read the directories that an end record may mean; the number of central headers that were read."""
    starts = dict(_starts(content, record))
    if not starts:
        if record.claims[0][:2] == (0, 0):
            layout.end_records.append(record)  # an empty archive
        elif _is_encrypted(content, record):
            layout.end_records.append(record)
            layout.encrypted = True
        return 0
    layout.end_records.append(record)
    layout.volumes = layout.volumes or record.volumes
    if len(starts) > 1 or len(record.claims) > 1:
        _note(layout, record, "the end record fits several central directories")
    read = 0
    for (start, base), number in starts.items():
        count = 0
        for header in islice(_directory(content, start, record.at), max(left - read, 0)):
            count += 1
            layout.listed.setdefault(_meant(content, header, base), []).append(Listed(header, record.at))
            layout.encrypted = layout.encrypted or bool(header.flags & MASKED_HEADER)
        read += count
        if read >= left:
            layout.overflow = True
        elif count & FULL_16 != number & FULL_16:
            _note(layout, record, f"{number} members stated, {count} listed")
    return read


def _starts(content: memoryview, record: EndRecord) -> Iterator[tuple[tuple[int, int], int]]:
    """Each directory that the record may mean: (start, what offsets are relative to), stated number of members."""
    for number, size, offset in record.claims:
        for start in (record.directory_end - size, record.at - size, offset):
            if stands_at(content, start, CENTRAL_HEADER) and start < record.at:
                yield (start, start - offset), number


def _directory(content: memoryview, start: int, end: int) -> Iterator[Header]:
    """Central headers one behind the other, as far as they go: neither the stated number nor the size is believed."""
    at = start
    while at < end and (header := central_header(content, at)) is not None:
        yield header
        at = header.end


def _meant(content: memoryview, header: Header, base: int) -> int:
    """Where the local header is: offsets count from the archive's start, or, wrongly, from the file's."""
    for at in (base + header.local_at, header.local_at):
        if stands_at(content, at, LOCAL_HEADER):
            return at
    return base + header.local_at


def _is_encrypted(content: memoryview, record: EndRecord) -> bool:
    """Strong encryption puts an archive extra data record, or nothing readable, before the directory (APPNOTE §7.3)."""
    return any(
        stands_at(content, start, ARCHIVE_EXTRA)
        for _, size, offset in record.claims
        for start in (record.directory_end - size, offset)
    )


def _note(layout: Layout, record: EndRecord, detail: str) -> None:
    layout.notes.append(Noted("archive.inconsistent", record.at, record.end - record.at, detail))
