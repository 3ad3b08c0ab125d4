"""Encrypted members of a zip: PKWARE's old cipher and WinZip's AES, with the passwords that the mail gives.

A password is checked against the bytes that the formats have for it (one byte, two bytes) before anything is decrypted:
64 of them cost some milliseconds. libarchive then decrypts, as no other cipher for this is in Python; PBKDF2 is
hashlib's. Strong encryption (APPNOTE §7) needs keys that no mail gives.
"""

import hashlib
from collections.abc import Iterator
from struct import pack
from typing import Final
from zlib import crc32

from qscan_unpacker.opening.libarchive_reader import LibarchiveError, zip_member
from qscan_unpacker.opening.zip_records import HAS_DESCRIPTOR, METHOD_AES, STRONG_ENCRYPTION, Header

_OLD_HEADER_BYTES: Final = 12
_VERIFIER_BYTES: Final = 2
_AUTHENTICATION_BYTES: Final = 10
_AES_ROUNDS: Final = 1000
_STRENGTHS: Final = range(1, 4)
_MASK: Final = 0xFFFFFFFF


def is_breakable(header: Header) -> bool:
    """Whether a password alone opens it."""
    if header.method == METHOD_AES:
        return header.aes is not None and header.aes[0] in _STRENGTHS
    return not header.flags & STRONG_ENCRYPTION


def spellings(password: str) -> tuple[bytes, ...]:
    """The bytes that programs make of a password: no standard says which."""
    spelled = [password.encode("utf-8", "replace")]
    for encoding in ("cp437", "cp1252"):
        try:
            spelled.append(password.encode(encoding))
        except UnicodeEncodeError:
            continue
    return tuple(spelling for spelling in dict.fromkeys(spelled) if spelling and b"\0" not in spelling)


def decrypted(header: Header, content: memoryview, password: bytes) -> bytes | None:
    """The compressed bytes of a member, or None where the password does not even look right.

    `content`: what is stored of the member, with the encryption's own header and, for AES, its authentication code.
    That the password looks right says little with the old cipher: one wrong password of 256 does.
    """
    if header.aes is not None:
        return _aes(content, password, header.aes[0])
    return _old(header, content, password)


def _aes(content: memoryview, password: bytes, strength: int) -> bytes | None:
    key_bytes, salt_bytes = 8 * (strength + 1), 4 * (strength + 1)
    plain_bytes = len(content) - salt_bytes - _VERIFIER_BYTES - _AUTHENTICATION_BYTES
    if plain_bytes < 0:
        return None
    salt = bytes(content[:salt_bytes])
    derived = hashlib.pbkdf2_hmac("sha1", password, salt, _AES_ROUNDS, 2 * key_bytes + _VERIFIER_BYTES)
    if derived[-_VERIFIER_BYTES:] != bytes(content[salt_bytes : salt_bytes + _VERIFIER_BYTES]):
        return None
    extra = pack("<HHH2sBH", 0x9901, 7, 1, b"AE", strength, 0)
    return _by_libarchive(METHOD_AES, 0, plain_bytes, extra, content, password)


def _old(header: Header, content: memoryview, password: bytes) -> bytes | None:
    plain_bytes = len(content) - _OLD_HEADER_BYTES
    if plain_bytes < 0:
        return None
    last = _last_of_header(password, bytes(content[:_OLD_HEADER_BYTES]))
    # APPNOTE §6.1.6 has the checksum's first byte there, but it is not known yet to who writes sizes afterwards.
    expected = {header.crc >> 24} | ({header.time >> 8} if header.flags & HAS_DESCRIPTOR else set())
    if last not in expected:
        return None
    return _by_libarchive(0, last << 24, plain_bytes, b"", content, password)


def _last_of_header(password: bytes, header: bytes) -> int:
    """The last byte of the decrypted header (APPNOTE §6.1.5, §6.1.6)."""
    keys = [0x12345678, 0x23456789, 0x34567890]

    def update(byte: int) -> None:
        keys[0] = ~crc32(bytes((byte,)), ~keys[0] & _MASK) & _MASK
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & _MASK
        keys[2] = ~crc32(bytes((keys[1] >> 24,)), ~keys[2] & _MASK) & _MASK

    for byte in password:
        update(byte)
    plain = 0
    for byte in header:
        key = keys[2] | 2
        plain = byte ^ (((key * (key ^ 1)) >> 8) & 0xFF)
        update(plain)
    return plain


def _by_libarchive(
    method: int, crc: int, plain_bytes: int, extra: bytes, content: memoryview, password: bytes
) -> bytes:
    """Decrypt with a local header of ours in front, which says «stored», so that nothing is decompressed."""
    name = b"-"
    fields = (51, 1, method, 0, 0, crc, len(content), plain_bytes, len(name), len(extra))
    archive = b"".join((b"PK\x03\x04", pack("<HHHHHIIIHH", *fields), name, extra, content))
    return b"".join(_until_error(zip_member(memoryview(archive), password)))


def _until_error(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """A wrong authentication code comes last, when all is decrypted: the member's own checksum decides then."""
    try:
        yield from pieces
    except LibarchiveError:
        return
