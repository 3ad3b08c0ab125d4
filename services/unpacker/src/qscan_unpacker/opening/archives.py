"""The opener for everything that libarchive reads: tar, 7z, rar, cab, iso, lha, ar, cpio, xar, rpm.

Each format is opened by itself, from the place where its header was recognised, so that a file that is two things is
read as both. What only one format needs is in `rar.py` and `iso9660.py`.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Final
from zlib import crc32

from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening.iso9660 import TREES, survey, tree
from qscan_unpacker.opening.libarchive_reader import Entry, LibarchiveError, entries
from qscan_unpacker.opening.member_names import leads_out, unique
from qscan_unpacker.opening.members import Event, Member, Noted, OpenRequest, Unopened, UnreadableError
from qscan_unpacker.opening.metering import Meter
from qscan_unpacker.opening.rar import HARMLESS_STREAM, RarMember, as_file, rar_members, rar_obstacle
from qscan_unpacker.opening.seven_zip import decrypted, is_encrypted
from qscan_unpacker.opening.signatures import ArchiveFormat, archives_at_start, embedded_archives

_HEAD_BYTES: Final = 1024
_TAR_BLOCK: Final = 512
_CAB_SPANS: Final = 3
"""Flags of a cabinet that goes on in another one, or begins in one (MS-CAB §2.1)."""
MAX_CONCATENATED: Final = 16
"""Tars one behind the other that are followed."""


def open_archive(content: memoryview, request: OpenRequest) -> Iterator[Event]:
    """Open an archive. An `Opener`.

    Raises:
        UnreadableError: a limit was hit, or some of it could not be read; what could be was given before.
    """
    meter = Meter(request)
    obstacles = []
    found = list(_archives(content))
    for archive_format, offset in found:
        if offset:
            yield Noted("archive.surrounded", 0, offset)
        try:
            yield from opened(content[offset:], archive_format, meter, request.passwords)
        except LibarchiveError as error:
            obstacles.append(error.unreadable)
        obstacle = _obstacle(content[offset:], archive_format)
        if obstacle is not None:
            obstacles.append(obstacle)
    if not found:
        raise UnreadableError(UnscannedReason.NOT_UNPACKABLE, "nothing in it is an archive")
    if obstacles:
        raise max(obstacles, key=lambda obstacle: obstacle.reason == UnscannedReason.ENCRYPTED)


def opened(
    content: memoryview, archive_format: ArchiveFormat, meter: Meter, passwords: Sequence[str]
) -> Iterator[Event]:
    """The members of one archive that begins at the first byte.

    Raises:
        LibarchiveError: it cannot be read to its end.
        UnreadableError: a limit was hit.
    """
    match archive_format:
        case ArchiveFormat.RAR4 | ArchiveFormat.RAR5:
            yield from _rar(content, archive_format, meter)
        case ArchiveFormat.SEVEN_ZIP:
            yield from _seven_zip(content, meter, passwords)
        case ArchiveFormat.TAR:
            yield from _tars(content, meter)
        case ArchiveFormat.ISO9660:
            yield from _iso(content, meter)
        case _:
            yield from _plain(content, archive_format, meter)


def _archives(content: memoryview) -> Iterator[tuple[ArchiveFormat, int]]:
    head = bytes(content[:_HEAD_BYTES])
    at_start = list(archives_at_start(content, head))
    if at_start:
        yield from ((archive_format, 0) for archive_format in at_start)
    else:
        executable = head.startswith((b"MZ", b"\x7fELF"))
        yield from embedded_archives(content, 1, len(content), executable=executable)


def _obstacle(content: memoryview, archive_format: ArchiveFormat) -> UnreadableError | None:
    """What the archive's own header says that keeps others from reading all of it."""
    if archive_format in {ArchiveFormat.RAR4, ArchiveFormat.RAR5}:
        return rar_obstacle(content)
    if archive_format == ArchiveFormat.CAB and len(content) > 31 and content[30] & _CAB_SPANS:  # noqa: PLR2004
        return UnreadableError(UnscannedReason.NOT_UNPACKABLE, "one of several cabinets")
    return None


@dataclass(frozen=True)
class _Known:
    """What is known of a member from elsewhere.

    Attributes:
        names: more of them.
        encrypted: the content is, which libarchive may not know.
        was_encrypted: a password fitted.
        crc: the CRC-32 of the content.
    """

    names: Sequence[str] = ()
    encrypted: bool = False
    was_encrypted: bool = False
    crc: int | None = None


_NOTHING: Final = _Known()


def _member(entry: Entry, meter: Meter, known: _Known = _NOTHING) -> Iterator[Event]:
    if entry.is_directory and not entry.size:
        return
    names = unique((*entry.names, *known.names))
    if leads_out(names):
        yield Noted("archive.unsafe_name", entry.position)
    if entry.is_special:
        yield Noted("archive.special_member", entry.position)
    meter.count_member()
    if known.encrypted or entry.is_encrypted:
        yield Noted("archive.encrypted", entry.position)
        yield Unopened(names, entry.size, UnscannedReason.ENCRYPTED, "no password fits")
        return
    content = _Content(entry)
    yield Member(names, meter.metered(content.pieces()), known.was_encrypted)
    if entry.warned or (known.crc is not None and content.crc not in {None, known.crc}):
        yield Noted("archive.size_wrong", entry.position, 0, "checksum or size")
    if content.failure is not None and content.failure.fatal:
        raise content.failure


class _Content:
    """The content of an entry while it is read.

    Attributes:
        failure: what libarchive said when it could not go on.
        crc: CRC-32 of everything; None before the end was reached.
    """

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        self.failure: LibarchiveError | None = None
        self.crc: int | None = None

    def pieces(self) -> Iterator[bytes]:
        is_link = bool(self._entry.link_target) and (self._entry.is_symbolic_link or not self._entry.size)
        crc = 0
        try:
            for piece in _links(self._entry.link_target) if is_link else self._entry.pieces():
                crc = crc32(piece, crc)
                yield piece
        except LibarchiveError as error:
            self.failure = error
            raise error.unreadable from error
        self.crc = crc


def _links(target: Sequence[str]) -> Iterator[bytes]:
    """Where a link leads is all its content."""
    yield from (text.encode("utf-8", "replace") for text in target[:1])


def _rar(content: memoryview, archive_format: ArchiveFormat, meter: Meter) -> Iterator[Event]:
    """What libarchive unpacks; streams, made files; and the names of what it does not get to."""
    listed = list(rar_members(content))
    files = [member for member in listed if not member.stream]
    starts = [member.start for member in files]
    seen = set()
    failure: LibarchiveError | None = None
    try:
        for entry in entries(content, archive_format):
            if entry.is_directory:
                continue
            # libarchive counts what it passed over, such as the signature, to the member behind it.
            index = bisect_left(starts, entry.position)
            seen.add(index)
            known = _Known(encrypted=files[index].encrypted, crc=files[index].crc) if index < len(files) else _NOTHING
            yield from _member(entry, meter, known)
    except LibarchiveError as error:
        failure = error
    for index, member in enumerate(files):
        if index not in seen:
            meter.count_member()
            reason = UnscannedReason.ENCRYPTED if member.encrypted else UnscannedReason.NOT_UNPACKABLE
            why = "split over volumes" if member.split else str(failure or "not reached")
            yield Unopened(member.names, member.size, reason, why)
    for member in listed:
        if member.stream:
            yield from _stream(content, member, archive_format, meter)
    if failure is not None:
        raise failure


def _stream(content: memoryview, member: RarMember, archive_format: ArchiveFormat, meter: Meter) -> Iterator[Event]:
    if member.stream != HARMLESS_STREAM:
        yield Noted("archive.hidden_member", member.start, member.header_end - member.start, "a stream of NTFS")
    if leads_out((member.stream.lstrip(":"),)):
        yield Noted("archive.unsafe_name", member.start)
    meter.count_member()
    if member.encrypted:
        yield Unopened(member.names, member.size, UnscannedReason.ENCRYPTED, "no password fits")
        return
    for entry in entries(memoryview(as_file(content, member)), archive_format):
        yield Member(member.names, meter.metered(_Content(entry).pieces()))
        return


def _iso(content: memoryview, meter: Meter) -> Iterator[Event]:
    """All files of all trees: Windows shows one, Linux another, and they need not hold the same files.

    What they have in common is given once, with the names of all of them.
    """
    wanted = survey(content, meter.limits)
    noted = False
    for number in range(len(TREES)):
        if number and not any(of == number for of, _ in wanted):
            continue
        for index, entry in tree(content, number, meter.limits):
            names = wanted.get((number, index))
            if names is None:
                continue
            if number and not noted:
                yield Noted("archive.inconsistent", 0, 0, "its trees hold different files")
                noted = True
            yield from _member(entry, meter, _Known(names))


def _seven_zip(content: memoryview, meter: Meter, passwords: Sequence[str]) -> Iterator[Event]:
    """As it is, or without its encryption where a password fits."""
    plain = decrypted(content, passwords) if is_encrypted(content) else None
    if plain is None:
        yield from _plain(content, ArchiveFormat.SEVEN_ZIP, meter)
    else:
        yield Noted("archive.encrypted")
        yield from _plain(memoryview(plain), ArchiveFormat.SEVEN_ZIP, meter, was_encrypted=True)


def _plain(
    content: memoryview, archive_format: ArchiveFormat, meter: Meter, *, was_encrypted: bool = False
) -> Iterator[Event]:
    """All members, and when libarchive gives up at the content of one, the names of those behind it."""
    given = 0
    try:
        for entry in entries(content, archive_format):
            given += 1
            yield from _member(entry, meter, _Known(was_encrypted=was_encrypted))
    except LibarchiveError:
        with suppress(LibarchiveError):
            for entry in islice(entries(content, archive_format), given, None):
                if not entry.is_directory:
                    meter.count_member()
                    yield Unopened(entry.names, entry.size, UnscannedReason.NOT_UNPACKABLE, "not reached")
        raise


def _tars(content: memoryview, meter: Meter) -> Iterator[Event]:
    """The tar, and others behind the zeros that end it: `tar -i` and some libraries read on, most do not."""
    start: int | None = 0
    for number in range(MAX_CONCATENATED):
        if start is None:
            return
        if number:
            yield Noted("archive.concatenated", start)
        end = start + _TAR_BLOCK
        for entry in entries(content[start:], ArchiveFormat.TAR):
            end = start + entry.position + _TAR_BLOCK + entry.size
            yield from _member(entry, meter)
        start = _next_tar(content, end)


def _next_tar(content: memoryview, end: int) -> int | None:
    """The next block that is a header of tar, behind at least one block of zeros; `end`: where the last member ends."""
    rest = bytes(content[end:])
    zeros = rest.find(bytes(_TAR_BLOCK))
    if zeros < 0:
        return None
    behind = len(rest) - len(rest[zeros:].lstrip(b"\0"))
    start = (end + behind) // _TAR_BLOCK * _TAR_BLOCK
    is_tar = ArchiveFormat.TAR in archives_at_start(content[start:], bytes(content[start : start + _HEAD_BYTES]))
    return start if is_tar else None
