"""Small files of which more comes out than anyone can look at."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_FIRST_OF_1980 = (0, 33)
_ZSTD_BLOCK_BYTES = 128 * 1024


def nested_zips(levels: int, copies: int, zeros: int) -> bytes:
    """As 42.zip: each zip holds copies of the next, the last one zeros."""
    content = zip_of({"0": bytes(zeros)})
    for _ in range(levels):
        content = zip_of({f"{number}.zip": content for number in range(copies)})
    return content


def zip_of(members: dict[str, bytes]) -> bytes:
    """An ordinary zip."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target.getvalue()


def many_members(count: int) -> bytes:
    """A zip of empty members."""
    return zip_of({str(number): b"" for number in range(count)})


def overlapping_members(count: int, zeros: int) -> bytes:
    """After David Fifield, «A better zip bomb» (2019): a kernel of zeros that every member ends in.

    Each member begins with a stored block that quotes the local header of the next one, so all headers are right.
    """
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = compressor.compress(bytes(zeros)) + compressor.flush()
    content, size = bytes(zeros), zeros
    area, directory = b"", []
    for number in reversed(range(count)):
        name = b"%05d" % number
        fields = (20, 0, 8, *_FIRST_OF_1980, zlib.crc32(content), len(data), size)
        header = _LOCAL.pack(b"PK\3\4", *fields, len(name), 0) + name
        directory.append((name, fields, len(header) + len(data)))
        area = header + data
        data = struct.pack("<BHH", 0, len(header), len(header) ^ 0xFFFF) + area
        content, size = header + content, size + len(header)
    records = b"".join(
        _CENTRAL.pack(b"PK\1\2", 20, *fields, len(name), 0, 0, 0, 0, 0, len(area) - behind) + name
        for name, fields, behind in directory
    )
    return area + records + _END.pack(b"PK\5\6", 0, 0, count, count, len(records), len(area), 0)


def one_member_many_times(count: int, zeros: int) -> bytes:
    """A zip whose directory names the same data again and again."""
    one = zip_of({"0": bytes(zeros)})
    at = one.index(b"PK\1\2")
    record = one[at : one.index(b"PK\5\6")]
    return one[:at] + record * count + _END.pack(b"PK\5\6", 0, 0, count, count, len(record) * count, at, 0)


def gzip_of_zeros(zeros: int, times: int = 1) -> bytes:
    """Compressed so many times."""
    content = gzip.compress(bytes(zeros), mtime=0)
    for _ in range(times - 1):
        content = gzip.compress(content, mtime=0)
    return content


def gzip_nest(levels: int) -> bytes:
    """A file compressed again and again, which does not make it smaller."""
    content = b"hello"
    for _ in range(levels):
        content = gzip.compress(content, mtime=0)
    return content


def bzip2_of_zeros(zeros: int) -> bytes:
    """Forty thousand to one."""
    return bz2.compress(bytes(zeros))


def xz_of_zeros(zeros: int) -> bytes:
    """Seven thousand to one."""
    return lzma.compress(bytes(zeros))


def zstd_of_zeros(zeros: int, *, window_log: int = 17) -> bytes:
    """Thirty thousand to one: blocks that repeat one byte (RFC 8878 §3.1.1.2)."""
    header = b"\x28\xb5\x2f\xfd\0" + bytes([window_log - 10 << 3])
    block = (_ZSTD_BLOCK_BYTES << 3 | 1 << 1).to_bytes(3, "little") + b"\0"
    return header + block * (zeros // _ZSTD_BLOCK_BYTES) + b"\x01\0\0"


def lzma_with_a_large_dictionary() -> bytes:
    """Says that it takes 4 GiB to decompress."""
    return (
        b"\x5d"
        + struct.pack("<I", 0xFFFF_FFFF)
        + struct.pack("<Q", 1 << 37)
        + lzma.compress(bytes(1_000_000), lzma.FORMAT_ALONE)[13:]
    )


def zip_of_lzma_with_a_large_dictionary() -> bytes:
    """The same inside of a zip (APPNOTE §5.8), and what follows needs all of it."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("0", bytes(1_000_000))
    properties = target.getvalue().index(b"\x05\0\x5d") + 3
    content = bytearray(target.getvalue())
    content[properties : properties + 4] = b"\xff" * 4
    content[properties + 20 : properties + 40] = b"\xff" * 20
    return bytes(content)


def sparse_tar(size: int) -> bytes:
    """Old GNU sparse format: a member that is a hole of so many bytes, but for its last one."""
    header = bytearray(tarfile.TarInfo("hole").tobuf(tarfile.GNU_FORMAT)[:512])
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[124:136] = b"%011o\0" % 512
    header[257:265] = b"ustar  \0"
    header[386:398] = _number(size - 512)
    header[398:410] = b"%011o\0" % 512
    header[483:495] = _number(size)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + b"x" * 512 + bytes(1024)


def _number(value: int) -> bytes:
    """A number of a tar header, in base 256 where octal digits do not suffice."""
    return b"%011o\0" % value if value < 8**11 else b"\x80" + value.to_bytes(11, "big")


def tar_of_empty_members(count: int) -> bytes:
    """Half a kilobyte each."""
    one = tarfile.TarInfo("x").tobuf(tarfile.GNU_FORMAT)
    return one * count + bytes(1024)


def tars_in_tars(levels: int) -> bytes:
    """Each in the next; all begin alike."""
    content = b"hello"
    for _ in range(levels):
        target = io.BytesIO()
        with tarfile.open(fileobj=target, mode="w") as archive:
            member = tarfile.TarInfo("inner.tar")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        content = target.getvalue()
    return content
