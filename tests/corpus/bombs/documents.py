"""Documents that make work for whoever looks for files in them."""

import struct
import zlib

_COMPRESSED_DATA = bytes.fromhex("060b2a864886f70d0109100109")
_ZLIB = bytes.fromhex("060b2a864886f70d0109100308")
_DATA = bytes.fromhex("06092a864886f70d010701")
_SEQUENCE, _SET_0, _INTEGER, _OCTETS = b"\x30", b"\xa0", b"\x02", b"\x04"


def pdf_with_a_file(stream: bytes, filters: bytes) -> bytes:
    """A file is embedded, its stream under these filters."""
    return b"".join(
        (
            b"%PDF-1.4\n1 0 obj<</Type/Catalog/Names<</EmbeddedFiles<</Names[(a.exe)2 0 R]>>>>>>endobj\n",
            b"2 0 obj<</Type/Filespec/F(a.exe)/EF<</F 3 0 R>>>>endobj\n",
            b"3 0 obj<</Type/EmbeddedFile/Filter[%s]/Length %d>>stream\n" % (filters, len(stream)),
            stream,
            b"\nendstream endobj\ntrailer<</Root 1 0 R>>\n",
        )
    )


def pdf_of_zeros(zeros: int, times: int) -> bytes:
    """A file of zeros, deflated so many times."""
    stream = bytes(zeros)
    for _ in range(times):
        stream = zlib.compress(stream, 9)
    return pdf_with_a_file(stream, b"/FlateDecode" * times)


def pdf_of_arrays(depth: int) -> bytes:
    """An object of arrays in arrays."""
    return b"%PDF-1.4\n1 0 obj" + b"[" * depth


def pdf_of_many_files(count: int) -> bytes:
    """So many embedded files of one byte."""
    one = b"%d 0 obj<</Type/EmbeddedFile/Length 1>>stream\nx\nendstream endobj\n"
    return b"%PDF-1.4\n" + b"".join(one % number for number in range(1, count)) + b"trailer<</Root 1 0 R>>\n"


def rtf_of_braces(depth: int) -> bytes:
    """Groups in groups."""
    return b"{\\rtf1" + b"{" * depth


def rtf_of_objects(count: int) -> bytes:
    """So many embedded objects."""
    return b"{\\rtf1" + b"{\\object{\\*\\objdata 0105}}" * count + b"}"


def rtf_of_binary_runs(count: int) -> bytes:
    """Each says that a hundred megabytes follow."""
    return b"{\\rtf1" + b"\\bin99999999 " * count


def compound_file_in_a_circle(sectors: int) -> bytes:
    """The allocation table says that each chain begins anew."""
    head = struct.pack(
        "<8s16x5H6x8I", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 62, 3, 0xFFFE, 9, 6, 0, 1, 0, 0, 4096, 0, 1, 0
    )
    return head + struct.pack("<I", 0) + bytes(4) * 109 + bytes(512) * sectors


def tnef_of_attributes(count: int) -> bytes:
    """So many empty attributes."""
    return b"\x78\x9f\x3e\x22\0\0" + b"\x02\x0f\x80\x06\0\x01\0\0\0\0\0\0" * count


def tnef_in_tnef(levels: int) -> bytes:
    """An attachment that is a winmail.dat, and so on."""
    content = b"hello"
    for _ in range(levels):
        rendering, attachment = bytes(14), content
        content = b"\x78\x9f\x3e\x22\0\0" + _attribute(0x00069002, rendering) + _attribute(0x0006800F, attachment)
    return content


def _attribute(name: int, value: bytes) -> bytes:
    return b"\x02" + struct.pack("<II", name, len(value)) + value + struct.pack("<H", sum(value) & 0xFFFF)


def cms_of_zeros(zeros: int) -> bytes:
    """CompressedData (RFC 3274)."""
    content = _element(_SEQUENCE, _DATA + _element(_SET_0, _element(_OCTETS, zlib.compress(bytes(zeros), 9))))
    inner = _element(_SEQUENCE, _element(_INTEGER, b"\0") + _element(_SEQUENCE, _ZLIB) + content)
    return _element(_SEQUENCE, _COMPRESSED_DATA + _element(_SET_0, inner))


def cms_of_sequences(depth: int) -> bytes:
    """Constructed octet strings of indefinite length, one in the other."""
    return b"\x30\x80" + _DATA + b"\xa0\x80" + b"\x24\x80" * depth


def _element(tag: bytes, value: bytes) -> bytes:
    size = len(value)
    length = size.to_bytes((size.bit_length() + 7) // 8 or 1, "big")
    return tag + (length if size < 128 else bytes((0x80 | len(length),)) + length) + value
