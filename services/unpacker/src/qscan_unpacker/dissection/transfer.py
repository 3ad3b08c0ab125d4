"""Content transfer encodings (RFC 2045 §6), decoded piece by piece so that a large part is never held whole."""

import binascii
import re
from collections.abc import Iterator

import pybase64

PIECE_BYTES = 768 * 1024
IDENTITY = frozenset({b"", b"7bit", b"8bit", b"binary"})
DECODED = frozenset({b"base64", b"quoted-printable"})

_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="))
_WHITE_SPACE = b" \t\r\n"
_JUNK = re.compile(b"[" + re.escape(bytes(set(_NOT_BASE64) - set(_WHITE_SPACE))) + b"]")
_PADDING = re.compile(rb"=")
_DIGIT = re.compile(rb"[A-Za-z0-9+/]")
_BAD_QUOTED = re.compile(rb"=(?![0-9A-Fa-f]{2}|[ \t]*\r?\n|[ \t]*$)")


def base64_defects(encoded: bytes | memoryview) -> list[str]:
    """Ids of what is wrong with base64 text (RFC 2045 §6.8)."""
    ids = []
    if _JUNK.search(encoded):
        ids.append("base64.junk")
    padding = _PADDING.search(encoded)
    if padding is not None and _DIGIT.search(encoded, padding.end()):
        ids.append("base64.padding.early")
    elif sum(len(piece.translate(None, _NOT_BASE64)) for piece in _pieces(encoded)) % 4:
        ids.append("base64.padding.missing")
    return ids


def decode_base64(encoded: bytes | memoryview) -> Iterator[bytes]:
    """Decode, ignoring what is outside the alphabet, as RFC 2045 §6.8 asks.

    Padding in the middle ends a run of its own: what follows is decoded as a new one, so nothing is cut off.
    """
    carry = b""
    for piece in _pieces(encoded):
        alphabet = carry + piece.translate(None, _NOT_BASE64)
        if b"=" in alphabet:
            *runs, carry = re.split(rb"=+", alphabet)
            yield b"".join(map(_decode_run, runs))
        else:
            carry = alphabet
        whole = len(carry) - len(carry) % 4
        yield pybase64.b64decode(carry[:whole])
        carry = carry[whole:]
    yield _decode_run(carry)


def _pieces(encoded: bytes | memoryview) -> Iterator[bytes]:
    return (bytes(encoded[at : at + PIECE_BYTES]) for at in range(0, len(encoded), PIECE_BYTES))


def _decode_run(run: bytes) -> bytes:
    """A run without padding; a single left-over character holds no whole byte and is dropped."""
    if len(run) % 4 == 1:
        run = run[:-1]
    return pybase64.b64decode(run + b"=" * (-len(run) % 4))


def quoted_printable_defects(encoded: bytes | memoryview) -> list[str]:
    """Ids of what is wrong with quoted-printable text (RFC 2045 §6.7)."""
    return ["quoted_printable.invalid"] if _BAD_QUOTED.search(encoded) else []


def decode_quoted_printable(encoded: bytes | memoryview) -> Iterator[bytes]:
    """Decode in pieces that end at line ends, so that no escape is cut in two."""
    at = 0
    while at < len(encoded):
        piece = bytes(encoded[at : at + PIECE_BYTES])
        if at + len(piece) < len(encoded):
            line_end = piece.rfind(b"\n")
            # A line longer than a piece is cut in front of the last escape that could be split.
            piece = piece[: line_end + 1] if line_end >= 0 else piece[: _safe_cut(piece)]
        yield binascii.a2b_qp(piece)
        at += len(piece)


def _safe_cut(piece: bytes) -> int:
    last = piece.rfind(b"=", len(piece) - 3)
    return last if last > 0 else len(piece)
