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

_TEXT = b"hello, this is a member of a container\n"


def small_container(chance: Random) -> bytes:
    """One of them."""
    return chance.choice(list(small_containers().values()))


@functools.cache
def small_containers() -> dict[str, bytes]:
    """All of them, by name; the same bytes every time."""
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
    }


def _zip(method: int) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name in ("a.exe", "ü/b.txt"):
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), _TEXT, method)
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
