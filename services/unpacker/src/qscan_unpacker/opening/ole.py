"""Opens compound files: office documents of old, Outlook messages (.msg), installers (.msi).

Every stream is a member, and so is what an Ole10Native stream wraps. Of a message, attachments get the names that the
message has for them; its RTF body is decompressed. Macros stay as they are stored: scanners read them so.
"""

from collections.abc import Iterator
from typing import Final

from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening.allowance import pieces_of, within
from qscan_unpacker.opening.code_pages import readings, utf16
from qscan_unpacker.opening.compound import MINI_CUTOFF_BYTES, CompoundFile, Stream
from qscan_unpacker.opening.compressed_rtf import decompress
from qscan_unpacker.opening.embedding import packages
from qscan_unpacker.opening.members import Event, Member, Noted, OpenRequest, Unopened
from qscan_unpacker.opening.office_encryption import decrypt, encrypted_stream

_PROPERTY: Final = "__substg1.0_"
_UNICODE, _STRING8 = "001f", "001e"
_ATTACHMENT_DATA: Final = "3701"
_ATTACHMENT_NAMES: Final = ("3707", "3704", "3001")
"""Long name, short name, what is shown (MS-OXPROPS)."""
_RTF_BODY: Final = f"{_PROPERTY}10090102"
_MAX_NAME_BYTES: Final = 4096
_NATIVE: Final = "\x01ole10native"

_MSI_FIRST, _MSI_PAIRS_END, _MSI_END = 0x3800, 0x4800, 0x4841
_MSI_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._"


def open_ole(data: memoryview, request: OpenRequest) -> Iterator[Event]:
    """Open a compound file (see `Opener`)."""
    return within(request, _events(data, request))


def _events(data: memoryview, request: OpenRequest) -> Iterator[Event]:
    file = CompoundFile(data)
    if file.stated_cutoff != MINI_CUTOFF_BYTES:
        yield Noted("archive.inconsistent", detail=f"mini stream cutoff of {file.stated_cutoff} bytes")
    names = _attachment_names(file)
    for stream in file.streams:
        yield Member(_names(stream, names), file.read(stream))
        if file.available(stream) < stream.size:
            yield Noted("archive.size_wrong", detail=_shown(stream.path))
        if not stream.listed and stream.size:
            yield Noted("archive.hidden_member", detail=_shown(stream.path))
        yield from _unwrapped(file, stream)
    encrypted = encrypted_stream(file)
    if encrypted is not None:
        yield from _decrypted(data, file, encrypted, request)


def _decrypted(data: memoryview, file: CompoundFile, stream: Stream, request: OpenRequest) -> Iterator[Event]:
    for clear in decrypt(data, file, request.passwords):
        yield Member(request.names, pieces_of(clear), encrypted=True)
        return
    yield Unopened((_shown(stream.path),), stream.size, UnscannedReason.ENCRYPTED)


def _unwrapped(file: CompoundFile, stream: Stream) -> Iterator[Event]:
    """Give what a stream wraps, if it is of a kind that does."""
    name = stream.name.lower()
    if name == _NATIVE:
        content = memoryview(b"".join(file.read(stream)))[4:]
        found = packages(content)
        for package in found:
            yield Member(package.names, pieces_of(package.content))
        if not found:  # Not from the packager: the data of some program, its size before it.
            yield Member((), pieces_of(content))
    elif name == _RTF_BODY:
        yield Member(("body.rtf",), decompress(memoryview(b"".join(file.read(stream)))))


def _names(stream: Stream, attachments: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    names = [_shown(stream.path)]
    if stream.name.lower().startswith(_PROPERTY + _ATTACHMENT_DATA):
        names = [*attachments.get(stream.parent, ()), *names]
    installed = _msi_name(stream.name)
    if installed != stream.name:
        names.append(installed)
    return tuple(names)


def _shown(path: str) -> str:
    """Write control characters as 7-Zip does, «[5]SummaryInformation»: every document has them, and means no harm."""
    return "".join(f"[{ord(char)}]" if char < " " else char for char in path)


def _attachment_names(file: CompoundFile) -> dict[str, tuple[str, ...]]:
    """Return the names of a message's attachments by the storage that each lies in."""
    found: dict[str, list[str]] = {}
    for stream in file.streams:
        name = stream.name.lower()
        tag, kind = name[len(_PROPERTY) :][:4], name[len(_PROPERTY) + 4 :]
        if name.startswith(_PROPERTY) and tag in _ATTACHMENT_NAMES and kind in {_UNICODE, _STRING8}:
            raw = file.head(stream, _MAX_NAME_BYTES)
            found.setdefault(stream.parent, []).extend((utf16(raw),) if kind == _UNICODE else readings(raw))
    return {parent: tuple(dict.fromkeys(filter(None, names))) for parent, names in found.items()}


def _msi_name(name: str) -> str:
    """Decode a stream's name in an installer: up to two characters of a name of 64 letters in each of the stream's."""
    decoded = []
    for char in name:
        code = ord(char) - _MSI_FIRST
        if not 0 <= code < _MSI_END - _MSI_FIRST:
            decoded.append(char)
        elif code < _MSI_PAIRS_END - _MSI_FIRST:
            decoded.append(_MSI_ALPHABET[code & 63] + _MSI_ALPHABET[code >> 6])
        elif code < _MSI_END - _MSI_FIRST - 1:
            decoded.append(_MSI_ALPHABET[code - (_MSI_PAIRS_END - _MSI_FIRST)])
        else:
            decoded.append("!")
    return "".join(decoded)
