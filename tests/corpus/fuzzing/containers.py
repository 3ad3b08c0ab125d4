"""Small containers of every kind that can be written with what is at hand, to be mutated."""

import bz2
import functools
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from random import Random

import py7zr

from services.unpacker.tests import archives_made as made
from tests.corpus.bombs import archives, documents
from tests.corpus.bombs.quine import gzip_quine

_TEXT = b"hello, this is a member of a container\n"


def small_container(chance: Random) -> bytes:
    """One of them."""
    return chance.choice(list(small_containers().values()))


@functools.cache
def small_containers() -> dict[str, bytes]:
    """All of them, by name; but for 7z, the same bytes every time."""
    return {
        "zip": _zip(zipfile.ZIP_DEFLATED),
        "zip-stored": _zip(zipfile.ZIP_STORED),
        "zip-lzma": _zip(zipfile.ZIP_LZMA),
        "tar": _tar(),
        "tar.gz": gzip.compress(_tar(), mtime=0),
        "gz": gzip.compress(_TEXT, mtime=0),
        "bz2": bz2.compress(_TEXT),
        "xz": lzma.compress(_TEXT),
        "pdf": _pdf(),
        "rtf": rb"{\rtf1{\object\objemb{\*\objdata 01050000020000000800000050617061636b616765000000}}}",
        "zip-encrypted": made.zip_of(
            made.traditional_entry("a.exe", _TEXT, b"infected"), made.aes_entry("b.exe", _TEXT, b"infected")
        ),
        "zip-overlapping": made.overlapping_bomb(3, 1_000),
        "zip-of-zip": archives.nested_zips(2, 2, 100),
        "7z": _seven_zip(None),
        "7z-encrypted": _seven_zip("infected"),
        "rar4": made.rar4_of(("a.exe", _TEXT), ("b.txt", _TEXT)),
        "rar5": made.rar5_of(("a.exe", _TEXT), ("b.txt", _TEXT)),
        "rar5-encrypted": made.rar5_of(("a.exe", _TEXT), encrypted=True),
        "cab": made.cab_of(("a.exe", _TEXT)),
        "lha": made.lha_of(("a.exe", _TEXT)),
        "cpio": made.cpio_of(("a.exe", _TEXT)),
        "ar": made.ar_of(("a.exe", _TEXT)),
        "xar": made.xar_of("a.exe", _TEXT),
        "rpm": made.rpm_of(gzip.compress(made.cpio_of(("a.exe", _TEXT)), mtime=0)),
        "lz4": made.lz4_of(_TEXT),
        "zstd": made.zstd_of(_TEXT),
        "sparse-tar": archives.sparse_tar(4096),
        "quine": gzip_quine(),
        "tnef": documents.tnef_in_tnef(2),
        "cms": documents.cms_of_zeros(100),
    }


def _zip(method: int) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name in ("a.exe", "ü/b.txt"):
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), _TEXT, method)
    return target.getvalue()


def _seven_zip(password: str | None) -> bytes:
    target = io.BytesIO()
    with py7zr.SevenZipFile(target, "w", password=password) as archive:
        archive.writestr(_TEXT, "a.exe")
    return target.getvalue()


def _tar() -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name in ("a.exe", "b.txt"):
            member = tarfile.TarInfo(name)
            member.size = len(_TEXT)
            archive.addfile(member, io.BytesIO(_TEXT))
    return target.getvalue()


def _pdf() -> bytes:
    stream = zlib.compress(_TEXT)
    return b"".join(
        (
            b"%PDF-1.4\n1 0 obj<</Type/Catalog/Names<</EmbeddedFiles<</Names[(a.exe)2 0 R]>>>>>>endobj\n",
            b"2 0 obj<</Type/Filespec/F(a.exe)/EF<</F 3 0 R>>>>endobj\n",
            b"3 0 obj<</Type/EmbeddedFile/Filter/FlateDecode/Length %d>>stream\n" % len(stream),
            stream,
            b"endstream endobj\ntrailer<</Root 1 0 R>>\n",
        )
    )
