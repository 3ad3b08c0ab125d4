"""The opener for zip, in all its disguises: office files, jars, apks, self-extractors, pictures with a zip behind them.

It is a walk along the file, from local header to local header, as the members lie there. Directories only say what the
members are called and which of them are shown: what they do not list is opened too. A member ends where its stream
ends, so the bytes of one are never taken for headers of another, and what a directory puts inside a member is known
for an overlap, which is the stuff of bombs.
"""

from bisect import bisect_right
from collections.abc import Iterator
from heapq import merge
from typing import Final

from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening.decoding import DEFLATE, STORED, Decoding, drained
from qscan_unpacker.opening.kinds import END_RECORD_BYTES, LOCAL_HEADER, plausible_local_header
from qscan_unpacker.opening.members import Event, Member, Noted, OpenRequest, Unopened, UnreadableError
from qscan_unpacker.opening.metering import TOO_MANY_MEMBERS, Meter
from qscan_unpacker.opening.signatures import occurrences
from qscan_unpacker.opening.zip_layout import Layout, Listed, read_layout
from qscan_unpacker.opening.zip_members import Passwords, ZipMember
from qscan_unpacker.opening.zip_records import Header, local_fields, local_header

MAX_OVERLAPPING: Final = 8
"""Members within other members that are inflated. Honest archives have none, a bomb has thousands of one stream."""
MAX_HEADERS_TRIED: Final = 100_000
"""Signatures of local headers that turn out to be none."""
MAX_PROOF_BYTES: Final = 64 * 1024 * 1024
"""Read and unpacked, to see whether unlikely headers are headers."""
_MAX_PADDING_BYTES: Final = 64
_SPANNING_MARKER_BYTES: Final = 4


def open_zip(content: memoryview, request: OpenRequest) -> Iterator[Event]:
    """Open a zip. An `Opener`.

    Raises:
        UnreadableError: the central directory is encrypted, a limit was hit, or there is no zip here at all.
    """
    yield from _Walk(content, request).events()


class _Walk:
    def __init__(self, content: memoryview, request: OpenRequest) -> None:
        self._content = content
        self._request = request
        self._meter = Meter(request)
        self._passwords = Passwords(request.passwords)
        self._layout: Layout = read_layout(content, max_members=request.max_members)
        self._proof_bytes = MAX_PROOF_BYTES
        self._starts: list[int] = []
        self._ends: list[int] = []
        """Where members were found to lie: ascending, none over another."""

    def events(self) -> Iterator[Event]:
        yield from self._layout.notes
        inside = []
        tried = 0
        for at in self._candidates():
            if self._covering(at) is not None:
                inside.append(at)
                continue
            listed = self._layout.listed.get(at, [])
            if not listed and not plausible_local_header(self._content, at) and not self._proves_itself(at):
                tried += 1
                if tried > MAX_HEADERS_TRIED:
                    raise UnreadableError(UnscannedReason.OVER_BUDGET, TOO_MANY_MEMBERS)
                if self._starts:
                    # Before the first member a program may know the signature; between members only headers have it.
                    yield Noted("archive.inconsistent", at, len(LOCAL_HEADER), "a local header that cannot be read")
                continue
            yield from self._member(at, listed)
        yield from self._overlapping(inside)
        yield from self._around()
        self._judge()

    def _candidates(self) -> Iterator[int]:
        """Where local headers may stand, ascending: where one is listed, and wherever the signature is."""
        before = None
        for at in merge(sorted(self._layout.listed), occurrences(self._content, LOCAL_HEADER)):
            if at != before:
                yield at
            before = at

    def _proves_itself(self, at: int) -> bool:
        """Whether an unlikely header is one after all: its content has the checksum that it states."""
        local = local_header(self._content, at)
        if local is None or local.method not in {STORED, DEFLATE} or self._proof_bytes <= 0:
            return False
        size = None if local.sizes_follow else local.compressed_size
        if size is None and local.method == STORED:
            return False
        view = self._content[local.content_at :] if size is None else self._content[local.content_at :][:size]
        room = min(self._proof_bytes, self._request.max_member_bytes)
        probe = drained(Decoding(local.method, view), room)
        self._proof_bytes -= probe.consumed + probe.produced
        if not probe.complete or not probe.produced:
            return False
        end = local.content_at + probe.consumed
        behind = bytes(self._content[end : end + 8])
        stated = {behind[:4], behind[4:]} if size is None else {local.crc.to_bytes(4, "little")}
        return probe.crc.to_bytes(4, "little") in stated

    def _member(self, at: int, listed: list[Listed]) -> Iterator[Event]:
        local = local_header(self._content, at)
        if local is None:
            place = min(max(at, 0), len(self._content))
            yield Noted("archive.inconsistent", place, 0, "no local header where the directory says")
            local = local_fields(self._content, at)
        if local is None:
            for one in listed:
                self._meter.count_member()
                header = one.header
                yield Unopened(header.names, header.size, UnscannedReason.NOT_UNPACKABLE, "it is not in this file")
            return
        member = self._zip_member(local, listed)
        shown = bool(listed)
        for event in member.events():
            if not shown:
                yield self._hidden(local)
                shown = True
            yield event
        if shown:
            self._starts.append(at)
            self._ends.append(max(member.end, local.content_at))
        if len(listed) > len({one.end_record_at for one in listed}):
            yield Noted("archive.overlap", at, 0, f"listed {len(listed)} times")

    def _zip_member(self, local: Header, listed: list[Listed]) -> ZipMember:
        headers = list(dict.fromkeys(one.header.at for one in listed))
        central = [next(one.header for one in listed if one.header.at == at) for at in headers]
        return ZipMember(self._content, local, central, self._meter, self._request, self._passwords)

    def _hidden(self, local: Header) -> Noted:
        if self._layout.end_records:
            return Noted("archive.hidden_member", local.at, local.end - local.at)
        return Noted("archive.inconsistent", local.at, 0, "no central directory lists it")

    def _overlapping(self, inside: list[int]) -> Iterator[Event]:
        """Members that a directory puts inside others, unless that directory is itself part of the same member."""
        opened = 0
        for at in inside:
            within = self._covering(at)
            listed = [one for one in self._layout.listed.get(at, []) if self._covering(one.end_record_at) != within]
            local = local_fields(self._content, at)
            if not listed or local is None:
                continue
            yield Noted("archive.overlap", at, local.end - at)
            opened += 1
            member = self._zip_member(local, listed)
            if opened <= MAX_OVERLAPPING:
                yield from member.events()
            else:
                self._meter.count_member()
                yield Unopened(member.names, local.size, UnscannedReason.BOMB, "archive.overlap")

    def _around(self) -> Iterator[Event]:
        """What lies before the first and behind the last record, and whether the file holds several archives."""
        ends = [record for record in self._layout.end_records if self._covering(record.at) is None]
        if len(ends) > 1:
            yield Noted("archive.concatenated", ends[0].at, ends[0].end - ends[0].at, f"{len(ends)} end records")
        # Other archives may lie behind the end record, in its comment too, where their readers find them.
        tail = max([*self._ends[-1:], *(record.at + END_RECORD_BYTES for record in ends)], default=len(self._content))
        if ends and len(self._content) - tail > _MAX_PADDING_BYTES:
            self._meter.count_member()
            yield Member((), self._meter.metered(Decoding(STORED, self._content[tail:]).pieces()))
        first = min([*self._starts[:1], *(record.at for record in ends[:1])], default=0)
        if first > _SPANNING_MARKER_BYTES:
            yield Noted("archive.surrounded", 0, first)
        behind = max([*self._ends[-1:], *(record.end for record in ends)], default=len(self._content))
        if ends and behind < len(self._content):
            yield Noted("archive.surrounded", behind, len(self._content) - behind)

    def _judge(self) -> None:
        """Say what was not seen.

        Raises:
            UnreadableError: there is something.
        """
        if self._layout.encrypted:
            raise UnreadableError(UnscannedReason.ENCRYPTED, "the central directory is encrypted")
        if self._layout.overflow:
            raise UnreadableError(UnscannedReason.OVER_BUDGET, TOO_MANY_MEMBERS)
        if self._layout.volumes:
            raise UnreadableError(UnscannedReason.NOT_UNPACKABLE, "one of several volumes")
        no_zip = not self._layout.end_records or next(occurrences(self._content, LOCAL_HEADER), None) is not None
        if no_zip and not self._starts and not self._layout.listed:
            raise UnreadableError(UnscannedReason.NOT_UNPACKABLE, "nothing in it can be read as zip")

    def _covering(self, at: int) -> int | None:
        """Which of the members found so far holds the byte at `at`."""
        index = bisect_right(self._starts, at) - 1
        return index if index >= 0 and at < self._ends[index] else None
