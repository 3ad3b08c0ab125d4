"""Files that lie in a section of OneNote (MS-ONESTORE §2.6.13): scripts and programs behind a picture of a button.

Their names are properties elsewhere in the section and are not looked for: what a file is tells its content.
"""

from collections.abc import Iterator
from struct import unpack_from
from typing import Final

from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening.members import PIECE_BYTES, Event, Member, OpenRequest, UnreadableError
from qscan_unpacker.opening.metering import Meter
from qscan_unpacker.opening.signatures import occurrences

_FILE_HEADER: Final = bytes.fromhex("e716e3bd65261145a4c48d4d0b7a9eac")
_FILE_HEADER_BYTES: Final = 36


def open_onenote(content: memoryview, request: OpenRequest) -> Iterator[Event]:
    """Open a section of OneNote. An `Opener`.

    Raises:
        UnreadableError: a limit was hit.
    """
    meter = Meter(request)
    for at in occurrences(content, _FILE_HEADER):
        if at + _FILE_HEADER_BYTES > len(content):
            return
        (size,) = unpack_from("<Q", content, at + len(_FILE_HEADER))
        start = at + _FILE_HEADER_BYTES
        meter.count_member()
        yield Member((), meter.metered(_pieces(content[start : start + size], cut=start + size > len(content))))


def _pieces(file: memoryview, *, cut: bool) -> Iterator[bytes]:
    for at in range(0, len(file), PIECE_BYTES):
        yield bytes(file[at : at + PIECE_BYTES])
    if cut:
        raise UnreadableError(UnscannedReason.NOT_UNPACKABLE, "the section ends before the file in it")
