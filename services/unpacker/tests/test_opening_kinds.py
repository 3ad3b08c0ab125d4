"""Recognition: every kind that some reader sees in a file, and none in an ordinary one."""

import base64
import bz2
import gzip
import io
import lzma
import random
import struct
import tarfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qscan_unpacker.opening.kinds import ContainerKind, recognise
from services.unpacker.tests.archives_made import (
    Entry,
    ar_of,
    cab_of,
    cpio_of,
    lha_of,
    lz4_of,
    rar4_of,
    rar5_of,
    rpm_of,
    xar_of,
    zip_of,
    zstd_of,
)

ZIP, ARCHIVE, COMPRESSED = ContainerKind.ZIP, ContainerKind.ARCHIVE, ContainerKind.COMPRESSED
OLE, RTF, PDF, UNSUPPORTED = ContainerKind.OLE, ContainerKind.RTF, ContainerKind.PDF, ContainerKind.UNSUPPORTED
TNEF, CMS = ContainerKind.TNEF, ContainerKind.CMS
SMALL_ZIP = zip_of(Entry("a.txt", b"hello"))
GIF, PNG, JPEG = b"GIF89a" + bytes(200), b"\x89PNG\r\n\x1a\n" + bytes(200), b"\xff\xd8\xff\xe0" + bytes(200)
PROGRAM = b"MZ" + bytes(1000)
SEVEN_ZIP = b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<I", zlib.crc32(bytes(20))) + bytes(20)


def kinds(content: bytes, *names: str, declared: str = "") -> tuple[ContainerKind, ...]:
    """What is recognised."""
    return recognise(memoryview(content), declared=declared, names=names)


def tar(*, magic: bool = True) -> bytes:
    """A tar; without magic as Unix V7 wrote it."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("a.txt"))
    if magic:
        return made.getvalue()
    header = bytearray(made.getvalue()[:512])
    header[257:265] = bytes(8)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + bytes(1024)


def disk_image(*identifiers: bytes) -> bytes:
    """Volume descriptors where ISO 9660 and UDF have them."""
    return bytes(0x8000) + b"".join((b"\1" + identifier).ljust(2048, b"\0") for identifier in identifiers) + bytes(2048)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (SMALL_ZIP, (ZIP,)),
        (b"PK\7\x08" + SMALL_ZIP, (ZIP,)),
        (b"PK\5\6" + bytes(18), (ZIP,)),
        (tar(), (ARCHIVE,)),
        (tar(magic=False), (ARCHIVE,)),
        (rar4_of(("a", b"x")), (ARCHIVE,)),
        (rar5_of(("a", b"x")), (ARCHIVE,)),
        (SEVEN_ZIP, (ARCHIVE,)),
        (cab_of(("a", b"x")), (ARCHIVE,)),
        (lha_of(("a", b"x")), (ARCHIVE,)),
        (cpio_of(("a", b"x")), (ARCHIVE,)),
        (b"\xc7\x71" + bytes(18) + b"\x06\0" + bytes(4) + b"a.txt\0", (ARCHIVE,)),
        (ar_of(("a", b"x")), (ARCHIVE,)),
        (xar_of("a", b"x"), (ARCHIVE,)),
        (rpm_of(b""), (ARCHIVE,)),
        (disk_image(b"CD001"), (ARCHIVE,)),
        (gzip.compress(b"x"), (COMPRESSED,)),
        (bz2.compress(b"x"), (COMPRESSED,)),
        (bz2.compress(b""), (COMPRESSED,)),
        (lzma.compress(b"x"), (COMPRESSED,)),
        (lzma.compress(b"x", lzma.FORMAT_ALONE), (COMPRESSED,)),
        (zstd_of(b"x"), (COMPRESSED,)),
        (b"\x50\x2a\x4d\x18\0\0\0\0" + zstd_of(b"x"), (COMPRESSED,)),
        (lz4_of(b"x"), (COMPRESSED,)),
        (b"\x1f\x9d\x90\x61", (COMPRESSED,)),
        (b"LZIP\1\x0c", (COMPRESSED,)),
        (bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504), (OLE,)),
        (b"{\\rtf1 hello}", (RTF,)),
        (b"\xef\xbb\xbf\r\n {\\rt", (RTF,)),
        (b"%PDF-1.7\n", (PDF,)),
        (b"junk" * 200 + b"%PDF-1.7\n", (PDF,)),
        (bytes.fromhex("789f3e22") + bytes(20), (TNEF,)),
        (bytes.fromhex("3080 06092a864886f70d010703"), (CMS,)),
        (bytes.fromhex("30820100 060b2a864886f70d0109100109"), (CMS,)),
        (b"-----BEGIN PKCS7-----\nMIIB", (CMS,)),
        (b"1234567**ACE**", (UNSUPPORTED,)),
        (b"\x60\xea\x2b\0" + bytes(60), (UNSUPPORTED,)),
        (b"\x1a\x08LETTER.TXT\0\0\0" + bytes(20), (UNSUPPORTED,)),
        (b"MSWIM\0\0\0" + bytes(40), (UNSUPPORTED,)),
        (b"vhdxfile" + bytes(40), (UNSUPPORTED,)),
        (b"conectix" + bytes(40), (UNSUPPORTED,)),
        (bytes(1024) + b"conectix" + bytes(504), (UNSUPPORTED,)),
        (bytes(1024) + b"koly\0\0\0\4" + bytes(504), (UNSUPPORTED,)),
        (b"SIT!" + bytes(40), (UNSUPPORTED,)),
        (b"StuffIt (c)1997", (UNSUPPORTED,)),
        (b"ISc(" + bytes(40), (UNSUPPORTED,)),
        (b"ITSF\3\0\0\0" + bytes(40), (UNSUPPORTED,)),
        (b"ZOO 2.10 Archive." + bytes(40), (UNSUPPORTED,)),
        (b"\x1f\xa0" + bytes(40), (UNSUPPORTED,)),
        (b"\xeb\x3c\x90MSDOS5.0" + bytes(43) + b"FAT12   " + bytes(448) + b"\x55\xaa", (UNSUPPORTED,)),
        (disk_image(b"NSR02"), (UNSUPPORTED,)),
    ],
    ids=repr,
)
def test_by_content(content: bytes, expected: tuple[ContainerKind, ...]) -> None:
    """Each format is known by its own bytes, whatever the mail says of it."""
    assert kinds(content) == expected
    assert kinds(content, "innocent.txt", declared="text/plain") == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (GIF + SMALL_ZIP, {ZIP}),
        (JPEG + SMALL_ZIP, {ZIP}),
        (b"just a text\n" * 50 + SMALL_ZIP, {ZIP}),
        (SMALL_ZIP + bytes(60_000), {ZIP}),
        (PNG + SMALL_ZIP + bytes(200_000), {ZIP}),
        (bytes(100_000) + SMALL_ZIP, {ZIP}),
        (b"%PDF-1.7\n" + SMALL_ZIP, {PDF, ZIP}),
        (SMALL_ZIP[:30] + b"%PDF-1.7\n" + SMALL_ZIP[30:], {PDF, ZIP}),
        (b"%PDF-1.7\n\0" + rar5_of(("a", b"x")), {PDF, ARCHIVE}),
        (PROGRAM + SMALL_ZIP, {ZIP}),
        (PROGRAM + rar4_of(("a", b"x")), {ARCHIVE}),
        (PROGRAM + rar5_of(("a", b"x")), {ARCHIVE}),
        (PROGRAM + SEVEN_ZIP, {ARCHIVE}),
        (PROGRAM + cab_of(("a", b"x")), {ARCHIVE}),
        (PROGRAM + lha_of(("a", b"x")), {ARCHIVE}),
        (PROGRAM + b"**ACE**", {UNSUPPORTED}),
        (PROGRAM + b"\xef\xbe\xad\xdeNullsoftInst", {UNSUPPORTED}),
        (PROGRAM + b"Inno Setup Setup Data (5.5.7)", {UNSUPPORTED}),
        (JPEG + rar4_of(("a", b"x")) + bytes(300_000), {ARCHIVE}),
        (SMALL_ZIP + SEVEN_ZIP, {ZIP}),
        (tar() + SMALL_ZIP, {ARCHIVE, ZIP}),
        (disk_image(b"CD001", b"NSR02"), {ARCHIVE, UNSUPPORTED}),
    ],
    ids=lambda value: "" if isinstance(value, set) else repr(value[:12]),
)
def test_polyglots(content: bytes, expected: set[ContainerKind]) -> None:
    """A file that is two things is recognised as both, and an archive that begins somewhere inside is found."""
    assert set(kinds(content)) == expected


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"P",
        b"PK",
        b"Hello PK\3 and PK\5\6 and Rar! and 7z",
        b"7z is a format, Rar! and MSCF too, and -lh5- and ustar and BZh91 and xar! and !<arch>",
        b"070701 is the phone number of the office, 070707 the other one",
        b"#mtree\n./a.txt type=file size=5\n",
        b"WARC is an archive of the web\r\n",
        b"begin 644 a.txt\n#86)C\n`\nend\n",
        b"#!/bin/sh\nexit 0\n",
        b"<html><body>BZh9 {\\rtf1 </body></html>",
        b"From: a@example.org\r\n\r\nhello\r\n" * 50,
        b"MZ" + bytes(5000),
        b"\x7fELF" + bytes(5000),
        GIF,
        PNG,
        JPEG,
        b"MSCF" + bytes(100),
        PROGRAM + b"PK\3\4" + b"\xff" * 400 + b"Rar!\x1a\x07\0" + b"\xff" * 100 + b"MSCF\0\0\0\0" + b"\xff" * 100,
        PROGRAM + b"7z\xbc\xaf\x27\x1c" + b"\xff" * 100 + b"-lh5-" + b"\xff" * 100,
        b"\x30\x82\x01\x00\x02\x01\x00" + bytes(250),
        "Grüße, Ünïcödé".encode("utf-16"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_ordinary_files(content: bytes) -> None:
    """Texts and programs that only mention a signature, or hold one as a constant, are no containers."""
    assert kinds(content) == ()


@pytest.mark.parametrize(
    ("names", "declared"),
    [
        (("smime.p7m",), ""),
        (("SMIME.P7S",), ""),
        ((), "application/pkcs7-mime"),
        ((), "application/x-pkcs7-mime"),
        (("a.txt", "certs.p7b"), "text/plain"),
    ],
)
def test_cms_by_declaration(names: tuple[str, ...], declared: str) -> None:
    """S/MIME has no magic worth the name: what says that it is S/MIME is looked into."""
    assert kinds(b"MIIB some base64", *names, declared=declared) == (CMS,)


def test_a_lie_about_cms() -> None:
    """The name of S/MIME does not keep anything else from being found."""
    assert set(kinds(JPEG + rar5_of(("a", b"x")) + bytes(100_000), "smime.p7m")) == {CMS, ARCHIVE}


def test_claimed_archives_are_searched_to_their_end() -> None:
    """Behind 4 MiB of junk nobody looks for an archive, unless the name or type says that there is one."""
    content = bytes(5 * 1024 * 1024) + SMALL_ZIP + bytes(100_000)
    assert kinds(content) == ()
    assert kinds(content, "Rechnung.ZIP") == (ZIP,)
    assert kinds(content, declared="application/zip") == (ZIP,)


@pytest.mark.parametrize("container", [bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504), tar(), rar4_of(("a", b"x"))])
def test_zips_that_containers_hold(container: bytes) -> None:
    """Word keeps its theme as a zip inside of a document: that is no second reading of the file."""
    (kind,) = kinds(container)
    assert kinds(container + SMALL_ZIP + bytes(700)) == (kind,)
    assert set(kinds(container + SMALL_ZIP)) == {kind, ZIP}
    assert set(kinds(container + SMALL_ZIP + bytes(700), "a.zip")) == {kind, ZIP}


def test_lzma_by_name() -> None:
    """LZMA with unusual properties is taken for what it is only where the name says so."""
    filters = [{"id": lzma.FILTER_LZMA1, "lc": 0, "lp": 2, "pb": 0, "dict_size": 1 << 16}]
    content = lzma.compress(b"x" * 100, lzma.FORMAT_ALONE, filters=filters)
    assert kinds(content) == ()
    assert kinds(content, "a.txt.lzma") == (COMPRESSED,)


@pytest.mark.parametrize(
    "signature", [b"PK\3\4", b"PK\5\6", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07\0", b"MSCF\0\0\0\0", b"-lh5-"]
)
def test_floods_of_signatures(signature: bytes) -> None:
    """A file of nothing but signatures does not make every one of them be looked at; in doubt it is a container."""
    assert kinds(PROGRAM + signature * 200_000) != ()


@given(st.binary(max_size=600), st.sampled_from(["", "a.zip", "a.p7m", "a.lzma"]))
def test_never_raises(content: bytes, name: str) -> None:
    """Whatever the bytes are, the answer is a tuple of kinds, each once."""
    found = kinds(content, name)
    assert len(set(found)) == len(found)


def test_base64_and_random_text_are_nothing() -> None:
    """Long texts, which most mail is, are no containers."""
    chance = random.Random(3)
    assert kinds(base64.encodebytes(chance.randbytes(300_000))) == ()
