"""Our openers at work in the sandbox: their libraries find all that they need there.

What an opener's library imports, opens or starts only when some file needs it is refused in the sandbox, and the
opener's own tests do not notice. So each way through a library has a file here. What else comes out is tested there.
"""

import bz2
import gzip
import io
import lzma
import random
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Literal

import libarchive
import pikepdf
import pytest

from qscan_unpacker.dissection.holding import MemoryContent
from qscan_unpacker.opening.kinds import ContainerKind
from qscan_unpacker.opening.members import OpenRequest
from qscan_unpacker.opening.openers import OPENERS
from qscan_unpacker.sandbox.sandbox import Sandbox
from qscan_unpacker.sandbox.wire import Piece
from services.unpacker.tests import archives_made as made
from services.unpacker.tests import test_opening_cms as cms
from services.unpacker.tests import test_opening_ole as ole
from services.unpacker.tests import test_opening_onenote as onenote
from services.unpacker.tests import test_opening_rtf as rtf
from services.unpacker.tests import test_opening_tnef as tnef

PAYLOAD = b"MZ" + random.Random(9).randbytes(3_000) * 20
SECRET = "secret"


def zipped(method: int, name: str = "a.exe", content: bytes = PAYLOAD) -> bytes:
    """A zip as Python writes it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr(name, content)
    return file.getvalue()


def tarred() -> bytes:
    """A tar whose name has to be converted."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo("Übersicht 終.exe")
        member.size = len(PAYLOAD)
        archive.addfile(member, io.BytesIO(PAYLOAD))
    return file.getvalue()


def archived(form: str, **options: str) -> bytes:
    """An archive as libarchive writes it."""
    written = bytearray()

    def write(data: bytes) -> int:
        written.extend(data)
        return len(data)

    with libarchive.custom_writer(
        write, form, options=",".join(f"{key}={value}" for key, value in options.items())
    ) as new:
        new.add_file_from_memory("Übersicht 終.exe", len(PAYLOAD), PAYLOAD)
    return bytes(written)


def office_document() -> bytes:
    """A workbook that Office opens without asking for its password."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(
            "[Content_Types].xml", "<Types xmlns='http://schemas.openxmlformats.org/package/2006/content-types'/>"
        )
        archive.writestr("xl/workbook.xml", PAYLOAD)
    return file.getvalue()


def portable_document(encryption: pikepdf.Encryption | Literal[False] = False) -> bytes:
    """A document with a file in it; where it is encrypted, then with the password that is tried without asking."""
    document = pikepdf.new()
    document.add_blank_page()
    document.attachments["a.exe"] = PAYLOAD
    file = io.BytesIO()
    document.save(file, encryption=encryption)
    return file.getvalue()


FILES: dict[str, tuple[ContainerKind, Callable[[], bytes]]] = {
    "zip stored": (ContainerKind.ZIP, lambda: zipped(zipfile.ZIP_STORED)),
    "zip deflated": (ContainerKind.ZIP, lambda: zipped(zipfile.ZIP_DEFLATED)),
    "zip bzip2": (ContainerKind.ZIP, lambda: zipped(zipfile.ZIP_BZIP2)),
    "zip lzma": (ContainerKind.ZIP, lambda: zipped(zipfile.ZIP_LZMA)),
    "zip old cipher": (
        ContainerKind.ZIP,
        lambda: made.zip_of(made.traditional_entry("a.exe", PAYLOAD, SECRET.encode())),
    ),
    "zip AES": (ContainerKind.ZIP, lambda: made.zip_of(made.aes_entry("a.exe", PAYLOAD, SECRET.encode()))),
    "tar": (ContainerKind.ARCHIVE, tarred),
    "7z lzma2": (ContainerKind.ARCHIVE, lambda: archived("7zip", compression="lzma2")),
    "7z ppmd": (ContainerKind.ARCHIVE, lambda: archived("7zip", compression="ppmd")),
    "7z bzip2": (ContainerKind.ARCHIVE, lambda: archived("7zip", compression="bzip2")),
    "iso": (ContainerKind.ARCHIVE, lambda: archived("iso9660")),
    "xar": (ContainerKind.ARCHIVE, lambda: archived("xar")),
    "rar 4": (ContainerKind.ARCHIVE, lambda: made.rar4_of(("a.exe", PAYLOAD))),
    "rar 5": (ContainerKind.ARCHIVE, lambda: made.rar5_of(("a.exe", PAYLOAD))),
    "cab": (ContainerKind.ARCHIVE, lambda: made.cab_of(("a.exe", PAYLOAD[:30_000]))),
    "lha": (ContainerKind.ARCHIVE, lambda: made.lha_of(("a.exe", PAYLOAD))),
    "ar": (ContainerKind.ARCHIVE, lambda: made.ar_of(("a.exe", PAYLOAD))),
    "cpio": (ContainerKind.ARCHIVE, lambda: made.cpio_of(("a.exe", PAYLOAD))),
    "gzip": (ContainerKind.COMPRESSED, lambda: gzip.compress(PAYLOAD)),
    "bzip2": (ContainerKind.COMPRESSED, lambda: bz2.compress(PAYLOAD)),
    "xz": (ContainerKind.COMPRESSED, lambda: lzma.compress(PAYLOAD)),
    "lzma": (ContainerKind.COMPRESSED, lambda: lzma.compress(PAYLOAD, format=lzma.FORMAT_ALONE)),
    "zstd": (ContainerKind.COMPRESSED, lambda: made.zstd_of(PAYLOAD)),
    "lz4": (ContainerKind.COMPRESSED, lambda: made.lz4_of(PAYLOAD)),
    "office encrypted": (ContainerKind.OLE, lambda: ole.encrypted(office_document(), "VelvetSweatshop")),
    "office encrypted with a word of the mail": (ContainerKind.OLE, lambda: ole.encrypted(office_document(), SECRET)),
    "rtf": (ContainerKind.RTF, lambda: rtf.document(rtf.ole1(b"Package", rtf.package(b"a.exe", PAYLOAD)).hex())),
    "tnef": (ContainerKind.TNEF, lambda: tnef.stream(tnef.RENDERING, tnef.attribute(2, 0x6800F, PAYLOAD))),
    "onenote": (ContainerKind.ONENOTE, lambda: onenote.section_of(PAYLOAD)),
    "cms compressed": (ContainerKind.CMS, lambda: cms.compressed(zlib.compress(PAYLOAD))),
    "pdf": (ContainerKind.PDF, portable_document),
    "pdf AES-256": (ContainerKind.PDF, lambda: portable_document(pikepdf.Encryption(SECRET, "", R=6))),
    "pdf AES-128": (ContainerKind.PDF, lambda: portable_document(pikepdf.Encryption(SECRET, "", R=4))),
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """The sandbox of the service."""
    with Sandbox(memory_bytes=512_000_000, max_children=1, opening_timeout_s=30, require_seccomp=True) as started:
        yield started


@pytest.mark.parametrize("name", [name for name, (kind, _) in FILES.items() if kind in OPENERS])
def test_opener_works_in_the_sandbox(sandbox: Sandbox, name: str) -> None:
    """It finds the payload, as it does outside."""
    kind, make = FILES[name]
    request = OpenRequest(kind, ("wrong", SECRET), 100, 10_000_000, 10_000_000, ("a.bin",))
    with sandbox.session() as session:
        contents = [bytearray()]
        replies = list(session.open(MemoryContent(make()), request, 20))
    for reply in replies:
        contents[-1] += reply.data if isinstance(reply, Piece) else b""
        if not isinstance(reply, Piece):
            contents.append(bytearray())
    assert any(PAYLOAD[:30_000] in content for content in contents), replies


def test_every_opener_is_tried_here() -> None:
    """A new one has its files in this module too."""
    assert set(OPENERS) <= {kind for kind, _ in FILES.values()}
