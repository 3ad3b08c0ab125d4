"""The raw message while it is received: in memory up to 1 MiB, then in a file without a name."""

import hashlib
import mmap
import os
from pathlib import Path
from typing import Self

from qscan_contracts.ids import Sha256
from qscan_unpacker.dissection.holding import FileContent, HeldContent, MemoryContent, open_unnamed

MEMORY_BYTES = 1024 * 1024


class MessageTooLargeError(Exception):
    """More bytes came than a message may have."""


class RawMessage:
    """The bytes of a message as they were received. A context manager: at its end the bytes are gone.

    Appended to while the request is read; `view` and `content` are for afterwards.
    """

    def __init__(self, spool_dir: Path, max_bytes: int) -> None:
        """Accept up to `max_bytes`; what does not fit into memory goes to `spool_dir`."""
        self._spool_dir, self._max_bytes = spool_dir, max_bytes
        self._digest = hashlib.sha256()
        self._memory = bytearray()
        self._descriptor = -1
        self._map: mmap.mmap | None = None
        self._whole: bytes | None = None
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # The map goes when the last view of it goes; the descriptor is ours.
        self._map = None
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def append(self, piece: bytes) -> None:
        """Take the next bytes.

        Raises:
            MessageTooLargeError: that is too much.
            OSError: the disk is full or broken.
        """
        self.size += len(piece)
        if self.size > self._max_bytes:
            raise MessageTooLargeError
        self._digest.update(piece)
        if self._descriptor < 0 and self.size <= MEMORY_BYTES:
            self._memory += piece
            return
        if self._descriptor < 0:
            self._descriptor = open_unnamed(self._spool_dir)
            _write_all(self._descriptor, self._memory)
            self._memory = bytearray()
        _write_all(self._descriptor, piece)

    @property
    def sha256(self) -> Sha256:
        """The digest of what was appended so far."""
        return Sha256(self._digest.hexdigest())

    def view(self) -> bytes | memoryview:
        """All bytes, to read; valid until this object is left."""
        if self._descriptor < 0:
            if self._whole is None:
                self._whole = bytes(self._memory)
            return self._whole
        if self._map is None:
            self._map = mmap.mmap(self._descriptor, self.size, prot=mmap.PROT_READ)
        return memoryview(self._map)

    def content(self) -> HeldContent:
        """All bytes as held content."""
        if self._descriptor < 0:
            return MemoryContent(self.view())
        return FileContent(self._descriptor, 0, self.size)


def _write_all(descriptor: int, data: bytes | bytearray) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
