"""Encrypted office documents in compound files (MS-OFFCRYPTO): which they are, and what is inside.

Excel and PowerPoint open what is encrypted with the passwords below without asking, so they are always tried: for
whoever opens it, such a document is not encrypted at all. Library: msoffcrypto-tool 6 (MIT, kept up; it stands on
cryptography, which archives need as well).
"""

import io
import re
import struct
import types
import xml.dom.expatbuilder
from collections.abc import Iterator
from typing import Final

import msoffcrypto
from cryptography.hazmat.backends.openssl.backend import backend
from msoffcrypto.format import doc97, ooxml, ppt97, xls97

from qscan_unpacker.opening.compound import CompoundFile, Stream

DEFAULT_PASSWORDS: Final = ("VelvetSweatshop", "/01Hannes Ruescher/01")

_MAX_SPINS: Final = 4_000_000
"""Rounds of hashing for all passwords of one document, about three seconds. Office asks for 100,000 per password."""
_MAX_ENTRIES: Final = 4096
_MAX_BINARY_BYTES: Final = 8 * 1024 * 1024
"""Of a document in the old binary formats: for these the library needs many times their size, and seconds."""
_MAX_INFO_BYTES: Final = 64 * 1024
_MAX_BIFF_RECORDS: Final = 1024
"""FilePass stands behind the first records of a workbook (MS-XLS 2.1.7.20.3)."""

_WORD_IDENTS: Final = (0xA5EC, 0xA5DC, 0xA5DB)
_WORD_FLAGS_AT: Final = 10
_WORD_ENCRYPTED: Final = 0x0100
_BIFF_BOF: Final = frozenset({0x0009, 0x0209, 0x0409, 0x0809})
_BIFF_FILE_PASS: Final = 0x002F
_BIFF_EOF: Final = 0x000A
_POWERPOINT_TOKEN_AT: Final = 12
_POWERPOINT_ENCRYPTED: Final = 0xF3D1C4DF

# Imported by the library, and by others for it, when a file needs them: in the sandbox that is too late.
_LOADED: Final = (doc97, ooxml, ppt97, xls97, backend, xml.dom.expatbuilder)

for _format in (doc97, ppt97, xls97):
    # They make their result in a temporary file, and the sandbox opens none.
    _format.tempfile = types.SimpleNamespace(TemporaryFile=io.BytesIO)


def encrypted_stream(file: CompoundFile) -> Stream | None:
    """Return the stream that is encrypted, None where the document is not."""
    for stream in file.streams:
        name = stream.name.lower()
        if name in {"encryptedpackage", "\tdrmcontent", "encryptedsummary"}:
            return stream
        test = _TESTS.get(name)
        if test is not None and test(file.head(stream, _MAX_INFO_BYTES)):
            return stream
    return None


def decrypt(data: memoryview, file: CompoundFile, passwords: tuple[str, ...]) -> Iterator[bytes]:
    """Yield the document in clear for the first password that fits, else nothing.

    Args:
        data: the whole compound file.
        file: the same, read: the library, which trusts what is stated, gets no file that states too much.
        passwords: tried behind `DEFAULT_PASSWORDS`.
    """
    if not _fit_for_library(data, file):
        return
    tries = _MAX_SPINS // _spins(file)
    for password in (*DEFAULT_PASSWORDS, *passwords)[:tries]:
        try:
            document = msoffcrypto.OfficeFile(io.BytesIO(data))
            # Not verified, which would hash once more: what comes out must be a zip, or the library raises.
            document.load_key(password=password)
            clear = io.BytesIO()
            document.decrypt(clear)
        # lint: allow-broad-except because every parser in there has errors of its own
        except Exception:  # noqa: S112
            continue
        yield clear.getvalue()
        return


def _fit_for_library(data: memoryview, file: CompoundFile) -> bool:
    binary = not any(stream.name.lower() == "encryptedpackage" for stream in file.streams)
    return file.is_consistent and file.entries <= _MAX_ENTRIES and not (binary and len(data) > _MAX_BINARY_BYTES)


def _spins(file: CompoundFile) -> int:
    """Return how often a password is to be hashed: the attribute for new documents, a constant for older ones."""
    for stream in file.streams:
        if stream.name.lower() == "encryptioninfo":
            found = re.findall(rb"""spinCount\s*=\s*["'](\d{1,20})""", file.head(stream, _MAX_INFO_BYTES))
            return max(map(int, found), default=50_000) or 1
    return 1


def _word(head: bytes) -> bool:
    if len(head) < _WORD_FLAGS_AT + 2:
        return False
    ident, flags = struct.unpack_from("<H8xH", head)
    return ident in _WORD_IDENTS and bool(flags & _WORD_ENCRYPTED)


def _workbook(head: bytes) -> bool:
    at = 0
    for _ in range(_MAX_BIFF_RECORDS):
        if at + 4 > len(head):
            return False
        record, size = struct.unpack_from("<HH", head, at)
        if record == _BIFF_FILE_PASS:
            return True
        if record == _BIFF_EOF or (at == 0 and record not in _BIFF_BOF):
            return False
        at += 4 + size
    return False


def _current_user(head: bytes) -> bool:
    end = _POWERPOINT_TOKEN_AT + 4
    return len(head) >= end and struct.unpack_from("<I", head, _POWERPOINT_TOKEN_AT)[0] == _POWERPOINT_ENCRYPTED


_TESTS: Final = {"worddocument": _word, "workbook": _workbook, "book": _workbook, "current user": _current_user}
"""Stream's name in lower case to what says that it is encrypted."""
