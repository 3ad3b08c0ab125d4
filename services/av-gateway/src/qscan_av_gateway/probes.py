"""Content whose right answer is known. All of it but EICAR is new every time, so that no cache can answer."""

import hashlib
import io
import secrets
import zipfile
from collections.abc import Iterable

from qscan_av_gateway.eicar import EICAR
from qscan_contracts.ids import Sha256
from qscan_kit.content import InlineSource

NESTED_ZIPS = 120
"""Far above any sensible MaxRecursion (17 as shipped)."""

_LOCAL_FLAGS_AT, _CENTRAL_FLAGS_AT = 6, 8
_LOCAL_NAME_AT, _CENTRAL_NAME_AT = 30, 46
_ENCRYPTED_FLAG = 1


def content(data: bytes) -> InlineSource:
    """`data` as something to scan."""
    return InlineSource(data, Sha256(hashlib.sha256(data).hexdigest()))


def clean() -> bytes:
    """A text without anything in it."""
    return b"Nothing to see here: " + _fresh()


def virus() -> bytes:
    """The EICAR test file, byte for byte: some signatures of it are digests. What is bad no engine caches as clean."""
    return EICAR


def nested_zips(depth: int = NESTED_ZIPS) -> bytes:
    """A harmless text in `depth` zip files around each other, some 10 KB."""
    data = clean()
    for _ in range(depth):
        data = _zipped([("a", data)])
    return data


def encrypted_zip() -> bytes:
    """A zip file whose only member says that it is encrypted."""
    return _encrypted(_zipped([("secret.txt", _fresh())]), "secret.txt")


def virus_beside_encrypted() -> bytes:
    """A zip file with an encrypted member first, and EICAR after it."""
    return _encrypted(_zipped([("secret.txt", _fresh()), ("plain.txt", EICAR)]), "secret.txt")


def encrypted_pdf() -> bytes:
    """An empty PDF that needs a password (ISO 32000-1, 7.6.3)."""
    secret, identity = secrets.token_hex(32).encode(), secrets.token_hex(16).encode()
    return (
        b"%PDF-1.4\n"
        b"1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n"
        b"2 0 obj\n<< /Type /Pages /Kids [] /Count 0 >>\nendobj\n"
        b"3 0 obj\n<< /Filter /Standard /V 1 /R 2 /O <" + secret + b"> /U <" + secret + b"> /P -4 >>\nendobj\n"
        b"trailer\n<< /Root 1 0 R /Encrypt 3 0 R /Size 4 /ID [<" + identity + b"> <" + identity + b">] >>\n"
        b"startxref\n0\n%%EOF\n"
    )


def _fresh() -> bytes:
    return secrets.token_hex(16).encode()


def _zipped(members: Iterable[tuple[str, bytes]]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def _encrypted(archive: bytes, member: str) -> bytes:
    """Set the encryption flag of a member in both its headers (APPNOTE 4.4.4), which Python's zipfile cannot."""
    data, name = bytearray(archive), member.encode()
    data[data.index(name) - _LOCAL_NAME_AT + _LOCAL_FLAGS_AT] |= _ENCRYPTED_FLAG
    data[data.rindex(name) - _CENTRAL_NAME_AT + _CENTRAL_FLAGS_AT] |= _ENCRYPTED_FLAG
    return bytes(data)
