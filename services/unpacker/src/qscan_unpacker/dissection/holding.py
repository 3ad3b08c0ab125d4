"""Where the bytes of components are while a message is scanned: small ones in memory, large ones in one file."""

import errno
import hashlib
import mmap
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from qscan_contracts.ids import Sha256
from qscan_contracts.scanning import MAX_INLINE_BYTES

MAX_IN_MEMORY_BYTES = 4 * 1024 * 1024
"""Of one message; what is small goes to the file, too, once there is so much of it. An archive of two thousand small
files would take half a gigabyte otherwise."""
Piece = bytes | bytearray | memoryview
"""Of the content of a component, as it is decoded."""


class HeldContent(Protocol):
    """Bytes of a component, held until the message is answered."""

    @property
    def size(self) -> int:
        """How many bytes there are."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`, fewer at the end."""
        ...

    def part(self, offset: int, length: int) -> "HeldContent":
        """A range of it as content of its own, without a copy; held as long as this one."""
        ...

    def view(self) -> memoryview:
        """All of it, to read, without a copy; the view must not be used any more when the content is not held."""
        ...


@dataclass(frozen=True)
class MemoryContent:
    """Bytes in memory; owned by this object or, for a view, by the raw message."""

    data: bytes | memoryview

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return len(self.data)

    def read(self, offset: int, length: int) -> bytes:
        """A copy of a piece."""
        return bytes(self.data[offset : offset + length])

    def part(self, offset: int, length: int) -> "MemoryContent":
        """A view of a range."""
        return MemoryContent(memoryview(self.data)[offset : offset + length])

    def view(self) -> memoryview:
        """The bytes themselves."""
        return memoryview(self.data)


@dataclass(frozen=True)
class FileContent:
    """A range of an unlinked file; the file belongs to the message's `Holding`."""

    descriptor: int
    start: int
    length: int

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return self.length

    def read(self, offset: int, length: int) -> bytes:
        """A piece, from the page cache as a rule."""
        return os.pread(self.descriptor, min(length, self.length - offset), self.start + offset)

    def part(self, offset: int, length: int) -> "FileContent":
        """A range of the same file."""
        return FileContent(self.descriptor, self.start + offset, min(length, self.length - offset))

    def view(self) -> memoryview:
        """The range, mapped; the map goes when the last view of it goes."""
        if not self.length:
            return memoryview(b"")
        before = self.start % mmap.ALLOCATIONGRANULARITY
        mapped = mmap.mmap(self.descriptor, before + self.length, prot=mmap.PROT_READ, offset=self.start - before)
        return memoryview(mapped)[before:]


class Holding:
    """The decoded content of one message. A context manager: at its end the bytes are gone.

    The file has no name (O_TMPFILE), so a crash leaves nothing behind.
    """

    def __init__(self, spool_dir: Path) -> None:
        """Nothing is written before something large comes; then to a file in `spool_dir`."""
        self._spool_dir = spool_dir
        self._descriptor = -1
        self._end = 0
        self._in_memory_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def keep(self, pieces: Iterable[Piece]) -> tuple[HeldContent, Sha256]:
        """Hold the joined `pieces`; returns the content and its digest.

        Raises:
            OSError: the disk is full or broken; the message cannot be scanned now.
        """
        digest = hashlib.sha256()
        small = bytearray()
        start = self._end
        room = min(MAX_INLINE_BYTES, MAX_IN_MEMORY_BYTES - self._in_memory_bytes)
        for piece in pieces:
            digest.update(piece)
            if self._end == start and len(small) + len(memoryview(piece)) <= room:
                small += piece
                continue
            if small:
                self._write(small)
                small = bytearray()
            self._write(piece)
        if self._end == start:
            self._in_memory_bytes += len(small)
            return MemoryContent(bytes(small)), Sha256(digest.hexdigest())
        return FileContent(self._descriptor, start, self._end - start), Sha256(digest.hexdigest())

    def _write(self, piece: Piece) -> None:
        if self._descriptor < 0:
            self._descriptor = open_unnamed(self._spool_dir)
        view = memoryview(piece)
        while view:
            written = os.write(self._descriptor, view)
            self._end += written
            view = view[written:]


def open_unnamed(directory: Path) -> int:
    """A descriptor of a new file without a name in `directory`, to read and write. Raises OSError."""
    try:
        return os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in (errno.EISDIR, errno.EOPNOTSUPP):
            raise
        # A file system without O_TMPFILE: the name lives for an instant only.
        descriptor, name = tempfile.mkstemp(dir=directory)
        Path(name).unlink()
        return descriptor


def content_of(raw: bytes) -> tuple[HeldContent, Sha256]:
    """Bytes in memory as held content, with their digest."""
    return MemoryContent(raw), Sha256(hashlib.sha256(raw).hexdigest())
