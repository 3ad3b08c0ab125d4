"""Messages that make work for whoever takes them apart."""

import base64

MULTIPART = b'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="b"\n\n'
BASE64 = b"Content-Transfer-Encoding: base64\n\n"
QUOTED_PRINTABLE = b"Content-Transfer-Encoding: quoted-printable\n\n"
MEGABYTE = 1_000_000
_HEADER_BYTES = 250_000
"""Below the budget of one header."""


def attached(content: bytes, name: str = "a.bin") -> bytes:
    """A message that is this file."""
    header = f"Content-Type: application/octet-stream; name={name}\nContent-Transfer-Encoding: base64\n\n"
    return header.encode() + base64.encodebytes(content)


def parts(*contents: bytes) -> bytes:
    """A multipart; each part with its own header."""
    return MULTIPART + b"".join(b"--b\n" + content + b"\n" for content in contents) + b"--b--\n"


def repeated(before: bytes, piece: bytes, size: int, after: bytes = b"") -> bytes:
    """One piece of syntax over and over."""
    return before + piece * (size // len(piece)) + after


def field(before: bytes, piece: bytes, after: bytes = b"", *, count: int = 20) -> bytes:
    """So many parts with a field as long as one may be."""
    return parts(*[repeated(before, piece, _HEADER_BYTES, after + b"\n\nx")] * count)


def nested_multiparts(depth: int) -> bytes:
    """One in the other."""
    return (
        b"".join(b"Content-Type: multipart/mixed; boundary=b%06d\n\n--b%06d\n" % (at, at) for at in range(depth))
        + b"\nx"
    )


def nested_messages(depth: int, body: bytes = b"\nx") -> bytes:
    """One in the other."""
    return b"Content-Type: message/rfc822\n\n" * depth + body


def two_boundaries_at_each_level(depth: int) -> bytes:
    """Each level can be divided in two ways, and each of them has the next level in it."""
    message = b"\npayload\n"
    for at in reversed(range(depth)):
        one, other = b"a%d" % at, b"c%d" % at
        head = b"".join(b"Content-Type: multipart/mixed; boundary=%s\n" % mark for mark in (one, other))
        body = [b"--", one, b"\n\n--", other, b"\n\n--", one, b"\n", message]
        tail = [b"\n--", other, b"\n\nx\n--", one, b"--\n--", other, b"--\n"]
        message = head + b"\n" + b"".join(body + tail)
    return message


def boundaries_that_are_prefixes(depth: int) -> bytes:
    """b, bb, bbb …, one in the other."""
    message = b"\nx\n"
    for length in reversed(range(1, depth + 1)):
        boundary = b"b" * length
        message = b'Content-Type: multipart/mixed; boundary="%s"\n\n--%s\n%s' % (boundary, boundary, message)
    return message


def continuations(count: int, content: bytes = b"a") -> bytes:
    """A name in so many pieces (RFC 2231 §3)."""
    return b"Content-Type: a/b" + b"".join(b";name*%d=%s" % (at, content) for at in range(count)) + b"\n\nx"
