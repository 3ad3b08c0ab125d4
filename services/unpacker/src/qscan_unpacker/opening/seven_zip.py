"""7z: as libarchive reads it, after what is encrypted has been decrypted with a password of the mail.

libarchive knows no password for 7z, and py7zr, which does, is Python down to its parser, asks the operating system for
the machine's memory and needs seconds for a dozen passwords. So the encryption is taken off here: AES from
cryptography, the key as 7-Zip derives it, and libarchive gets an archive without it.
"""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from itertools import islice
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from qscan_unpacker.opening.libarchive_reader import LibarchiveError, entries
from qscan_unpacker.opening.seven_zip_header import (
    AES,
    LZMA1,
    LZMA2,
    Coder,
    Folder,
    Streams,
    archive_of,
    encoded_streams,
    header_of,
    main_streams,
    packed_stream,
    unpacked,
    without_encryption,
)
from qscan_unpacker.opening.signatures import ArchiveFormat

MAX_PASSWORDS: Final = 64
"""Each of them costs some ten milliseconds, because 7-Zip meant it to."""
MAX_ROUNDS_POWER: Final = 20
"""7-Zip has 19; each step doubles the cost."""

_KEY_BYTES: Final = 32
_BLOCK_BYTES: Final = 16
_NO_ROUNDS: Final = 0x3F
_COUNTER_BYTES: Final = 8
_ROUNDS_AT_ONCE: Final = 1 << 16
_LZMA2_FIRST: Final = frozenset({1, *range(0xE0, 0x100)})
"""How LZMA2 begins: the dictionary is new (LZMA2 has no other format than its decoder)."""


def is_encrypted(content: memoryview) -> bool:
    """Whether anything in the archive needs a password, its header or its members."""
    try:
        header = header_of(content)
        packed = encoded_streams(header)
        if packed is None:
            return _has_aes(main_streams(header))
        if _has_aes(packed):
            return True
        return _has_aes(main_streams(_decoded_header(content, packed, b"")))
    except (ValueError, IndexError):
        return False


def decrypted(content: memoryview, passwords: Sequence[str]) -> bytes | None:
    """The archive without its encryption; None where no password fits, or where it is not understood."""
    for password in passwords[:MAX_PASSWORDS]:
        try:
            archive = _with_password(content, password.encode("utf-16-le", "surrogatepass"))
        except (ValueError, IndexError):
            # So a wrong password looks as well: what it decrypts to is no header.
            continue
        if archive is not None and _is_right(archive):
            return archive
    return None


def _with_password(content: memoryview, password: bytes) -> bytes | None:
    header = header_of(content)
    packed = encoded_streams(header)
    streams = main_streams(header if packed is None else _decoded_header(content, packed, password))
    plain: list[bytes | memoryview] = []
    folders = []
    index = 0
    for folder in streams.folders:
        encrypted = folder.encrypted
        for number in folder.packed:
            data: bytes | memoryview = packed_stream(content, streams, index)
            if encrypted is not None and number == sum(coder.inputs for coder in folder.coders[:encrypted]):
                if not plain and not _begins_right(folder, folder.coders[encrypted], data, password):
                    return None
                size = folder.sizes[sum(coder.outputs for coder in folder.coders[:encrypted])]
                data = _decrypt(folder.coders[encrypted], data, password)[:size]
            plain.append(data)
            index += 1
        folders.append(without_encryption(folder))
    return archive_of(plain, folders, streams)


def _decoded_header(content: memoryview, packed: Streams, password: bytes) -> bytes:
    (folder,) = packed.folders
    data = bytes(packed_stream(content, packed, 0))
    if folder.encrypted is not None:
        data = _decrypt(folder.coders[folder.encrypted], data, password)
        data = data[: folder.sizes[sum(coder.outputs for coder in folder.coders[: folder.encrypted])]]
    return unpacked(data, without_encryption(folder))


def _begins_right(folder: Folder, coder: Coder, data: bytes | memoryview, password: bytes) -> bool:
    """A look at the first byte, before everything is decrypted: LZMA leaves little choice there."""
    first = _decrypt(coder, data[:_BLOCK_BYTES], password)[:1]
    methods = {coder.method for coder in folder.coders}
    if LZMA1 in methods and LZMA2 not in methods:
        return first == b"\0"
    return LZMA2 not in methods or (first != b"" and first[0] in _LZMA2_FIRST)


def _is_right(archive: bytes) -> bool:
    """Whether the first member that has content unpacks to its checksum."""
    try:
        for entry in entries(memoryview(archive), ArchiveFormat.SEVEN_ZIP):
            read = sum(len(piece) for piece in entry.pieces())
            if entry.warned:
                return False
            if read:
                return True
    except LibarchiveError:
        return False
    return True


def _decrypt(coder: Coder, data: bytes | memoryview, password: bytes) -> bytes:
    power, salt, vector = _properties(coder)
    whole = data[: len(data) // _BLOCK_BYTES * _BLOCK_BYTES]
    cipher = Cipher(algorithms.AES(_key(password, salt, power)), modes.CBC(vector)).decryptor()
    return cipher.update(whole) + cipher.finalize()


def _properties(coder: Coder) -> tuple[int, bytes, bytes]:
    """Power of two of the rounds, salt, initialisation vector."""
    first, second = coder.properties[0], coder.properties[1] if len(coder.properties) > 1 else 0
    power = first & 0x3F
    if power > MAX_ROUNDS_POWER and power != _NO_ROUNDS:
        raise ValueError("more rounds than 7-Zip makes")
    salt_bytes = (first >> 7 & 1) + (second >> 4)
    vector_bytes = (first >> 6 & 1) + (second & 0x0F)
    salt = coder.properties[2 : 2 + salt_bytes]
    vector = coder.properties[2 + salt_bytes : 2 + salt_bytes + vector_bytes]
    return power, salt, vector.ljust(_BLOCK_BYTES, b"\0")[:_BLOCK_BYTES]


@lru_cache(maxsize=4)
def _key(password: bytes, salt: bytes, power: int) -> bytes:
    """SHA-256 over salt, password and a counter, again and again."""
    if power == _NO_ROUNDS:
        return (salt + password).ljust(_KEY_BYTES, b"\0")[:_KEY_BYTES]
    digest = sha256()
    unit = salt + password
    rounds = 1 << power
    low = _low_counters()
    for high in range(0, rounds, _ROUNDS_AT_ONCE):
        # The counter is written low byte first: two bytes that change, and six that stay for this turn.
        between = (high // _ROUNDS_AT_ONCE).to_bytes(_COUNTER_BYTES - 2, "little") + unit
        count = min(_ROUNDS_AT_ONCE, rounds - high)
        digest.update(unit + between.join(low if count == len(low) else islice(low, count)))
        digest.update(between[: _COUNTER_BYTES - 2])
    return digest.digest()


@lru_cache(maxsize=1)
def _low_counters() -> tuple[bytes, ...]:
    return tuple(number.to_bytes(2, "little") for number in range(_ROUNDS_AT_ONCE))


def _has_aes(streams: Streams) -> bool:
    return any(coder.method == AES for folder in streams.folders for coder in folder.coders)
