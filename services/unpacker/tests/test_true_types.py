"""The type of a component by its content."""

import bz2
import email
import gzip
import io
import itertools
import lzma
import random
import struct
import tarfile
import uuid
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qscan_unpacker.dissection.true_types import DOS_EXECUTABLE, EXECUTABLE, HEAD_BYTES, true_type
from qscan_unpacker.dissection.type_signatures import BINARY_SIGNATURES, SIGNATURES, TEXT_STARTS

CORPUS = Path(__file__).parents[4] / "shared" / "corpus"
OOXML = "application/vnd.openxmlformats-officedocument."


def program(*, signature: bytes = b"PE\0\0", stub: int = 0x80) -> bytes:
    """The beginning of a program for Windows."""
    head = b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0\xb8".ljust(0x3C, b"\0") + struct.pack("<I", stub)
    return head.ljust(stub, b"\0") + signature + b"L\x01\x03\0" + bytes(200)


def zipped(*names: str, first: bytes = b"x") -> bytes:
    """A zip with members of these names; the first one stored and with this content."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for index, name in enumerate(names):
            archive.writestr(zipfile.ZipInfo(name), b"x" * 50 if index else first)
    return target.getvalue()


def tarred() -> bytes:
    """A tar with one member."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    return target.getvalue()


def compound(*, class_id: str = "00000000-0000-0000-0000-000000000000", stream: str = "") -> bytes:
    """The first sectors of a compound file whose directory is in the second one (MS-CFB)."""
    head = bytes.fromhex("d0cf11e0a1b11ae1").ljust(24, b"\0") + bytes.fromhex("3e000300feff0900")
    head = (head.ljust(48, b"\0") + struct.pack("<I", 0)).ljust(512, b"\0")
    root = "Root Entry".encode("utf-16-le").ljust(80, b"\0") + uuid.UUID(class_id).bytes_le
    return head + root.ljust(128, b"\0") + stream.encode("utf-16-le").ljust(384, b"\0")


SAMPLES = [
    # programs, and what starts them
    (program(), EXECUTABLE),
    (program(stub=0x4000), EXECUTABLE),
    (program(stub=0x40), EXECUTABLE),
    (program().replace(b"MZ", b"ZM", 1), EXECUTABLE),
    (program(signature=b"NE\5\n"), DOS_EXECUTABLE),
    (program()[:0x40], DOS_EXECUTABLE),
    (b"MZ\0", DOS_EXECUTABLE),
    (b"\x7fELF\x02\x01\x01" + bytes(50), "application/x-executable"),
    (bytes.fromhex("cffaedfe0700000103000000"), "application/x-mach-binary"),
    (bytes.fromhex("cafebabe0000000201000007"), "application/x-mach-binary"),
    (bytes.fromhex("cafebabe00000034001d0a00"), "application/java-vm"),
    (b"\0asm\x01\0\0\0", "application/wasm"),
    (b"#!/bin/sh\necho\n", "text/x-shellscript"),
    (b"#! /usr/bin/env bash\n", "text/x-shellscript"),
    (b"#!/usr/bin/env python3\n", "text/x-python"),
    (b"#!/usr/bin/perl -w\n", "text/x-perl"),
    (b"#!/opt/thing\n", "text/x-script"),
    (b"@ECHO OFF\r\ndel x\r\n", "text/x-msdos-batch"),
    (b"[InternetShortcut]\r\nURL=x\r\n", "application/x-mswinurl"),
    (b"WEB\r\n1\r\nhttp://x/\r\n", "text/x-ms-iqy"),
    (b"<html><head><HTA:APPLICATION id=x>", "application/hta"),
    (bytes.fromhex("4c0000000114020000000000c000000000000046") + bytes(60), "application/x-ms-shortcut"),
    (b"ITSF\x03\0\0\0" + bytes(60), "application/vnd.ms-htmlhelp"),
    (uuid.UUID("7b5c52e4-d88c-4da7-aeb1-5378d02996d3").bytes_le + bytes(60), "application/onenote"),
    (b"CWS\x08\x20\0\0\0", "application/vnd.adobe.flash.movie"),
    # zip and what is one
    (zipped("a.txt"), "application/zip"),
    (zipped(), "application/zip"),
    (b"PK\x07\x08" + zipped("a.txt"), "application/zip"),
    (zipped("[Content_Types].xml", "_rels/.rels", "word/document.xml"), f"{OOXML}wordprocessingml.document"),
    (zipped("[Content_Types].xml", "xl/workbook.xml"), f"{OOXML}spreadsheetml.sheet"),
    (zipped("xl/workbook.bin"), "application/vnd.ms-excel.sheet.binary.macroenabled.12"),
    (zipped("ppt/presentation.xml"), f"{OOXML}presentationml.presentation"),
    (zipped("mimetype", first=b"application/vnd.oasis.opendocument.text"), "application/vnd.oasis.opendocument.text"),
    (zipped("mimetype", first=b"application/epub+zip"), "application/epub+zip"),
    (zipped("mimetype", first=b"application/pdf"), "application/zip"),
    (zipped("META-INF/MANIFEST.MF", "a/B.class"), "application/java-archive"),
    (zipped("AndroidManifest.xml", "classes.dex"), "application/vnd.android.package-archive"),
    # other archives, images of disks
    (gzip.compress(b"x"), "application/gzip"),
    (bz2.compress(b"x"), "application/x-bzip2"),
    (lzma.compress(b"x"), "application/x-xz"),
    (lzma.compress(b"x", format=lzma.FORMAT_ALONE), "application/x-lzma"),
    (bytes.fromhex("28b52ffd2005290000"), "application/zstd"),
    (tarred(), "application/x-tar"),
    (b"7z\xbc\xaf\x27\x1c\0\4" + bytes(30), "application/x-7z-compressed"),
    (b"Rar!\x1a\x07\0" + bytes(30), "application/vnd.rar"),
    (b"Rar!\x1a\x07\1\0" + bytes(30), "application/vnd.rar"),
    (b"MSCF\0\0\0\0" + bytes(30), "application/vnd.ms-cab-compressed"),
    (bytes(0x8001) + b"CD001" + bytes(9000), "application/x-iso9660-image"),
    (b"\x21\x1c-lh5-" + bytes(30), "application/x-lzh-compressed"),
    (bytes(7) + b"**ACE**" + bytes(30), "application/x-ace-compressed"),
    (b"!<arch>\nfoo/  ", "application/x-archive"),
    # office and mail
    (compound(), "application/x-ole-storage"),
    (compound(class_id="00020906-0000-0000-c000-000000000046"), "application/msword"),
    (compound(class_id="00020820-0000-0000-c000-000000000046"), "application/vnd.ms-excel"),
    (compound(class_id="000c1084-0000-0000-c000-000000000046"), "application/x-msi"),
    (compound(class_id="00020d0b-0000-0000-c000-000000000046"), "application/vnd.ms-outlook"),
    (compound(stream="WordDocument"), "application/msword"),
    (b"%PDF-1.7\n1 0 obj\n", "application/pdf"),
    (b"junk\r\n" * 20 + b"%PDF-1.7\n", "application/pdf"),
    (b"\0junk%PDF-1.7\n", "application/pdf"),
    (b"{\\rtf1\\ansi}", "application/rtf"),
    (b"{\\rt x}", "application/rtf"),
    (b" \n{\\rtf1 \0}", "application/rtf"),
    (b"%!PS-Adobe-3.0\n", "application/postscript"),
    (bytes.fromhex("789f3e22"), "application/vnd.ms-tnef"),
    (bytes.fromhex("308205fa06092a864886f70d010702a0"), "application/pkcs7-mime"),
    (bytes.fromhex("308006092a864886f70d010703a080"), "application/pkcs7-mime"),
    (b"-----BEGIN PGP MESSAGE-----\n", "application/pgp-encrypted"),
    (b"Received: by x\nFrom: a@b\nTo: c@d\nSubject: e\nDate: x\n\nhi\n", "message/rfc822"),
    (b"BEGIN:VCARD\r\n", "text/vcard"),
    # images, audio, video
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
    (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "image/jpeg"),
    (b"\xff\xd8\xff\xdb", "image/jpeg"),
    (b"GIF89a\x01\0\x01\0", "image/gif"),
    (b"RIFF\x24\0\0\0WEBPVP8 \x18\0\0\0", "image/webp"),
    (b"BM\x9e\0\0\0\0\0\0\0", "image/bmp"),
    (b"II*\0\x08\0\0\0" + bytes(20), "image/tiff"),
    (b"\0\0\x01\0\x01\0\x10\x10\0\0\x01\0", "image/x-icon"),
    (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "image/heic"),
    (b"\0\0\0\x18ftypavif\0\0\0\0mif1avif", "image/avif"),
    (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42", "video/mp4"),
    (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "video/quicktime"),
    (b"ID3\x03\0\0\0\0\0\x23TIT2", "audio/mpeg"),
    (b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0", "audio/x-wav"),
    (b"OggS\0\x02" + bytes(22), "audio/ogg"),
    # markup and text
    (b"<!DOCTYPE html>\n<html>", "text/html"),
    (b"\xef\xbb\xbf\r\n <HTML>", "text/html"),
    (b"<p>hello", "text/html"),
    (b"words first\n<body>", "text/html"),
    ("<html>".encode("utf-16"), "text/html"),
    ("<html><body>".encode("utf-16-le"), "text/html"),
    (b"<ht\0ml>\0", "text/html"),
    (b'<?xml version="1.0"?><a/>', "text/xml"),
    (b'<?xml version="1.0"?><html>', "application/xhtml+xml"),
    (b'<?xml version="1.0"?>\n<!-- x -->\n<svg xmlns="x"/>', "image/svg+xml"),
    (b"<svg onload=x>", "image/svg+xml"),
    (b"hello\n", "text/plain"),
    ("Grüße\n".encode("latin-1"), "text/plain"),
    ("Grüße\n".encode(), "text/plain"),
    ("これは\n".encode("iso-2022-jp"), "text/plain"),
    ("これは\n".encode("utf-16"), "text/plain"),
    (b"a < b and b > c\n", "text/plain"),
    # nothing that is known
    (b"", ""),
    (bytes(500), ""),
    (random.Random(5).randbytes(500), ""),
]


@pytest.mark.parametrize(("content", "expected"), SAMPLES, ids=[f"{i}-{type_}" for i, (_, type_) in enumerate(SAMPLES)])
def test_types(content: bytes, expected: str) -> None:
    """What matters to a mail site is known by its content, also from a view of its head."""
    assert true_type(content, len(content)) == expected
    assert true_type(memoryview(content)[:HEAD_BYTES], len(content)) == expected


@pytest.mark.parametrize(
    "text",
    [
        b"MZ are the initials of Mark Zbikowski.\n",
        b"ZM\n",
        b"BM is short for Benchmark.\n",
        b"CWS, FWS and ZWS\n",
        b"ID3 tags\n",
        b"PK is a country\n",
        b"070701 was a Sunday\n",
        b"conectix\n",
        b"BZh\n",
        b"Rar!\n",
        b"0ho\n",
        b"ITSF\n",
        "`ê ]\n".encode("latin-1"),
        b"From: here\nTo: eternity\n",
        b"The PDF begins with %PDF-1.4 as always\n",
    ],
)
def test_text_that_begins_as_something_else(text: bytes) -> None:
    """An ordinary text is never called a program, a picture or an archive for its first letters."""
    assert true_type(text, len(text)) == "text/plain"


def test_program_whose_signature_is_behind_the_head() -> None:
    """A DOS stub can be as long as one likes; a pointer behind the end leads nowhere."""
    content = program(stub=1_000_000)
    assert true_type(content[:HEAD_BYTES], len(content)) == EXECUTABLE
    assert true_type(content[:HEAD_BYTES], 500_000) == DOS_EXECUTABLE


def test_every_row_of_the_tables_can_be_reached() -> None:
    """No signature is hidden behind another one."""
    for offset, signature, type_ in SIGNATURES + BINARY_SIGNATURES:
        content = bytes(offset) + signature + bytes(40)
        assert true_type(content, len(content)) == type_
    for start, type_ in TEXT_STARTS:
        assert true_type(start.upper(), len(start)) == type_ or start in {b"{\\rt", b"<?php"}


@given(st.binary(max_size=200), st.sampled_from([content for content, _ in SAMPLES if content]), st.integers(0, 200))
def test_any_bytes(noise: bytes, sample: bytes, cut: int) -> None:
    """It is total, deterministic, and never says anything but a media type."""
    for content in (noise, sample[:cut] + noise, noise[: cut // 20] + sample[:2_000]):
        found = true_type(content, len(content))
        assert found == true_type(content, len(content))
        assert not found or (found.count("/") == 1 and found == found.lower().strip())


WRONGLY_DECLARED = {
    "enmime/mail__attachment-only-inline.eml": "a PNG, declared as JPEG",
    "enmime/mail__attachment-only-no-disposition.eml": "a PNG, declared as JPEG",
    "enmime/mail__attachment-only.eml": "a PNG, declared as JPEG",
    "rspamd/alternative-related.eml": "the word «dummy»",
    "rspamd/fname.eml": "five letters",
    "rspamd/fws_fn.eml": "noise",
    "rspamd/mixed-html-zip.eml": "base64 that is not declared as such",
    "rspamd/mixed-related-html-only.eml": "the word «dummy»",
    "sa-corpus/spam-1/00260.c75ce8b8d8bfc55723426979d260bf61.eml": "base64 that is not declared as such",
    "stalwart/rfc/000.eml": "words, decoded as base64",
    "stalwart/rfc/002.eml": "base64 without its line ends, damaged",
    "stalwart/rfc/007.eml": "single letters",
    "stalwart/thirdparty/013.eml": "single letters",
}
"""Messages of the corpus in which a part is not what it is declared to be: seen by hand, one by one."""


def test_declared_types_of_real_parts() -> None:
    """Images, PDF files and archives of shared/corpus are what they are declared to be."""
    agreed, differing = 0, {}
    for path in sorted(CORPUS.rglob("*.eml")):
        for part in email.message_from_bytes(path.read_bytes()).walk():
            declared = part.get_content_type().replace("image/jpg", "image/jpeg").replace("image/pjpeg", "image/jpeg")
            if declared.startswith("image/") or declared in {"application/pdf", "application/zip"}:
                content = part.get_payload(decode=True)
                assert isinstance(content, bytes)
                found = true_type(content, len(content))
                if found == declared or (declared == "image/unknown" and found.startswith("image/")):
                    agreed += 1
                else:
                    differing[str(path.relative_to(CORPUS))] = (declared, found)
    assert not differing.keys() - WRONGLY_DECLARED.keys()
    assert agreed > 40


@pytest.mark.parametrize(
    "content", [content for content, _ in SAMPLES if len(content) < 2_000 and content.strip(b"\0")]
)
def test_head_is_enough(content: bytes) -> None:
    """What is behind the head changes nothing."""
    head = content.ljust(HEAD_BYTES, b"\n" if true_type(content, len(content)).startswith("text/") else b"\0")
    assert true_type(head, len(head) + 9) == true_type(head + b"\0MZ<html>", len(head) + 9)


def test_zip_of_very_many_members() -> None:
    """Only the first members are looked at."""
    names = itertools.chain((f"{number}" for number in range(100)), ["word/document.xml"])
    assert true_type(zipped(*names), 100_000) == "application/zip"
