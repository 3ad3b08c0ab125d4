"""Base64 that nothing announces: a part whose header some readers do not understand, or a text that quotes one.

Nothing here is a format. Scanners that read a message line by line, as clamd does, decode such blocks; mail clients do
where a malformed header means base64 to them. So a block is another reading of the lines that it is made of.
"""

import re
from collections.abc import Iterator

import pybase64

from qscan_unpacker.dissection.wrapped.wrapped_file import PIECE_BYTES, WrappedFile

MIN_LINE_CHARACTERS = 40
"""Of the first line. Shorter ones are words, and what is encoded in one line alone is no file that does harm."""
_FIRST_LINE = rb"(?=[A-Za-z0-9+/]{%d}[A-Za-z0-9+/]*+={0,2}[ \t]*+\r?(?:\n|\Z))" % MIN_LINE_CHARACTERS
_AT_START = re.compile(_FIRST_LINE)
# It begins with one certain byte, so that `re` jumps from line to line.
_START = re.compile(rb"\n" + _FIRST_LINE)
_BLOCK = re.compile(rb"(?:[A-Za-z0-9+/]++[ \t]*+\r?\n(?:\r?\n)?+)*+(?:[A-Za-z0-9+/]*+={0,2})")
"""Some lose half of their lines, or double each: an empty line in between is passed over."""
_LINE_ENDS = b"\r\n \t"


def find(text: bytes) -> Iterator[WrappedFile]:
    """Every block of base64 lines in `text`, in order; linear in its size."""
    start = _AT_START.match(text) or _START.search(text)
    while start is not None:
        block = _BLOCK.match(text, start.end())
        at = start.end() if block is None else max(block.end(), start.end())
        if block is not None:
            pieces = _decoded(text, block.start(), block.end())
            yield WrappedFile("base64", block.start(), block.end() - block.start(), (), pieces, complete=True)
        start = _START.search(text, at)


def _decoded(text: bytes, start: int, end: int) -> Iterator[bytes]:
    carry = b""
    for at in range(start, end, PIECE_BYTES):
        digits = carry + text[at : min(at + PIECE_BYTES, end)].translate(None, _LINE_ENDS + b"=")
        whole = len(digits) - len(digits) % 4
        yield pybase64.b64decode(digits[:whole])
        carry = digits[whole:]
    if len(carry) > 1:
        yield pybase64.b64decode(carry + b"=" * (-len(carry) % 4))
