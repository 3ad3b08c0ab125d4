"""The spool: a message from its first byte to the answer, in memory or on a real disk.

Nothing in it has a name, so a crash leaves nothing behind: the caller then still has the message.
"""

import errno
import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from qscan_contracts.ids import Sha256
from qscan_ingress.adapters.descriptors import open_anew, sealed, write_fully
from qscan_ingress.adapters.threads import in_thread
from qscan_ingress.domain.edits import EditedMessage, Insert, Keep, apply
from qscan_ingress.domain.failures import Failure, MessageFailedError
from qscan_kit.errors import SettingsError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOMEM})
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_READ_BYTES = 256 * 1024
_FLUSH_BYTES = 1024 * 1024
_MODE = 0o400


class MemoryBudget:
    """Bytes of memory for all messages and envelopes in hand together."""

    def __init__(self, max_bytes: int) -> None:
        """Give out at most `max_bytes` at a time."""
        self._left = max_bytes

    def take(self, size: int) -> bool:
        """Whether `size` bytes were left; then they are taken."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def give_back(self, size: int) -> None:
        """What was taken is free again."""
        self._left += size


@dataclass(frozen=True)
class SpoolLimits:
    """Sizes in bytes: of what stays in memory, and of the largest message."""

    memory_max_bytes: int
    message_max_bytes: int


class Spool:
    """One message. Filled by `append`, then `complete`, then read and delivered; `close` at the end.

    All errors of memory and disk are `MessageFailedError(SPOOL_FULL)`.
    """

    def __init__(self, folder: Path, limits: SpoolLimits, budget: MemoryBudget) -> None:
        """Use `folder` when it does not fit into memory."""
        self._folder = folder
        self._limits = limits
        self._budget = budget
        self._charged = 0
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._file = -1
        self._digest = hashlib.sha256()
        self._content = b""
        self.size = 0

    async def append(self, chunk: bytes) -> None:
        """Add what was read.

        Raises:
            MessageFailedError: the message is too large, or there is no room.
        """
        self.size += len(chunk)
        if self.size > self._limits.message_max_bytes:
            raise MessageFailedError(Failure.MESSAGE_TOO_LARGE)
        self._pending.append(chunk)
        self._pending_bytes += len(chunk)
        if self._file < 0:
            fits = self.size <= self._limits.memory_max_bytes and self._budget.take(len(chunk))
            self._charged += len(chunk) if fits else 0
            if not fits:
                await in_thread(self._move_to_disk)
        elif self._pending_bytes >= _FLUSH_BYTES:
            await in_thread(self._flush)

    async def complete(self) -> None:
        """The message is all there."""
        if self._file < 0:
            self._content = b"".join(self._pending)
            self._pending.clear()
            self._digest.update(self._content)
        else:
            await in_thread(self._flush)

    @property
    def sha256(self) -> Sha256:
        """Of the complete message."""
        return Sha256(self._digest.hexdigest())

    @property
    def content(self) -> bytes | None:
        """The complete message if it is in memory."""
        return self._content if self._file < 0 else None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The complete message in pieces, from the front; as often as wanted."""
        if self._file < 0:
            yield self._content
            return
        for offset in range(0, self.size, _READ_BYTES):
            yield await in_thread(os.pread, self._file, _READ_BYTES, offset)

    async def to_deliver(self, edited: EditedMessage) -> int:
        """A descriptor on the edited message that can be handed over; the caller closes it.

        Raises:
            MessageFailedError: there is no room.
            WrongSizeError: what is there is not what was written.
        """
        if self._file >= 0:
            return await self._from_disk(edited)
        content = self._content if edited.pieces == self._whole else apply(edited, self._content)
        with _room():
            return sealed("qscan-message", content)

    @property
    def _whole(self) -> tuple[Keep, ...]:
        return (Keep(0, self.size),) if self.size else ()

    def close(self) -> None:
        """Forget it. Descriptors that were handed out stay good."""
        self._budget.give_back(self._charged)
        self._charged = 0
        self._pending.clear()
        self._content = b""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _move_to_disk(self) -> None:
        with _room():
            self._file = temporary_file(self._folder)
        self._flush()
        self._budget.give_back(self._charged)
        self._charged = 0

    def _flush(self) -> None:
        content = b"".join(self._pending)
        self._pending.clear()
        self._pending_bytes = 0
        self._digest.update(content)
        with _room():
            write_fully(self._file, content)

    async def _from_disk(self, edited: EditedMessage) -> int:
        with _room():
            if edited.pieces == self._whole:
                return open_anew(self._file, self.size)
            written = temporary_file(self._folder)
            try:
                await in_thread(self._write_pieces, written, edited)
                return open_anew(written, edited.size)
            finally:
                os.close(written)

    def _write_pieces(self, target: int, edited: EditedMessage) -> None:
        for piece in edited.pieces:
            self._write_piece(target, piece)

    def _write_piece(self, target: int, piece: Keep | Insert) -> None:
        if isinstance(piece, Insert):
            write_fully(target, piece.content)
            return
        offset, end = piece.offset, piece.offset + piece.size
        while offset < end:
            content = os.pread(self._file, min(_READ_BYTES, end - offset), offset)
            if not content:
                return  # shorter than it was written: the size check that follows refuses it
            write_fully(target, content)
            offset += len(content)


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise MessageFailedError(Failure.SPOOL_FULL, str(error)) from error


def temporary_file(folder: Path) -> int:
    """A file without a name, for reading and writing; gone when it is closed.

    Its mode is read-only, so that nobody of the same account can open what was handed over for
    writing. Raises OSError.
    """
    return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, _MODE)


def check_folder(folder: Path, *, may_be_in_memory: bool) -> None:
    """Prove that the spool's folder can be used.

    Raises:
        SettingsError: it cannot; the text says what to do.
    """
    try:
        os.close(temporary_file(folder))
    except OSError as error:
        message = (
            f"spool_dir {folder}: {error.strerror}; it must be a folder that this account may"
            " write to, on a file system with O_TMPFILE (ext4, xfs, btrfs)"
        )
        raise SettingsError(message) from error
    kind = file_system(folder)
    if kind in _IN_MEMORY and not may_be_in_memory:
        message = (
            f"spool_dir {folder} is on {kind}, so that large messages would fill the memory;"
            " choose a folder on a disk, or set spool_may_be_in_memory"
        )
        raise SettingsError(message)


def file_system(folder: Path) -> str:
    """The type of the file system that holds a folder, as /proc/self/mountinfo names it.

    The empty text when it is not listed.
    """
    device = folder.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        fields = line.split(" ")
        if fields[2] == wanted:
            return fields[fields.index("-") + 1]
    return ""
