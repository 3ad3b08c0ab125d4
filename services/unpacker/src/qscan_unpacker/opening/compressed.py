"""The opener for one compressed file: gzip, bzip2, xz, lzma, lzip, zstd, lz4, compress.

gzip is taken apart here (RFC 1952), since its members have names and checksums of their own: most programs show them as
one file, some only the first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from struct import unpack_from
from typing import Final

from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening.decoding import DEFLATE, Decoding
from qscan_unpacker.opening.kinds import archive_claimed_to_be_lzma
from qscan_unpacker.opening.member_names import decoded, leads_out, unique
from qscan_unpacker.opening.members import Event, Member, Noted, OpenRequest, UnreadableError
from qscan_unpacker.opening.metering import Meter
from qscan_unpacker.opening.signatures import Compression, compression

MAX_SEPARATE: Final = 16
"""Members of a gzip that are also given one by one. Parallel compressors make more, of one file."""

_MAX_GZIP_MEMBERS: Final = 100_000
_MAX_GZIP_HEADER_BYTES: Final = 128 * 1024
_GZIP_MAGIC: Final = b"\x1f\x8b\x08"
_GZIP_TRAILER_BYTES: Final = 8
_HEADER_CHECKSUM, _EXTRA, _NAME, _COMMENT = 0x02, 0x04, 0x08, 0x10
_MIN_REST_BYTES: Final = 64

_SUFFIXES: Final = {
    ".tgz": ".tar",
    ".taz": ".tar",
    ".tbz": ".tar",
    ".tbz2": ".tar",
    ".tb2": ".tar",
    ".txz": ".tar",
    ".tlz": ".tar",
    ".tzst": ".tar",
    ".tz": ".tar",
    ".svgz": ".svg",
    ".emz": ".emf",
    ".wmz": ".wmf",
    ".dia": ".xml",
    ".gz": "",
    ".z": "",
    ".bz2": "",
    ".bz": "",
    ".xz": "",
    ".lzma": "",
    ".lz": "",
    ".zst": "",
    ".zstd": "",
    ".lz4": "",
}


@dataclass(frozen=True)
class _GzipHeader:
    name: bytes
    content_at: int


def open_compressed(content: memoryview, request: OpenRequest) -> Iterator[Event]:
    """Open a compressed file. An `Opener`.

    Raises:
        UnreadableError: it is not what it begins like.
    """
    kind = compression(bytes(content[:64]), named_lzma=archive_claimed_to_be_lzma(request.names))
    meter = Meter(request)
    names = _without_suffix(request.names)
    if kind is None:
        raise UnreadableError(UnscannedReason.NOT_UNPACKABLE, "nothing in it can be read as a compressed file")
    if kind == Compression.GZIP:
        yield from _gzip(content, names, meter)
        return
    decoding = Decoding(kind, content)
    yield from _given(names, decoding, meter)
    if decoding.complete:
        yield from _rest(content, decoding.consumed, meter)


def _given(names: Sequence[str], decoding: Decoding, meter: Meter) -> Iterator[Event]:
    meter.count_member()
    yield Member(tuple(names), _checked(decoding, meter))


def _checked(decoding: Decoding, meter: Meter) -> Iterator[bytes]:
    yield from meter.metered(decoding.pieces())
    if decoding.failure is not None:
        raise decoding.failure


def _gzip(content: memoryview, names: Sequence[str], meter: Meter) -> Iterator[Event]:
    """All members as one file, as gunzip gives them; where they are few, each of them by itself too."""
    whole = _GzipFile(content)
    first = _gzip_header(content, 0)
    stored = decoded(first.name) if first is not None else ()
    meter.count_member()
    yield Member(unique((*stored, *names)), _whole(whole, meter))
    if whole.wrong:
        yield Noted("archive.size_wrong", 0, 0, "checksum or size")
    if leads_out(stored):
        yield Noted("archive.unsafe_name")
    if not whole.finished:
        return
    if len({header.name for header in whole.members}) > 1:
        yield Noted("archive.concatenated", whole.members[1].content_at, 0, f"{len(whole.members)} members")
    if 1 < len(whole.members) <= MAX_SEPARATE:
        for header in whole.members:
            one = Decoding(DEFLATE, content[header.content_at :])
            yield from _given(unique((*decoded(header.name), *names)), one, meter)
    yield from _rest(content, whole.end, meter)


class _GzipFile:
    """All members of a gzip while they are read.

    Attributes:
        members: the headers of those read so far.
        end: behind the last of them.
        wrong: a checksum or size was not the stated one.
        finished: all members were read to their ends.
    """

    def __init__(self, content: memoryview) -> None:
        self._content = content
        self.members: list[_GzipHeader] = []
        self.end = 0
        self.wrong = False
        self.finished = False

    def pieces(self) -> Iterator[bytes]:
        while len(self.members) < _MAX_GZIP_MEMBERS and (header := _gzip_header(self._content, self.end)) is not None:
            self.members.append(header)
            decoding = Decoding(DEFLATE, self._content[header.content_at :])
            yield from decoding.pieces()
            if decoding.failure is not None:
                raise decoding.failure
            trailer_at = header.content_at + decoding.consumed
            self.end = min(trailer_at + _GZIP_TRAILER_BYTES, len(self._content))
            trailer = bytes(self._content[trailer_at : self.end])
            stated = unpack_from("<II", trailer) if len(trailer) == _GZIP_TRAILER_BYTES else None
            self.wrong = self.wrong or stated != (decoding.crc, decoding.produced & 0xFFFFFFFF)
        if not self.members:
            raise UnreadableError(UnscannedReason.NOT_UNPACKABLE, "the header of gzip is damaged")
        self.finished = True


def _whole(file: _GzipFile, meter: Meter) -> Iterator[bytes]:
    yield from meter.metered(file.pieces())


def _gzip_header(content: memoryview, at: int) -> _GzipHeader | None:
    """The header of the member at `at` (RFC 1952 §2.3); None where none stands that has an end."""
    head = bytes(content[at : at + _MAX_GZIP_HEADER_BYTES])
    if not head.startswith(_GZIP_MAGIC) or len(head) < 10:  # noqa: PLR2004 - the fixed part
        return None
    flags = head[3]
    position = 10
    if flags & _EXTRA:
        if position + 2 > len(head):
            return None
        position += 2 + unpack_from("<H", head, position)[0]
    name = b""
    for flag in (_NAME, _COMMENT):
        if flags & flag:
            end = head.find(b"\0", position)
            if end < 0:
                return None
            name = head[position:end] if flag == _NAME else name
            position = end + 1
    if flags & _HEADER_CHECKSUM:
        position += 2
    return _GzipHeader(name, at + position)


def _rest(content: memoryview, end: int, meter: Meter) -> Iterator[Event]:
    """What lies behind the compressed file. Zeros are padding of tapes and blocks."""
    rest = content[end:]
    if not len(rest) or not bytes(rest).strip(b"\0"):
        return
    yield Noted("archive.surrounded", end, len(rest))
    if len(rest) >= _MIN_REST_BYTES:
        yield from _given((), Decoding(0, rest), meter)


def _without_suffix(names: Sequence[str]) -> tuple[str, ...]:
    """What the file inside is called: the name of the compressed one, without the suffix that compressing added."""
    inner = []
    for name in names:
        lowered = name.lower()
        suffix = next((suffix for suffix in _SUFFIXES if lowered.endswith(suffix)), "")
        inner.append(name[: len(name) - len(suffix)] + _SUFFIXES.get(suffix, ""))
    return unique(inner)
