"""Base64 that nothing announces: a part whose header some readers do not understand, or a text that quotes one.

Nothing here is a format but for iCalendar and vCard, whose properties may be base64 (RFC 5545 §3.2.7). Scanners that
read a message line by line, as clamd does, decode such blocks; mail clients do where a malformed header means base64 to
them. So a block is another reading of the lines that it is made of.
"""

import itertools
import re
from collections.abc import Iterator

import pybase64

from qscan_unpacker.dissection.wrapped.wrapped_file import PIECE_BYTES, WrappedFile

MIN_LINE_CHARACTERS = 40
"""Of the first line. Shorter ones are words, and what is encoded in one line alone is no file that does harm."""
# The alphabets of RFC 4648 §4 and §5; a line of hyphens is none of either.
_DIGITS = rb"[A-Za-z0-9+/]{2}[A-Za-z0-9+/_-]{%d}[A-Za-z0-9+/_-]*+={0,2}" % (MIN_LINE_CHARACTERS - 2)
_FIRST_LINE = rb"[ \t]?+(?=" + _DIGITS + rb"[ \t]*+\r?(?:\n|\Z))"
_AT_START = re.compile(_FIRST_LINE)
# It begins with one certain byte, so that `re` jumps from line to line.
_START = re.compile(rb"\n" + _FIRST_LINE)
_PROPERTY = re.compile(rb"encoding=b(?:ase64)?(?:;[^:\n]{0,998})?:\s{0,100}", re.IGNORECASE)
_BLOCK = re.compile(rb"(?:[ \t]?+[A-Za-z0-9+/_-]++[ \t]*+\r?\n(?:\r?\n)?+)*+(?:[ \t]?+[A-Za-z0-9+/_-]*+={0,2})")
"""Some double each line end: an empty line in between is passed over. A white space in front of a line is folding."""
_NO_DIGITS = b"\r\n \t="
_FROM_URL_ALPHABET = bytes.maketrans(b"-_", b"+/")


def find(text: bytes) -> Iterator[WrappedFile]:
    """Every block of base64 lines in `text`, in order, and then those of properties; linear in its size."""
    first = _AT_START.match(text)
    starts = _START.finditer(text) if first is None else itertools.chain([first], _START.finditer(text))
    yield from _blocks(text, starts)
    if b"ncoding=" in text or b"NCODING=" in text:
        yield from _blocks(text, _PROPERTY.finditer(text))


def _blocks(text: bytes, starts: Iterator[re.Match[bytes]]) -> Iterator[WrappedFile]:
    done = 0
    for start in starts:
        block = _BLOCK.match(text, start.end()) if start.end() >= done else None
        if block is None:
            continue
        done = block.end()
        pieces = _decoded(text, block.start(), done)
        yield WrappedFile("base64", block.start(), done - block.start(), (), pieces, complete=True)


def _decoded(text: bytes, start: int, end: int) -> Iterator[bytes]:
    carry = b""
    for at in range(start, end, PIECE_BYTES):
        digits = carry + text[at : min(at + PIECE_BYTES, end)].translate(_FROM_URL_ALPHABET, _NO_DIGITS)
        whole = len(digits) - len(digits) % 4
        yield pybase64.b64decode(digits[:whole])
        carry = digits[whole:]
    if len(carry) > 1:
        yield pybase64.b64decode(carry + b"=" * (-len(carry) % 4))
