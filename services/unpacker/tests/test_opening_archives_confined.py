"""Archives in the real sandbox: what opens outside opens there too, under its limits and its filter of system calls."""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Iterator

import inflate64
import pycdlib
import pytest

from qscan_unpacker.dissection.holding import MemoryContent
from qscan_unpacker.opening.members import OpenRequest
from qscan_unpacker.opening.openers import OPENERS
from qscan_unpacker.sandbox.child import replies
from qscan_unpacker.sandbox.sandbox import Sandbox
from qscan_unpacker.sandbox.wire import Begun, Done, Piece, Reply, Unopened
from services.unpacker.tests.archives_made import (
    Entry,
    aes_entry,
    ar_of,
    cab_of,
    cpio_of,
    lha_of,
    lz4_of,
    overlapping_bomb,
    rar4_of,
    rar5_of,
    rpm_of,
    traditional_entry,
    xar_of,
    zip_of,
    zstd_of,
)
from services.unpacker.tests.test_opening_archives import iso_of, seven_zip_of, tar_of

HELLO = b"hello, hello, hello, hello" * 50
TWO = (("a.txt", HELLO), ("Übersicht.bin", HELLO * 2))
PASSWORDS = ("wrong", "grün")


def python_zip(method: int) -> bytes:
    """A zip of the standard library."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, content in TWO:
            archive.writestr(name, content)
    return made.getvalue()


def deflated64(content: bytes) -> bytes:
    """A deflate64 stream."""
    deflater = inflate64.Deflater()
    return bytes(deflater.deflate(content) + deflater.flush())


def joliet_only(image: pycdlib.PyCdlib) -> None:
    """Put a file into one tree."""
    image.add_fp(io.BytesIO(b"more"), 4, joliet_path="/Ü.txt")


CONTAINERS = {
    "zip stored": ("zip", python_zip(zipfile.ZIP_STORED)),
    "zip deflate": ("zip", python_zip(zipfile.ZIP_DEFLATED)),
    "zip bzip2": ("zip", python_zip(zipfile.ZIP_BZIP2)),
    "zip lzma": ("zip", python_zip(zipfile.ZIP_LZMA)),
    "zip deflate64": ("zip", zip_of(Entry("a.txt", HELLO, 9, deflated64(HELLO)))),
    "zip zstd": ("zip", zip_of(Entry("a.txt", HELLO, 93, zstd_of(HELLO)))),
    "zip xz": ("zip", zip_of(Entry("a.txt", HELLO, 95, lzma.compress(HELLO)))),
    "zip old cipher": ("zip", zip_of(traditional_entry("a.txt", HELLO, "grün".encode()))),
    "zip AES": ("zip", zip_of(aes_entry("a.txt", HELLO, "grün".encode()))),
    "zip bomb": ("zip", overlapping_bomb(100, 100_000)),
    "tar": ("archive", tar_of(*TWO)),
    "7z": ("archive", seven_zip_of(*TWO)),
    "7z encrypted": ("archive", seven_zip_of(*TWO, password="grün")),
    "7z names encrypted": ("archive", seven_zip_of(*TWO, password="grün", hide_names=True)),
    "rar4": ("archive", rar4_of(*TWO)),
    "rar5": ("archive", rar5_of(*TWO)),
    "rar5 encrypted": ("archive", rar5_of(*TWO, encrypted=True)),
    "cab": ("archive", cab_of(*TWO)),
    "lha": ("archive", lha_of(*TWO)),
    "cpio": ("archive", cpio_of(*TWO)),
    "ar": ("archive", ar_of(("a.txt", HELLO))),
    "xar": ("archive", xar_of("Übersicht.txt", HELLO)),
    "rpm": ("archive", rpm_of(gzip.compress(cpio_of(*TWO)))),
    "iso": ("archive", iso_of(joliet_only)),
    "gzip": ("compressed", gzip.compress(HELLO)),
    "bzip2": ("compressed", bz2.compress(HELLO)),
    "xz": ("compressed", lzma.compress(HELLO)),
    "lzma": ("compressed", lzma.compress(HELLO, lzma.FORMAT_ALONE)),
    "zstd": ("compressed", zstd_of(HELLO)),
    "lz4": ("compressed", lz4_of(HELLO)),
    "compress": ("compressed", bytes.fromhex("1f9d9061c48c01")),
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """The sandbox as the service has it."""
    with Sandbox(memory_bytes=512 * 1024**2, max_children=4, opening_timeout_s=30, require_seccomp=True) as started:
        yield started


@pytest.mark.parametrize("name", CONTAINERS)
def test_confined(sandbox: Sandbox, name: str) -> None:
    """The same members, pieces and notes come out, and at least one of them."""
    kind, content = CONTAINERS[name]
    request = OpenRequest(kind, PASSWORDS, 1000, 10**8, 10**9)
    opener = next(opener for known, opener in OPENERS.items() if known == kind)
    outside = list(replies(opener, memoryview(content), request))
    with sandbox.session() as session:
        inside = list(session.open(MemoryContent(content), request, 10.0))
    assert _joined(inside) == _joined(outside)
    assert inside[-1] == Done()
    assert any(isinstance(reply, Begun | Unopened) for reply in inside)


def _joined(given: list[Reply]) -> list[object]:
    """Replies with the pieces of each member put together."""
    joined: list[object] = []
    for reply in given:
        if isinstance(reply, Piece) and joined and isinstance(joined[-1], bytes):
            joined[-1] += bytes(reply.data)
        else:
            joined.append(bytes(reply.data) if isinstance(reply, Piece) else reply)
    return joined
