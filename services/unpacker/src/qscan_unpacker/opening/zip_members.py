"""One member of a zip: what its headers say, compared, and every reading of its content that some program may have.

Nothing that is stated is believed: a stream ends where it ends, sizes are counted, and where a reading fails or its
checksum is wrong the other ways to read the same bytes are tried («zombie» members: stored, says the header, and
deflated they are; or the other way round).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from stat import S_IFMT, S_ISDIR, S_ISREG
from typing import Final
from zlib import crc32

from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening import zip_encryption
from qscan_unpacker.opening.decoding import (
    DEFLATE,
    DEFLATE64,
    KNOWN_METHODS,
    STORED,
    Decoding,
    Method,
    drained,
    is_supported,
)
from qscan_unpacker.opening.member_names import leads_out, unique
from qscan_unpacker.opening.members import Event, Member, Noted, OpenRequest, Unopened, UnreadableError
from qscan_unpacker.opening.metering import Meter
from qscan_unpacker.opening.signatures import occurrences
from qscan_unpacker.opening.zip_records import (
    DESCRIPTOR,
    ENCRYPTED,
    EXTRA_UNICODE_PATH,
    HAS_DESCRIPTOR,
    METHOD_AES,
    STRONG_ENCRYPTION,
    Header,
)

MAX_MEMBERS_TRIED: Final = 8
"""Encrypted members that all passwords are tried on; when none fitted so many, only what fitted before is tried."""
_SELF_ENDING: Final = frozenset({DEFLATE, DEFLATE64})
"""Streams that tell where they end, whatever the headers say."""
_LOWER_BYTE: Final = 0xFF
_EMPTY_DEFLATE_BYTES: Final = 2
_DESCRIPTOR_BYTES: Final = 8
"""As much of a descriptor as is looked at: its signature, which it may lack, and its checksum."""
_MAX_DESCRIPTOR_PROBES: Final = 1000


@dataclass
class Passwords:
    """The passwords of one request, those that have fitted already first."""

    given: Sequence[str]
    fitted: list[bytes] = field(default_factory=list)
    failures: int = 0

    def to_try(self) -> Iterator[bytes]:
        """Each way to spell each password, once."""
        every = chain(self.fitted, *map(zip_encryption.spellings, self.given))
        yield from dict.fromkeys(self.fitted if self.failures >= MAX_MEMBERS_TRIED else every)


@dataclass
class ZipMember:
    """A member that begins at a local header.

    Attributes:
        local: the header in front of the content.
        listed: what central directories say of it; empty for a member that none lists.
        end: behind the last byte that surely belongs to it; known once its events were iterated.
    """

    content: memoryview
    local: Header
    listed: Sequence[Header]
    meter: Meter
    request: OpenRequest
    passwords: Passwords
    end: int = 0

    def events(self) -> Iterator[Event]:
        """The member, in every reading. Nothing for a folder, nor for what no directory lists and none can read."""
        self.end = self.local.content_at
        if self._is_folder():
            return
        readings = self._readings()
        notes = list(self._notes())
        marks = {bool(header.flags & ENCRYPTED) or header.method == METHOD_AES for header in self._headers}
        plain = marks == {False} or self._is_plain_all_the_same(readings)
        if True in marks and plain:
            notes.append(self._noted("archive.inconsistent", "marked as encrypted, and it is not"))
        if plain or len(marks) > 1:
            yield from self._plain(readings, notes)
        else:
            yield from notes
        if not plain:
            yield from self._encrypted()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All names of all headers."""
        return unique(name for header in self._headers for name in header.names)

    @property
    def _headers(self) -> tuple[Header, ...]:
        return (*self.listed, self.local)

    @property
    def _sizes(self) -> list[int]:
        """Every stated number of compressed bytes that fits into the file, the first one first."""
        room = len(self.content) - self.local.content_at
        stated = dict.fromkeys(header.compressed_size for header in self._headers if not header.sizes_follow)
        return [size for size in stated if size <= room]

    def _is_folder(self) -> bool:
        return all(name.endswith("/") for name in self.names) and not any(
            header.size or header.compressed_size > _EMPTY_DEFLATE_BYTES for header in self._headers
        )

    def _readings(self) -> list[Decoding]:
        """The content by each method and size that a header states."""
        sizes = self._sizes or [self._size_by_descriptor()]
        readings: dict[tuple[int, int], Decoding] = {}
        for header in self._headers:
            stated = header.aes[1] if header.aes is not None else header.method
            # Some readers look at the lower byte only.
            for method in dict.fromkeys((stated, stated & _LOWER_BYTE)):
                whole = method in _SELF_ENDING
                for size in (None,) if whole else (sizes if method == STORED else (max(sizes),)):
                    decoding = self._decoding(method, size)
                    readings.setdefault((method, len(decoding.content)), decoding)
        return list(readings.values())

    def _decoding(self, method: Method, size: int | None) -> Decoding:
        """A reading of `size` bytes, or of everything behind the header."""
        start = self.local.content_at
        view = self.content[start:] if size is None else self.content[start : start + size]
        stated = next((header for header in self._headers if header.size), self.local)
        return Decoding(method, view, size=stated.size, crc=stated.crc)

    def _size_by_descriptor(self) -> int:
        """How long stored content is whose header does not know: up to a descriptor that says so (§4.3.9)."""
        start = self.local.content_at
        for probe, at in enumerate(occurrences(self.content, DESCRIPTOR, start)):
            if int.from_bytes(self.content[at + 8 : at + 12], "little") == at - start or probe > _MAX_DESCRIPTOR_PROBES:
                return at - start
        return len(self.content) - start

    def _notes(self) -> Iterator[Noted]:
        for header in self.listed:
            for difference in _differences(self.local, header):
                yield self._noted("archive.inconsistent", difference)
        if any(_unicode_path_lies(header) for header in self._headers):
            yield self._noted("archive.inconsistent", "the Unicode name is another one")
        if any(header.method > _LOWER_BYTE for header in self._headers):
            yield self._noted("archive.inconsistent", "there is no such method, but readers take a part of its number")
        if leads_out(self.names):
            yield self._noted("archive.unsafe_name", "")
        modes = {header.attributes >> 16 for header in self.listed if S_IFMT(header.attributes >> 16)}
        if any(not S_ISREG(mode) and not S_ISDIR(mode) for mode in modes):
            yield self._noted("archive.special_member", "")

    def _plain(self, readings: Sequence[Decoding], notes: Sequence[Noted]) -> Iterator[Event]:
        yielded = False
        for decoding in readings:
            for event in self._opened(decoding):
                # Of what no directory lists nothing is said before it has proved to be a member.
                yield from () if yielded else notes
                yielded = True
                yield event
        for decoding, why in self._other_readings(readings):
            yield from () if yielded else notes
            yield self._noted("archive.method_wrong", why)
            yield from self._opened(decoding, stated=False)
            yielded = True
        if not yielded and (self.listed or readings[0].method in KNOWN_METHODS):
            yield from notes
            self.meter.count_member()
            size = max(header.size for header in self._headers)
            failure = readings[0].failure
            reason = failure.reason if failure is not None else UnscannedReason.NOT_UNPACKABLE
            yield Unopened(self.names, size, reason, readings[0].error)
        self._settle_end(readings)

    def _opened(self, decoding: Decoding, *, stated: bool = True, encrypted: bool = False) -> Iterator[Event]:
        """A member for this reading, unless not one byte can be had; then what was wrong with its size.

        `stated`: some header states this reading. Of others it says nothing.
        """
        if not is_supported(decoding.method):
            why = f"method {decoding.method} of zip is not known here"
            decoding.failure = UnreadableError(UnscannedReason.NOT_UNPACKABLE, why)
            return
        pieces = decoding.pieces()
        first = next(pieces, None)
        if first is None and decoding.error:
            return
        self.meter.count_member()
        yield Member(self.names, self._checked(chain(() if first is None else (first,), pieces), decoding), encrypted)
        pieces.close()
        if stated and decoding.complete and not encrypted and self._lacks_descriptor(decoding):
            yield self._noted("archive.inconsistent", "no descriptor where the header promises one")
        if stated and decoding.complete and (wrong := self._wrong(decoding, encrypted=encrypted)):
            yield self._noted("archive.size_wrong", wrong)

    def _checked(self, pieces: Iterator[bytes], decoding: Decoding) -> Iterator[bytes]:
        yield from self.meter.metered(pieces)
        if decoding.failure is not None:
            raise decoding.failure

    def _wrong(self, decoding: Decoding, *, encrypted: bool) -> str:
        for header in self._headers:
            if header.sizes_follow:
                continue
            if header.size != decoding.produced:
                return f"{header.size} bytes stated, {decoding.produced} found"
            if header.crc != decoding.crc and not (header.method == METHOD_AES and header.crc == 0):
                return "another checksum"
            if decoding.method == DEFLATE and not encrypted and header.compressed_size != decoding.consumed:
                return f"{header.compressed_size} compressed bytes stated, {decoding.consumed} found"
        return ""

    def _lacks_descriptor(self, decoding: Decoding) -> bool:
        """Whether the header says that sizes follow, and they do not: readers that wait for them read on (§4.3.9)."""
        if not self.local.flags & HAS_DESCRIPTOR or decoding.method not in {STORED, DEFLATE}:
            return False
        end = self.local.content_at + decoding.consumed
        behind = bytes(self.content[end : end + _DESCRIPTOR_BYTES])
        return decoding.crc.to_bytes(4, "little") not in {behind[:4], behind[4:8] if behind[:4] == DESCRIPTOR else b""}

    def _other_readings(self, readings: Sequence[Decoding]) -> Iterator[tuple[Decoding, str]]:
        """Readings by a method that no header states, where the bytes speak for it."""
        methods = {decoding.method for decoding in readings}
        stored = next((decoding for decoding in readings if decoding.method == STORED), None)
        if stored is not None and DEFLATE not in methods and stored.complete:
            sound = not self._wrong(stored, encrypted=False)
            probe = self._probe(self._decoding(DEFLATE, len(stored.content) if sound else None))
            if probe.complete and probe.produced and (not sound or probe.consumed == len(stored.content)):
                yield self._decoding(DEFLATE, None), "says stored, is deflated"
        failed = [decoding for decoding in readings if decoding.error]
        if not failed or len(failed) < len(readings):
            return
        if DEFLATE not in methods:
            probe = self._probe(self._decoding(DEFLATE, None))
            if probe.complete and probe.produced:
                yield self._decoding(DEFLATE, None), f"says method {failed[0].method}, is deflated"
        for size in self._sizes:
            view = self._decoding(STORED, size)
            if size and any(header.crc == crc32(view.content) or header.size == size for header in self._headers):
                yield view, f"says method {failed[0].method}, is stored"
                return

    def _is_plain_all_the_same(self, readings: Sequence[Decoding]) -> bool:
        """Marked as encrypted to keep scanners out, while some readers do not care for the mark."""
        if any(header.method == METHOD_AES for header in self._headers):
            return False
        probes = (
            self._probe(self._decoding(one.method, len(one.content))) for one in readings if is_supported(one.method)
        )
        stated = {(header.size, header.crc) for header in self._headers}
        return any(probe.complete and (probe.produced, probe.crc) in stated for probe in probes)

    def _encrypted(self) -> Iterator[Event]:
        yield self._noted("archive.encrypted", "")
        size = self._sizes[0] if self._sizes else self._size_by_descriptor()
        self.end = self.local.content_at + size
        found = self._by_password(size)
        if found is not None:
            yield from self._opened(found, encrypted=True)
            return
        self.meter.count_member()
        stated = max(header.size for header in self._headers)
        yield Unopened(self.names, stated, UnscannedReason.ENCRYPTED, "none of the passwords tried fits")

    def _by_password(self, size: int) -> Decoding | None:
        """The content by the first password that gives the right checksum, or else one that gives a whole stream."""
        stored = self.content[self.local.content_at : self.local.content_at + size]
        headers = [header for header in self._headers if zip_encryption.is_breakable(header)]
        second_best: Decoding | None = None
        for password in self.passwords.to_try():
            for header in headers:
                plain = zip_encryption.decrypted(header, stored, password)
                method = header.aes[1] if header.aes is not None else header.method
                if plain is None or not is_supported(method):
                    continue
                view = memoryview(plain)
                probe = self._probe(Decoding(method, view, size=header.size, crc=header.crc))
                found = Decoding(method, view, size=header.size, crc=header.crc)
                if probe.complete and not self._wrong(probe, encrypted=True):
                    if password not in self.passwords.fitted:
                        self.passwords.fitted.append(password)
                    return found
                if probe.complete and (header.aes is not None or method != STORED):
                    second_best = second_best or found
        self.passwords.failures += second_best is None
        return second_best

    def _probe(self, decoding: Decoding) -> Decoding:
        return drained(decoding, self.request.max_member_bytes)

    def _settle_end(self, readings: Sequence[Decoding]) -> None:
        """Where to look for the next header: where the shortest reading ends, so that none is passed over."""
        used = min((decoding.consumed for decoding in readings if decoding.consumed), default=0)
        self.end = self.local.content_at + min([used, *self._sizes])

    def _noted(self, id_: str, detail: str) -> Noted:
        return Noted(id_, self.local.at, self.local.end - self.local.at, detail)


def _differences(local: Header, central: Header) -> Iterator[str]:
    """What the two headers of a member say differently, each of which some reader believes (APPNOTE §4.4)."""
    if local.name != central.name:
        yield "local and central name differ"
    if local.method != central.method:
        yield "local and central method differ"
    if (local.flags ^ central.flags) & (ENCRYPTED | STRONG_ENCRYPTION):
        yield "local and central header differ on encryption"
    if local.sizes_follow:
        return
    if (local.size, local.compressed_size) != (central.size, central.compressed_size):
        yield "local and central size differ"
    if local.crc != central.crc:
        yield "local and central checksum differ"


def _unicode_path_lies(header: Header) -> bool:
    """The Unicode path is there for what the name cannot say; a name in ASCII can say it all."""
    unicode_path = header.extra.get(EXTRA_UNICODE_PATH, b"")[5:]
    return bool(unicode_path) and header.name.isascii() and b"?" not in header.name and unicode_path != header.name
