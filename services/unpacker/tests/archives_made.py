"""Archives for tests, honest and hostile, written field by field: no library would write most of them."""

import hashlib
import hmac
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

STORED, DEFLATED, AES = 0, 8, 99
UTF8_FLAG, ENCRYPTED_FLAG, DESCRIPTOR_FLAG = 1 << 11, 1, 1 << 3


def deflated(content: bytes) -> bytes:
    """A raw deflate stream."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return compressor.compress(content) + compressor.flush()


@dataclass
class Entry:
    """A member of a zip that is to be written.

    Attributes:
        data: what stands in the file; by default `content` compressed as `method` says.
        local, central: fields that the header shall state instead of the truth: `name`, `flags`, `method`, `crc`,
            `compressed_size`, `size`, `extra`, `attributes`, `offset`. None: it has no such header.
    """

    name: str
    content: bytes
    method: int = DEFLATED
    data: bytes | None = None
    flags: int = 0
    extra: bytes = b""
    local: Mapping[str, int | bytes] | None = field(default_factory=dict)
    central: Mapping[str, int | bytes] | None = field(default_factory=dict)

    @property
    def stored(self) -> bytes:
        """What stands behind the local header."""
        if self.data is not None:
            return self.data
        return deflated(self.content) if self.method == DEFLATED else self.content

    def fields(self, lies: Mapping[str, int | bytes]) -> dict[str, int | bytes]:
        """What a header states."""
        return {
            "name": self.name.encode(),
            "flags": self.flags | (0 if self.name.isascii() else UTF8_FLAG),
            "method": self.method,
            "crc": zlib.crc32(self.content),
            "compressed_size": len(self.stored),
            "size": len(self.content),
            "extra": self.extra,
            "attributes": 0,
            **lies,
        }

    def local_bytes(self) -> bytes:
        """The local header and the data."""
        return b"" if self.local is None else local_header(**self.fields(self.local)) + self.stored


def local_header(**stated: int | bytes) -> bytes:
    """A local header (APPNOTE §4.3.7)."""
    name, extra = _bytes(stated["name"]), _bytes(stated["extra"])
    numbers = [stated[key] for key in ("crc", "compressed_size", "size")]
    return struct.pack(
        "<4sHHHHHIIIHH", b"PK\3\4", 20, stated["flags"], stated["method"], 0, 33, *numbers, len(name), len(extra)
    ) + (name + extra)


def central_header(offset: int | bytes, **stated: int | bytes) -> bytes:
    """A central header (APPNOTE §4.3.12), made on Unix."""
    name, extra = _bytes(stated["name"]), _bytes(stated["extra"])
    numbers = [stated[key] for key in ("crc", "compressed_size", "size")]
    fixed = struct.pack("<4sHHHHHHIII", b"PK\1\2", 0x0314, 20, stated["flags"], stated["method"], 0, 33, *numbers)
    return fixed + struct.pack("<HHHHHII", len(name), len(extra), 0, 0, 0, stated["attributes"], offset) + name + extra


def end_record(number: int, size: int, offset: int, *, comment: bytes = b"", disk: int = 0) -> bytes:
    """An end record (APPNOTE §4.3.16)."""
    return struct.pack("<4sHHHHIIH", b"PK\5\6", disk, disk, number, number, size, offset, len(comment)) + comment


def zip64_end(number: int, size: int, offset: int, *, at: int) -> bytes:
    """A zip64 end record that stands at `at`, and its locator (APPNOTE §4.3.14, §4.3.15)."""
    record = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, number, number, size, offset)
    return record + struct.pack("<4sIQI", b"PK\6\7", 0, at, 1)


def zip_of(*entries: Entry, prefix: bytes = b"", before_directory: bytes = b"", comment: bytes = b"") -> bytes:
    """A zip. `prefix` counts in no offset, as in a self-extractor that was put together with `cat`."""
    body, directory = b"", b""
    number = 0
    for entry in entries:
        if entry.central is not None:
            stated = entry.fields(entry.central)
            number += 1
            directory += central_header(stated.pop("offset", len(body)), **stated)
        body += entry.local_bytes()
    body += before_directory
    return prefix + body + directory + end_record(number, len(directory), len(body), comment=comment)


def traditionally_encrypted(data: bytes, password: bytes, check: int) -> bytes:
    """PKWARE's old cipher (APPNOTE §6.1); `check`: the last byte of its header, the first of the checksum."""
    keys = [0x12345678, 0x23456789, 0x34567890]
    mask = 0xFFFFFFFF

    def update(byte: int) -> None:
        keys[0] = ~zlib.crc32(bytes((byte,)), ~keys[0] & mask) & mask
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & mask
        keys[2] = ~zlib.crc32(bytes((keys[1] >> 24,)), ~keys[2] & mask) & mask

    for byte in password:
        update(byte)
    encrypted = bytearray()
    for byte in bytes(range(11)) + bytes((check,)) + data:
        key = (keys[2] & 0xFFFF) | 2
        encrypted.append(byte ^ (((key * (key ^ 1)) >> 8) & 0xFF))
        update(byte)
    return bytes(encrypted)


def traditional_entry(name: str, content: bytes, password: bytes) -> Entry:
    """A deflated member under the old cipher."""
    data = traditionally_encrypted(deflated(content), password, zlib.crc32(content) >> 24)
    return Entry(name, content, data=data, flags=ENCRYPTED_FLAG)


def aes_entry(name: str, content: bytes, password: bytes, *, strength: int = 3, method: int = DEFLATED) -> Entry:
    """A member under WinZip's AES, of its second kind: without a checksum of the content."""
    salt = bytes(range(4 * (strength + 1)))
    key_bytes = 8 * (strength + 1)
    derived = hashlib.pbkdf2_hmac("sha1", password, salt, 1000, 2 * key_bytes + 2)
    plain = deflated(content) if method == DEFLATED else content
    cipher = Cipher(algorithms.AES(derived[:key_bytes]), modes.ECB()).encryptor()  # noqa: S305 - CTR, the other end first
    blocks = range(1, len(plain) // 16 + 2)
    stream = cipher.update(b"".join(block.to_bytes(16, "little") for block in blocks))
    encrypted = bytes(byte ^ key for byte, key in zip(plain, stream, strict=False))
    code = hmac.digest(derived[key_bytes : 2 * key_bytes], encrypted, "sha1")[:10]
    data = salt + derived[-2:] + encrypted + code
    extra = struct.pack("<HHH2sBH", 0x9901, 7, 2, b"AE", strength, method)
    lies = {"crc": 0}
    return Entry(name, content, AES, data, ENCRYPTED_FLAG, extra, lies, lies)


def overlapping_bomb(members: int, kernel_bytes: int) -> bytes:
    """Members that share one stream: each quotes the header of the next in a stored block (Fifield, 2019)."""
    kernel = deflated(bytes(kernel_bytes))
    data, crc, size = kernel, zlib.crc32(bytes(kernel_bytes)), kernel_bytes
    body = b""
    starts: list[dict[str, int | bytes]] = []
    for index in reversed(range(members)):
        stated: dict[str, int | bytes] = {
            "name": b"%06d" % index,
            "flags": 0,
            "method": DEFLATED,
            "crc": crc,
            "compressed_size": len(data),
            "size": size,
            "extra": b"",
            "attributes": 0,
        }
        header = local_header(**stated)
        body = header + body
        starts.append(stated)
        if len(starts) == 1:
            body = header + kernel
        quote = struct.pack("<BHH", 0, len(header), len(header) ^ 0xFFFF)
        if index:
            # The checksum of the quoting members does not matter here, so it is not computed.
            data = quote + header + data
            size += len(header)
            body = quote + body
            crc = 0
    directory, at, total = b"", 0, len(body)
    for stated in reversed(starts):
        directory += central_header(at, **stated)
        at += 30 + 6 + 5
    return body + directory + end_record(members, len(directory), total)


def rar4_of(*members: tuple[str, bytes], encrypted: bool = False, main_flags: int = 0) -> bytes:
    """A rar 4 with stored members."""

    def block(kind: int, flags: int, fields: bytes, data: bytes = b"") -> bytes:
        rest = struct.pack("<BHH", kind, flags, 7 + len(fields)) + fields
        return struct.pack("<H", zlib.crc32(rest) & 0xFFFF) + rest + data

    body = b"Rar!\x1a\x07\0" + block(0x73, main_flags, bytes(6))
    for name, content in members:
        raw = name.encode()
        sizes = struct.pack(
            "<IIBIIBBHI", len(content), len(content), 3, zlib.crc32(content), 0, 20, 0x30, len(raw), 0o100644
        )
        flags = 0x8000 | (0x0404 if encrypted else 0)
        body += block(0x74, flags, sizes + raw + (bytes(8) if encrypted else b""), content)
    return body + block(0x7B, 0x4000, b"")


def rar5_block(*fields: int | bytes, extra: bytes = b"", data: bytes = b"") -> bytes:
    """A block of rar 5: kind, then what follows the sizes; numbers are written in its way."""
    kind, *rest = fields
    flags = (1 if extra else 0) | (2 if data else 0)
    head: list[int | bytes] = [kind, flags]
    head += [len(extra)] if extra else []
    head += [len(data)] if data else []
    body = b"".join(part if isinstance(part, bytes) else variable(part) for part in (*head, *rest)) + extra
    sized = variable(len(body)) + body
    return struct.pack("<I", zlib.crc32(sized)) + sized + data


def rar5_of(*members: tuple[str, bytes], encrypted: bool = False, archive_flags: int = 0) -> bytes:
    """A rar 5 with stored members."""
    body = b"Rar!\x1a\x07\x01\0" + rar5_block(1, archive_flags)
    secret = variable(1) + variable(0) + variable(0) + b"\x0f" + bytes(32)
    extra = variable(len(secret)) + secret if encrypted else b""
    for name, content in members:
        checksum = struct.pack("<I", zlib.crc32(content))
        fields = (4, len(content), 0o644, checksum, 0, 1, len(name.encode()), name.encode())
        body += rar5_block(2, *fields, extra=extra, data=content)
    return body + rar5_block(5, 0)


def cab_of(*members: tuple[str, bytes], flags: int = 0) -> bytes:
    """A cabinet with one folder, not compressed (MS-CAB §2)."""
    content = b"".join(data for _, data in members)
    files, at = b"", 0
    for name, data in members:
        files += struct.pack("<IIHHHH", len(data), at, 0, 0, 0, 0x20) + name.encode() + b"\0"
        at += len(data)
    first_file = 36 + 8
    first_block = first_file + len(files)
    block = struct.pack("<IHH", 0, len(content), len(content)) + content
    folder = struct.pack("<IHH", first_block, 1, 0)
    total = first_block + len(block)
    head = struct.pack("<4sIIIIIBBHHHHH", b"MSCF", 0, total, 0, first_file, 0, 3, 1, 1, len(members), flags, 0, 0)
    return head + folder + files + block


def lha_of(*members: tuple[str, bytes]) -> bytes:
    """An lha with stored members and headers of level 0."""
    archive = b""
    for name, content in members:
        fixed = b"-lh0-" + struct.pack("<IIIBB", len(content), len(content), 0, 0x20, 0)
        header = fixed + bytes((len(name),)) + name.encode() + struct.pack("<H", _crc16(content))
        archive += bytes((len(header), sum(header) & 0xFF)) + header + content
    return archive + b"\0"


def cpio_of(*members: tuple[str, bytes], mode: int = 0o100644) -> bytes:
    """A cpio in the «newc» dialect."""
    archive = b""
    for name, content in (*members, ("TRAILER!!!", b"")):
        fields = (1, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name.encode()) + 1, 0)
        header = b"070701" + b"".join(b"%08X" % number for number in fields) + name.encode() + b"\0"
        archive += _padded(header, 4) + _padded(content, 4)
    return archive


def ar_of(*members: tuple[str, bytes]) -> bytes:
    """An ar, as in Debian's packages."""
    archive = b"!<arch>\n"
    for name, content in members:
        archive += b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (name.encode() + b"/", 0, 0, 0, b"100644", len(content))
        archive += _padded(content, 2, b"\n")
    return archive


def xar_of(name: str, content: bytes) -> bytes:
    """A xar with one member, not compressed."""
    heap = f"<length>{len(content)}</length><offset>0</offset><size>{len(content)}</size>"
    about = f'<data>{heap}<encoding style="application/octet-stream"/></data>'
    listing = (
        f'<?xml version="1.0"?><xar><toc><file id="1"><name>{name}</name><type>file</type>{about}</file></toc></xar>'
    )
    packed = zlib.compress(listing.encode())
    return struct.pack(">4sHHQQI", b"xar!", 28, 1, len(packed), len(listing.encode()), 0) + packed + content


def rpm_of(payload: bytes) -> bytes:
    """An rpm package around a compressed cpio, its headers empty."""
    lead = struct.pack(">IBBHH66sHH16s", 0xEDABEEDB, 3, 0, 0, 1, b"name", 1, 5, b"")
    header = (
        bytes.fromhex("8eade801")
        + bytes(4)
        + struct.pack(">II", 1, 4)
        + struct.pack(">IIII", 1000, 4, 0, 1)
        + b"\0\0\0\1"
    )
    return lead + _padded(header, 8) + header + payload


def zstd_of(content: bytes) -> bytes:
    """A zstd frame with one raw block (RFC 8878 §3)."""
    return (
        b"\x28\xb5\x2f\xfd\xa0"
        + struct.pack("<I", len(content))
        + (1 | len(content) << 3).to_bytes(3, "little")
        + content
    )


def lz4_of(content: bytes) -> bytes:
    """An lz4 frame with one block that is not compressed."""
    return bytes.fromhex("04224d18604082") + struct.pack("<I", len(content) | 1 << 31) + content + bytes(4)


def _bytes(value: int | bytes) -> bytes:
    assert isinstance(value, bytes)
    return value


def variable(number: int) -> bytes:
    """A number as rar 5 writes it: seven bits to a byte, the lowest first."""
    groups = bytearray()
    while True:
        number, low = number >> 7, number & 0x7F
        groups.append(low | (0x80 if number else 0))
        if not number:
            return bytes(groups)


def _padded(data: bytes, multiple: int, padding: bytes = b"\0") -> bytes:
    return data + padding * (-len(data) % multiple)


def _crc16(content: bytes) -> int:
    crc = 0
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0xA001 if crc & 1 else 0)
    return crc
