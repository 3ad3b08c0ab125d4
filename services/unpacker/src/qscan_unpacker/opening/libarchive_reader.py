"""libarchive, as far as it is used here: archives in memory, formats switched on one by one.

libarchive-c (CC0) declares its functions; Debian's libarchive13 has the security team behind it. What libarchive-c puts
on top of them is not used: it switches on everything, and `all` runs programs (lrzip, grzip) and opens files (mtree).
No callback into Python either: making one takes memory that may be executed, which the sandbox forbids.
"""

import ctypes
import locale
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from libarchive import ffi
from libarchive.exception import ArchiveError

from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening.member_names import decoded, unique
from qscan_unpacker.opening.members import PIECE_BYTES, UnreadableError
from qscan_unpacker.opening.metering import OUT_OF_MEMORY
from qscan_unpacker.opening.signatures import ArchiveFormat, Compression

_READERS: Final = {
    ArchiveFormat.TAR: ("tar",),
    ArchiveFormat.SEVEN_ZIP: ("7zip",),
    ArchiveFormat.RAR4: ("rar",),
    ArchiveFormat.RAR5: ("rar5",),
    ArchiveFormat.CAB: ("cab",),
    ArchiveFormat.ISO9660: ("iso9660",),
    ArchiveFormat.LHA: ("lha",),
    ArchiveFormat.AR: ("ar",),
    ArchiveFormat.CPIO: ("cpio",),
    ArchiveFormat.XAR: ("xar",),
    ArchiveFormat.RPM: ("cpio",),
}
_FILTERS: Final = {ArchiveFormat.RPM: ("rpm", "gzip", "bzip2", "xz", "lzma", "zstd")}
_PYBUF_SIMPLE: Final = 0
_ZEROS: Final = bytes(PIECE_BYTES)
_MAX_STEPS_WITHOUT_BYTES: Final = 10_000
"""Blocks in a row that hold nothing. libarchive should not give so many; a loop must end all the same."""


class LibarchiveError(Exception):
    """libarchive gave up. `fatal`: on the whole archive, not only on this member."""

    def __init__(self, text: str, *, fatal: bool) -> None:
        super().__init__(text)
        self.fatal = fatal

    @property
    def unreadable(self) -> UnreadableError:
        """The same for who asked for a member or an archive. libarchive has one status for all, and words."""
        text = str(self)
        if "memory" in text.lower():
            # Another program may have the memory: that is something else than bytes that nobody can read.
            return UnreadableError(UnscannedReason.OVER_BUDGET, OUT_OF_MEMORY)
        if "encrypt" in text.lower():
            return UnreadableError(UnscannedReason.ENCRYPTED, text)
        return UnreadableError(UnscannedReason.NOT_UNPACKABLE, text)


class _Buffer(ctypes.Structure):
    """Py_buffer of CPython's stable ABI."""

    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.py_object),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    )


class Entry:
    """The member that a reader stands at: valid until the next one is asked for."""

    def __init__(self, archive: int, pointer: int) -> None:
        self._archive = archive
        self._pointer = pointer
        self.warned = False
        """Something about the content was wrong, such as its checksum; known when it was read to its end."""

    @property
    def names(self) -> tuple[str, ...]:
        """Its name as characters, and as bytes in every way that they may be read."""
        wide = ffi.entry_pathname_w(self._pointer)
        raw = ffi.entry_pathname(self._pointer) or b""
        return unique((_without_surrogates(wide or ""), *decoded(raw)))

    @property
    def size(self) -> int:
        """What the archive states, in bytes; 0 where it says nothing."""
        return max(int(ffi.entry_size(self._pointer)), 0) if ffi.entry_size_is_set(self._pointer) else 0

    @property
    def position(self) -> int:
        """Where its header begins, in bytes from the start of the archive; 0 where libarchive does not know."""
        return max(int(_header_position(self._archive)), 0)

    @property
    def is_directory(self) -> bool:
        """Nothing but a name."""
        return stat.S_ISDIR(ffi.entry_filetype(self._pointer))

    @property
    def is_special(self) -> bool:
        """A link of either kind, or a device, FIFO or socket."""
        mode = ffi.entry_filetype(self._pointer)
        return bool(ffi.entry_hardlink(self._pointer)) or (
            mode != 0 and not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)
        )

    @property
    def is_symbolic_link(self) -> bool:
        """It has a target instead of content."""
        return stat.S_ISLNK(ffi.entry_filetype(self._pointer))

    @property
    def link_target(self) -> tuple[str, ...]:
        """Where a link leads; empty for what is none."""
        raw = ffi.entry_hardlink(self._pointer) or ffi.entry_symlink(self._pointer) or b""
        return decoded(raw)

    @property
    def is_encrypted(self) -> bool:
        """Its content or the archive's directory."""
        return bool(_entry_is_encrypted(self._pointer))

    def pieces(self) -> Iterator[bytes]:
        """The content as any reader writes it: the holes of sparse files are zeros.

        Raises:
            LibarchiveError: behind the bytes that could be had.
        """
        block, length, offset = ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_longlong()
        position = 0
        idle = 0
        while True:
            length.value = 0
            status = _read_data_block(self._archive, block, length, offset)
            self.warned = self.warned or status == ffi.ARCHIVE_WARN
            if not _checked(self._archive, status):
                break
            yield from _hole(offset.value - position)
            position = max(position, offset.value)
            for at in range(0, length.value, PIECE_BYTES):
                size = min(PIECE_BYTES, length.value - at)
                yield ctypes.string_at((block.value or 0) + at, size)
            position += length.value
            idle = 0 if length.value else idle + 1
            if idle > _MAX_STEPS_WITHOUT_BYTES:
                raise LibarchiveError("no bytes come any more", fatal=True)
        # The end may be a hole, too: the last answer says where the file ends.
        yield from _hole(offset.value - position)


def entries(content: memoryview, archive_format: ArchiveFormat, *, without: Sequence[str] = ()) -> Iterator[Entry]:
    """The members of an archive that begins at the first byte of `content`.

    `without`: extensions of the format that are passed over, by libarchive's names for its options.

    Raises:
        LibarchiveError: it cannot go on.
    """
    with _address(content) as (address, size), _reader() as archive:
        for name in _FILTERS.get(archive_format, ()):
            ffi.get_read_filter_function(name)(archive)
        for name in _READERS[archive_format]:
            ffi.get_read_format_function(name)(archive)
            for option in without:
                _set_option(archive, name.encode(), option.encode(), None)
        yield from _entries(archive, address, size)


def decompressed(content: memoryview, compression: Compression) -> Iterator[bytes]:
    """The one file in `content`.

    Raises:
        LibarchiveError: behind the bytes that could be had.
    """
    with _address(content) as (address, size), _reader() as archive:
        ffi.get_read_filter_function(compression.value)(archive)
        ffi.get_read_format_function("raw")(archive)
        for entry in _entries(archive, address, size):
            if _filter_count(archive) < 2:  # noqa: PLR2004 - the compression, and the bytes themselves
                raise LibarchiveError(f"not {compression.value}", fatal=True)
            yield from entry.pieces()


def zip_member(content: memoryview, password: bytes) -> Iterator[bytes]:
    """The content of a zip's first member, by its local header, which must state its size.

    Raises:
        LibarchiveError: behind the bytes that could be had, or because the password is wrong.
    """
    with _address(content) as (address, size), _reader() as archive:
        ffi.get_read_format_function("zip_streamable")(archive)
        _ignore_checksums(archive)
        ffi.read_add_passphrase(archive, password)
        for entry in _entries(archive, address, size):
            yield from entry.pieces()
            return


def _entries(archive: int, address: int, size: int) -> Iterator[Entry]:
    try:
        ffi.read_open_memory(archive, address, size)
    except ArchiveError as error:
        raise _failure(str(error.msg), fatal=True) from error
    pointer = ctypes.c_void_p()
    while _checked(archive, _read_next_header(archive, pointer)):
        yield Entry(archive, pointer.value or 0)


def _hole(size: int) -> Iterator[bytes]:
    for at in range(0, size, PIECE_BYTES):
        yield _ZEROS[: min(PIECE_BYTES, size - at)]


@contextmanager
def _address(content: memoryview) -> Iterator[tuple[int, int]]:
    """Where the bytes are, without a copy; they stay there inside the block."""
    buffer = _Buffer()
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(content), ctypes.byref(buffer), _PYBUF_SIMPLE)
    try:
        yield buffer.buf or 0, buffer.len
    finally:
        ctypes.pythonapi.PyBuffer_Release(ctypes.byref(buffer))


@contextmanager
def _reader() -> Iterator[int]:
    archive: int = ffi.read_new()
    try:
        yield archive
    finally:
        _read_free(archive)


def _checked(archive: int, status: int) -> bool:
    """Whether there is something to go on with; False at the end."""
    if status in {ffi.ARCHIVE_OK, ffi.ARCHIVE_WARN}:
        return True
    if status == ffi.ARCHIVE_EOF:
        return False
    text = (ffi.error_string(archive) or b"unknown error").decode("utf-8", "replace")
    raise _failure(text, fatal=status == ffi.ARCHIVE_FATAL)


def _failure(text: str, *, fatal: bool) -> LibarchiveError | MemoryError:
    """What libarchive has no room for may well be opened by another program, so it is no damage."""
    return MemoryError(text) if "memory" in text.lower() else LibarchiveError(text, fatal=fatal)


def _without_surrogates(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _ignore_checksums(archive: int) -> None:
    _set_option(archive, b"zip", b"ignorecrc32", b"1")


def _function(name: str, arguments: tuple[type, ...], result: type | None) -> "ctypes._NamedFuncPointer":
    """A function of libarchive with its status as result: libarchive-c's own raise, or log warnings."""
    function: ctypes._NamedFuncPointer = getattr(ctypes.CDLL(ffi.libarchive_path), "archive_" + name)
    function.argtypes, function.restype = arguments, result
    return function


_POINTER: Final = ctypes.POINTER(ctypes.c_void_p)
_read_free: Final = _function("read_free", (ctypes.c_void_p,), ctypes.c_int)
_header_position: Final = _function("read_header_position", (ctypes.c_void_p,), ctypes.c_longlong)
_filter_count: Final = _function("filter_count", (ctypes.c_void_p,), ctypes.c_int)
_entry_is_encrypted: Final = _function("entry_is_encrypted", (ctypes.c_void_p,), ctypes.c_int)
_read_next_header: Final = _function("read_next_header", (ctypes.c_void_p, _POINTER), ctypes.c_int)
_read_data_block: Final = _function(
    "read_data_block",
    (ctypes.c_void_p, _POINTER, ctypes.POINTER(ctypes.c_size_t), ctypes.POINTER(ctypes.c_longlong)),
    ctypes.c_int,
)
_set_option: Final = _function(
    "read_set_option", (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p), ctypes.c_int
)

_iconv_open: Final = ctypes.CDLL(None).iconv_open
_iconv_open.argtypes, _iconv_open.restype = (ctypes.c_char_p, ctypes.c_char_p), ctypes.c_void_p
_JAPANESE: Final = _iconv_open(b"UTF-8", b"CP932")
"""Kept open, so that the tables are there when an lha asks for them: in the sandbox no file can be read."""

# Names in UTF-16 are converted to the locale's characters; without a locale they would be lost.
locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
