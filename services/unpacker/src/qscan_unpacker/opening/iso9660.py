"""The trees of an ISO image: plain, Rock Ridge, Joliet. A system shows one; they need not hold the same files."""

from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from typing import Final

from qscan_unpacker.opening.libarchive_reader import Entry, LibarchiveError, entries
from qscan_unpacker.opening.members import OpenRequest
from qscan_unpacker.opening.signatures import ArchiveFormat

TREES: Final[tuple[tuple[str, ...], ...]] = ((), ("rockridge",), ("rockridge", "joliet"))
"""What libarchive passes over to show one tree after the other: its own choice, Joliet or else plain, plain."""


def tree(content: memoryview, number: int, limits: OpenRequest) -> Iterator[tuple[int, Entry]]:
    """The files of one tree and their places in it. Folders are the tree itself."""
    every = enumerate(entries(content, ArchiveFormat.ISO9660, without=TREES[number]))
    # More than the limit, so that whoever counts notices it.
    for index, entry in islice(every, 2 * limits.max_members + 1):
        if not entry.is_directory:
            yield index, entry


def survey(content: memoryview, limits: OpenRequest) -> dict[tuple[int, int], list[str]]:
    """Which files differ: (tree, place) of the first with each content, and the names that all trees have for it.

    All files of the first tree are given when it would take more reading than the limits allow: reading them again
    hits the limit then, and says so.
    """
    found: dict[tuple[int, int], list[str]] = {}
    by_digest: dict[bytes, list[str]] = {}
    read = 0
    for number in range(len(TREES)):
        try:
            for index, entry in tree(content, number, limits):
                if entry.is_special:
                    if not number:
                        found[number, index] = []
                    continue
                digest = sha256()
                before = read
                for piece in entry.pieces():
                    digest.update(piece)
                    read += len(piece)
                    if read > limits.max_bytes:
                        return {(0, place): [] for place in range(2 * limits.max_members + 1)}
                names = by_digest.get(digest.digest())
                if names is None and number and read == before:
                    continue  # Where one tree has a link another has a file without content.
                if names is None:
                    names = found[number, index] = by_digest[digest.digest()] = []
                names.extend(entry.names)
        except LibarchiveError:
            # What could not be read is met again, and said, when the files are given.
            found.update({(number, place): [] for place in range(2 * limits.max_members + 1) if not number})
    return found
