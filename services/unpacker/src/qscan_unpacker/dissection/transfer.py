"""Content transfer encodings (RFC 2045 §6), decoded piece by piece so that a large part is never held whole.

What follows the rules is decoded once and fast. Only where junk, padding or an escape is really out of place does
`…_readings` tell in which other ways a mail client may decode it.
"""

import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pybase64

PIECE_BYTES = 768 * 1024
IDENTITY = frozenset({b"", b"7bit", b"8bit", b"binary"})
DECODED = frozenset({b"base64", b"quoted-printable"})

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = bytes(set(range(256)) - set(_ALPHABET) - set(b"="))
_NOT_DIGITS = _NOT_BASE64 + b"="
_NOT_BASE64_URL = bytes(set(_NOT_BASE64) - set(b"-_"))
_FROM_URL_ALPHABET = bytes.maketrans(b"-_", b"+/")
_LINE_ENDS = b"\r\n"
_JUNK = re.compile(rb"[^A-Za-z0-9+/=\s]")
_PADDING = re.compile(rb"=")
_DIGIT = re.compile(rb"[A-Za-z0-9+/]")
_NO_PLAIN_ESCAPE = re.compile(rb"=(?![0-9A-Fa-f][0-9A-Fa-f]|\r\n|\n)")
_BAD_QUOTED = re.compile(rb"=(?![0-9A-Fa-f]{2}|[ \t]*\r?\n|[ \t]*\Z)")
_ESCAPE = re.compile(rb"=[0-9A-Fa-f]{2}")
_MIN_ESCAPES = 3
_EQUALS_CR = re.compile(rb"=\r(?!\n)")
_SOFT_BREAK = re.compile(rb"=[ \t]*(?:\r?\n|\Z)")
_PADDED_SOFT_BREAK = re.compile(rb"=[ \t]+(?:\r?\n|\Z)")
_ANY_SOFT_BREAK = re.compile(rb"=[ \t]*(?:\r\n|\n|\r|\Z)|(?<![ \t])[ \t]++(?=\r?\n)")

Encoded = bytes | memoryview
Decoder = Callable[[Encoded], Iterator[bytes]]


class IrregularError(Exception):
    """The text breaks the rules of its encoding, so that readers may differ."""


@dataclass(frozen=True)
class Readings:
    """How irregular text may be decoded. The first decoder is the best guess; `defects` are ids of the catalogue."""

    decoders: tuple[Decoder, ...]
    defects: tuple[str, ...]


def regular(encoding: bytes) -> Decoder:
    """The decoder of regular text in base64 or quoted-printable; it raises IrregularError on other text."""
    return regular_base64 if encoding == b"base64" else regular_quoted_printable


def readings(encoding: bytes, encoded: Encoded) -> Readings:
    """The readings of irregular text in `encoding`."""
    return base64_readings(encoded) if encoding == b"base64" else quoted_printable_readings()


# ------------------------------------------------------------------------------------------------------------ base64


def regular_base64(encoded: Encoded) -> Iterator[bytes]:
    """Decode base64 in lines, padded at its end (RFC 2045 §6.8). Raises IrregularError, maybe in the middle."""
    carry, padded = b"", False
    for piece in pieces(encoded):
        text = carry + piece.translate(None, _LINE_ENDS)
        if padded and text:
            raise IrregularError
        whole = len(text) - len(text) % 4
        yield _valid(text[:whole])
        carry, padded = text[whole:], text.endswith(b"=", 0, whole)
    if carry:
        raise IrregularError


def _valid(text: bytes) -> bytes:
    try:
        return pybase64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise IrregularError from error


def base64_readings(encoded: Encoded) -> Readings:
    """RFC 2045 §6.8 says to ignore what is outside the alphabet; of padding in the middle it says nothing certain."""
    decoders: list[Decoder] = [decode_base64]
    ids = []
    padding = _PADDING.search(encoded)
    goes_on = padding is not None and _DIGIT.search(encoded, padding.end()) is not None
    junk = _JUNK.search(encoded)
    if goes_on:
        ids.append("base64.padding.early")
        decoders += [_until_padding, _without_padding]
    elif sum(len(piece.translate(None, _NOT_BASE64)) for piece in pieces(encoded)) % 4:
        ids.append("base64.padding.missing")
    if junk is not None:
        ids.append("base64.junk")
        decoders.append(_until_junk)
        if any(b"-" in piece or b"_" in piece for piece in pieces(encoded)):
            decoders.append(_url_alphabet)
    if ids:
        decoders.append(_line_by_line)
    return Readings(tuple(decoders), tuple(ids))


def decode_base64(encoded: Encoded) -> Iterator[bytes]:
    """Decode, ignoring what is outside the alphabet.

    Padding in the middle ends a run of its own: what follows is decoded as a new one, so nothing is cut off.
    """
    return _runs(piece.translate(None, _NOT_BASE64) for piece in pieces(encoded))


def _runs(texts: Iterator[bytes]) -> Iterator[bytes]:
    carry = b""
    for text in texts:
        alphabet = carry + text
        if b"=" in alphabet:
            *runs, carry = re.split(rb"=+", alphabet)
            yield b"".join(map(_decode_run, runs))
        else:
            carry = alphabet
        whole = len(carry) - len(carry) % 4
        yield pybase64.b64decode(carry[:whole])
        carry = carry[whole:]
    yield _decode_run(carry)


def _decode_run(run: bytes) -> bytes:
    """A run without padding; a single left-over character holds no whole byte and is dropped."""
    if len(run) % 4 == 1:
        run = run[:-1]
    return pybase64.b64decode(run + b"=" * (-len(run) % 4))


def _until_padding(encoded: Encoded) -> Iterator[bytes]:
    """As readers do that stop at the first padding."""
    padding = _PADDING.search(encoded)
    return decode_base64(encoded[: padding.start()] if padding is not None else encoded)


def _without_padding(encoded: Encoded) -> Iterator[bytes]:
    """As readers do that pass over padding as over any other junk."""
    return _runs(piece.translate(None, _NOT_DIGITS) for piece in pieces(encoded))


def _until_junk(encoded: Encoded) -> Iterator[bytes]:
    """As readers do that stop at what is outside the alphabet."""
    junk = _JUNK.search(encoded)
    return decode_base64(encoded[: junk.start()] if junk is not None else encoded)


def _url_alphabet(encoded: Encoded) -> Iterator[bytes]:
    """As readers do that know the alphabet for URLs as well (RFC 4648 §5)."""
    return _runs(piece.translate(_FROM_URL_ALPHABET, _NOT_BASE64_URL) for piece in pieces(encoded))


def _line_by_line(encoded: Encoded) -> Iterator[bytes]:
    """As readers do that decode each line on its own."""
    for piece in _whole_lines(encoded):
        yield b"".join(_decode_run(line.translate(None, _NOT_DIGITS)) for line in piece.split(b"\n"))


# -------------------------------------------------------------------------------------------------- quoted-printable


def regular_quoted_printable(encoded: Encoded) -> Iterator[bytes]:
    """Decode quoted-printable (RFC 2045 §6.7). Raises IrregularError, maybe in the middle."""
    for piece in _whole_lines(encoded):
        if _NO_PLAIN_ESCAPE.search(piece) is None:
            yield binascii.a2b_qp(piece)
            continue
        if _BAD_QUOTED.search(piece) is not None:
            raise IrregularError
        # Rule 3: white space at the end of a line was added on the way.
        yield binascii.a2b_qp(_PADDED_SOFT_BREAK.sub(b"=\n", piece))


def looks_quoted_printable(body: Encoded) -> bool:
    """Whether a body that says nothing of it is quoted-printable all the same: it has soft line breaks and escapes."""
    head = bytes(body[:PIECE_BYTES])
    return (b"=\n" in head or b"=\r\n" in head) and len(_ESCAPE.findall(head)) >= _MIN_ESCAPES


def quoted_printable_readings() -> Readings:
    """Of an equals sign that begins no escape RFC 2045 §6.7 says that it may be kept; some drop it."""
    return Readings(
        (decode_quoted_printable, _lenient_quoted_printable, _dropping_equals), ("quoted_printable.invalid",)
    )


def decode_quoted_printable(encoded: Encoded) -> Iterator[bytes]:
    """Decode, keeping what is no escape as it stands."""
    # A bare CR behind the sign would make it swallow all up to the next LF.
    return (binascii.a2b_qp(_EQUALS_CR.sub(b"=3D\r", piece)) for piece in _whole_lines(encoded))


def _lenient_quoted_printable(encoded: Encoded) -> Iterator[bytes]:
    """As readers do that take off white space at line ends first, and a bare CR for a line end."""
    return (binascii.a2b_qp(_ANY_SOFT_BREAK.sub(b"", piece)) for piece in _whole_lines(encoded))


def _dropping_equals(encoded: Encoded) -> Iterator[bytes]:
    """As readers do that drop an equals sign that begins no escape."""
    return (binascii.a2b_qp(_BAD_QUOTED.sub(b"", _SOFT_BREAK.sub(b"", piece))) for piece in _whole_lines(encoded))


# ------------------------------------------------------------------------------------------------------------ pieces


def pieces(encoded: Encoded) -> Iterator[bytes]:
    """The text in pieces of `PIECE_BYTES`."""
    return (bytes(encoded[at : at + PIECE_BYTES]) for at in range(0, len(encoded), PIECE_BYTES))


def _whole_lines(encoded: Encoded) -> Iterator[bytes]:
    """The text in pieces that end at line ends, so that no escape is cut in two."""
    at = 0
    while at < len(encoded):
        piece = bytes(encoded[at : at + PIECE_BYTES])
        if at + len(piece) < len(encoded):
            line_end = piece.rfind(b"\n")
            # A line longer than a piece is cut in front of the last escape that could be split.
            piece = piece[: line_end + 1] if line_end >= 0 else piece[: _safe_cut(piece)]
        yield piece
        at += len(piece)


def _safe_cut(piece: bytes) -> int:
    last = piece.rfind(b"=", len(piece) - 3)
    return last if last > 0 else len(piece)
