"""Files wrapped in text or in other files: uuencode, yEnc, BinHex, TNEF, S/MIME, each with what is done wrong in it.

As in `encoders`, Latin-1 stands for bytes and LF for line ends.
"""

import base64
import binascii
import struct
import zlib
from collections.abc import Iterable

# -------------------------------------------------------------------------------------------- uuencode


def uu_lines(data: bytes, *, backtick: bool = True, length: int = 45) -> list[str]:
    """The lines between ``begin`` and the empty line, each of so many bytes."""
    zero = "`" if backtick else " "
    return [_uu_line(data[at : at + length], zero) for at in range(0, len(data), length)]


def _uu_line(piece: bytes, zero: str) -> str:
    bits = "".join(f"{byte:08b}" for byte in piece + bytes(-len(piece) % 3))
    digits = [len(piece), *(int(bits[at : at + 6], 2) for at in range(0, len(bits), 6))]
    return "".join(chr(digit + 32) if digit else zero for digit in digits)


def uu(data: bytes) -> str:
    """The lines of a file with ``backtick`` for zero, and the empty line."""
    return "\n".join([*uu_lines(data), "`"])


def uu_space(data: bytes) -> str:
    """Space for zero."""
    return "\n".join([*uu_lines(data, backtick=False), " "])


def uu_trimmed(data: bytes) -> str:
    """Space for zero, and the spaces at the ends of lines lost on the way."""
    return "\n".join([*(line.rstrip(" ") for line in uu_lines(data, backtick=False)), ""])


def uu_checksum(data: bytes) -> str:
    """A check character behind each line, as some encoders write."""
    return "\n".join([*(f"{line}X" for line in uu_lines(data)), "`"])


def uu_short_lines(data: bytes) -> str:
    """Lines of one to seven bytes."""
    return "\n".join([*uu_lines(data, length=7), "`"])


def uu_long_lines(data: bytes) -> str:
    """Lines of 63 bytes, the most that the length can say."""
    return "\n".join([*uu_lines(data, length=63), "`"])


def uu_blank_lines(data: bytes) -> str:
    """An empty line between any two lines."""
    return "\n\n".join([*uu_lines(data), "`"])


def uu_zero_inside(data: bytes) -> str:
    """A line of zero bytes, the end for some, between lines."""
    first, *rest = uu_lines(data)
    return "\n".join([first, "`", *rest, "`"])


def uu_no_zero(data: bytes) -> str:
    """No line of zero bytes before ``end``."""
    return "\n".join(uu_lines(data))


# ------------------------------------------------------------------------------------------------ yEnc


def yenc(data: bytes) -> str:
    """The lines of a file (yEnc draft 1.3), 128 characters each."""
    lines, line = [], ""
    for byte in data:
        character = (byte + 42) % 256
        escaped = character in {0x00, 0x0A, 0x0D, 0x3D} or (not line and character == ord("."))
        line += f"={chr((character + 64) % 256)}" if escaped else chr(character)
        if len(line) >= 128:
            lines.append(line)
            line = ""
    return "\n".join([*lines, line] if line else lines)


def yenc_size(data: bytes) -> str:
    """For ``size=``."""
    return str(len(data))


def yenc_next(data: bytes) -> str:
    """For ``begin=`` of what follows."""
    return str(len(data) + 1)


def yenc_crc(data: bytes) -> str:
    """For ``crc32=``."""
    return f"{zlib.crc32(data):08x}"


# ---------------------------------------------------------------------------------------------- BinHex

_BINHEX = "!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
_RUN = 0x90
_SHORTEST_RUN = 4
_LONGEST_RUN = 255


def _crc(data: bytes) -> bytes:
    return struct.pack(">H", binascii.crc_hqx(data, 0))


def _runs(data: bytes) -> bytes:
    out, at = bytearray(), 0
    while at < len(data):
        count = 1
        while at + count < len(data) and data[at + count] == data[at] and count < _LONGEST_RUN:
            count += 1
        one = bytes([data[at]]) + (b"\0" if data[at] == _RUN else b"")
        out += one + bytes([_RUN, count]) if count >= _SHORTEST_RUN else one * count
        at += count
    return bytes(out)


def binhex(data: bytes) -> str:
    """A BinHex 4.0 file (RFC 1741) called ``evil.bin``, its data fork the payload."""
    name = b"evil.bin"
    header = bytes([len(name)]) + name + b"\0" + b"BINAQSCN" + struct.pack(">HII", 0, len(data), 0)
    packed = _runs(header + _crc(header) + data + _crc(data) + b"\0\0")
    bits = "".join(f"{byte:08b}" for byte in packed)
    bits += "0" * (-len(bits) % 6)
    text = ":" + "".join(_BINHEX[int(bits[at : at + 6], 2)] for at in range(0, len(bits), 6)) + ":"
    return "\n".join(text[at : at + 64] for at in range(0, len(text), 64))


# ------------------------------------------------------------------------------------------------ TNEF


def tnef(data: bytes, *, title: bytes = b"evil.bin", checksum_error: int = 0) -> bytes:
    """A TNEF stream (MS-OXTNEF) with one attachment."""

    def attribute(level: int, id_: int, content: bytes) -> bytes:
        checksum = (sum(content) + checksum_error) & 0xFFFF
        return struct.pack("<BII", level, id_, len(content)) + content + struct.pack("<H", checksum)

    return b"".join(
        [
            struct.pack("<IH", 0x223E9F78, 1),
            attribute(1, 0x00089006, struct.pack("<I", 0x00010000)),  # attTnefVersion
            attribute(2, 0x00069002, struct.pack("<HIHHI", 1, 0xFFFFFFFF, 0, 0, 0)),  # attAttachRendData
            attribute(2, 0x00018010, title + b"\0"),  # attAttachTitle
            attribute(2, 0x0006800F, data),  # attAttachData
        ]
    )


def tnef_base64(data: bytes) -> str:
    """winmail.dat."""
    return _base64(tnef(data))


def tnef_bad_checksum(data: bytes) -> str:
    """winmail.dat whose checksums are wrong."""
    return _base64(tnef(data, checksum_error=1))


def tnef_nested(data: bytes) -> str:
    """winmail.dat in winmail.dat."""
    return _base64(tnef(tnef(data), title=b"winmail.dat"))


# ---------------------------------------------------------------------------------------------- S/MIME

_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
_DATA = bytes.fromhex("06092a864886f70d010701")
_INDEFINITE = b"\x80"
_SHORT = 0x80


def _der(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    size = len(content)
    if size < _SHORT:
        length = bytes([size])
    else:
        digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
        length = bytes([_SHORT | len(digits)]) + digits
    return bytes([tag]) + length + content


def _ber(tag: int, *contents: bytes) -> bytes:
    """Of indefinite length."""
    return bytes([tag]) + _INDEFINITE + b"".join(contents) + b"\0\0"


def signed(data: bytes) -> str:
    """CMS SignedData without signers around a part that holds the payload (RFC 8551 §3.5.2), in base64."""
    content = _der(0x30, _DATA, _der(0xA0, _der(0x04, _part(data))))
    return _base64(_der(0x30, _SIGNED_DATA, _der(0xA0, _signed_data(content))))


def signed_ber(data: bytes) -> str:
    """The same with indefinite lengths and the content in pieces, as Outlook and OpenSSL's streams write it."""
    part = _part(data)
    pieces = [_der(0x04, part[at : at + 50]) for at in range(0, len(part), 50)]
    content = _ber(0x30, _DATA, _ber(0xA0, _ber(0x24, *pieces)))
    return _base64(_ber(0x30, _SIGNED_DATA, _ber(0xA0, _signed_data(content))))


def _signed_data(content: bytes) -> bytes:
    return _der(0x30, _der(0x02, b"\1"), _der(0x31), content, _der(0x31))


def _part(data: bytes) -> bytes:
    encoded = base64.encodebytes(data).replace(b"\n", b"\r\n")
    return b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded


def _base64(data: bytes) -> str:
    return "\n".join(_lines(base64.b64encode(data).decode("ascii")))


def _lines(text: str) -> Iterable[str]:
    return (text[at : at + 76] for at in range(0, len(text), 76))


# ------------------------------------------------------------------------------------- messages and PGP


def message(data: bytes) -> str:
    """A message of its own with the payload in it, in base64 as a whole."""
    return _base64(b"Subject: inner\r\nMIME-Version: 1.0\r\n" + _part(data))


def message_text(data: bytes) -> str:
    """A message of one text, in base64 as a whole."""
    return _base64(b"Subject: inner\r\nFrom: inner@example.org\r\nMIME-Version: 1.0\r\n\r\n" + data)


def pgp_literal(data: bytes) -> str:
    """An OpenPGP message (RFC 9580 §5.9) that is neither encrypted nor signed: armoured literal data."""
    literal = b"b\x08evil.bin\0\0\0\0" + data
    return _base64(b"\xcb\xff" + struct.pack(">I", len(literal)) + literal)


def folded(data: bytes) -> str:
    """Base64 whose lines go on behind a space, as those of calendars and cards do (RFC 5545 §3.1)."""
    return _base64(data).replace("\n", "\n ")


# ------------------------------------------------------------------------------------------------- nests


def _nested(data: bytes, levels: int, *, closed: bool) -> str:
    opened = "".join(
        f'Content-Type: multipart/mixed; boundary="deep{level}"\n\n--deep{level}\n' for level in range(levels)
    )
    closing = "".join(f"\n--deep{level}--" for level in reversed(range(levels)))
    return opened + _part(data).decode("ascii").replace("\r\n", "\n").rstrip("\n") + (closing if closed else "")


def nested_30(data: bytes) -> str:
    """A part in 30 multiparts."""
    return _nested(data, 30, closed=True)


def nested_120(data: bytes) -> str:
    """A part in 120 multiparts, none of which is closed."""
    return _nested(data, 120, closed=False)
