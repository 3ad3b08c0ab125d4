"""Turns a stored object into a quarantined message while it is being read: one pass, nothing large in memory."""

import hashlib
import io
from typing import BinaryIO

from typing_extensions import Buffer, override

from qscan_archiver.domain.header_block import header_block, newline_of
from qscan_contracts.events import StoredMessage
from qscan_contracts.ids import ScanId
from qscan_contracts.stored import LENGTH_BYTES, StoredHeadError, head_length, read_head
from qscan_kit.errors import ContentUnavailableError, PoisonError

MAX_FIRST_LINE_BYTES = 64 * 1024
"""How far into the message the first line end is looked for."""


class Unframer(io.BufferedIOBase):
    """A file to write a stored object into; what comes out is our header block and then the message as received.

    The message's size and SHA-256 are known to be right only when `finish` has returned.
    """

    def __init__(self, file: BinaryIO, scan_id: ScanId) -> None:
        """Write the message of `scan_id` into `file`, which stays the caller's."""
        super().__init__()
        self._file, self._scan_id = file, scan_id
        self._waiting = bytearray()
        self._head_bytes: int | None = None
        self._stored: StoredMessage | None = None
        self._block_is_written = False
        self._digest = hashlib.sha256()
        self._raw_size = 0

    @override
    def writable(self) -> bool:
        return True

    @override
    def write(self, data: Buffer, /) -> int:
        """Take the next bytes of the object.

        Raises:
            ContentUnavailableError: this is no stored object.
            PoisonError: it is the object of another message.
            OSError: the file cannot be written.
        """
        piece = bytes(data)
        if self._block_is_written:
            self._pass_on(piece)
            return len(piece)
        self._waiting += piece
        if self._stored is None:
            self._stored = self._take_head()
        if self._stored is not None and (b"\n" in self._waiting or len(self._waiting) > MAX_FIRST_LINE_BYTES):
            self._write_block(self._stored)
        return len(piece)

    def finish(self) -> StoredMessage:
        """Write what is left and return the head, now that every byte of the message has been seen.

        Raises:
            ContentUnavailableError: the object ended too early, or the message is not the one that was promised.
            OSError: the file cannot be written.
        """
        if self._stored is None:
            raise ContentUnavailableError("the object ends within its head")
        if not self._block_is_written:
            self._write_block(self._stored)
        if (self._raw_size, self._digest.hexdigest()) != (self._stored.raw_size, self._stored.raw_sha256):
            raise ContentUnavailableError(
                "the stored message does not have the size and SHA-256 that it was stored with"
            )
        return self._stored

    def _take_head(self) -> StoredMessage | None:
        """The head, as soon as all of it is here; what follows it stays in `_waiting`."""
        try:
            if self._head_bytes is None:
                if len(self._waiting) < LENGTH_BYTES:
                    return None
                self._head_bytes = head_length(bytes(self._waiting[:LENGTH_BYTES]))
            end = LENGTH_BYTES + self._head_bytes
            if len(self._waiting) < end:
                return None
            stored = read_head(bytes(self._waiting[LENGTH_BYTES:end]))
        except StoredHeadError as error:
            raise ContentUnavailableError(str(error)) from error
        if stored.scan_id != self._scan_id:
            raise PoisonError(f"the object belongs to {stored.scan_id!r}")
        del self._waiting[:end]
        return stored

    def _write_block(self, stored: StoredMessage) -> None:
        self._file.write(header_block(stored, newline_of(bytes(self._waiting))))
        self._block_is_written = True
        self._pass_on(bytes(self._waiting))
        self._waiting.clear()

    def _pass_on(self, piece: bytes) -> None:
        self._file.write(piece)
        self._digest.update(piece)
        self._raw_size += len(piece)
