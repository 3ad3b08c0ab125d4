"""yEnc 1.3 in a text.

Thunderbird reads it, and what came from newsgroups is forwarded. Each part of a multi-part file is a file here; sizes
and checksums are not believed and not compared.
"""

import re
from collections.abc import Iterator

from qscan_unpacker.dissection.wrapped.wrapped_file import PIECE_BYTES, WrappedFile, candidate_names

_BEGIN = b"=ybegin "
_HEAD = re.compile(rb"=ybegin (?P<rest>[^\r\n]{0,2048})[^\r\n]*(?P<part>[\r\n]+=ypart [^\r\n]*)?[\r\n]*")
_NAME = re.compile(rb"(?:^|[ \t])name=(.*)")
_END = re.compile(rb"[\r\n]=y(?:begin |end(?P<size> size=)?)")
_END_WITH_SIZE = re.compile(rb"[\r\n]=y(?:end size=|begin )")
_ESCAPES = re.compile(rb"(?:=.)+", re.DOTALL)
_LINE_ENDS = b"\r\n"
_ESCAPED = bytes((byte - 64) & 255 for byte in range(256))
_PLAIN = bytes((byte - 42) & 255 for byte in range(256))


def find(text: bytes) -> Iterator[WrappedFile]:
    """The files of a text, in order."""
    at = text.find(_BEGIN)
    while at >= 0:
        head = _HEAD.match(text, at) if at == 0 or text[at - 1] in _LINE_ENDS else None
        if head is None:
            at = text.find(_BEGIN, at + 1)
            continue
        # The line end in front of the closing line is part of what closes, also where nothing is between.
        end = _END.search(text, head.end() - 1)
        yield from _readings(text, head, end)
        if end is not None and end.start() > head.end() and end[0].endswith(b"=yend"):
            # Thunderbird closes at nothing but `=yend size=`.
            yield from _readings(text, head, _END_WITH_SIZE.search(text, end.end()), complete=False)
        at = text.find(_BEGIN, head.end() if end is None else end.start())


def _readings(
    text: bytes, head: re.Match[bytes], end: re.Match[bytes] | None, *, complete: bool = True
) -> Iterator[WrappedFile]:
    offset, start = head.start(), head.end()
    stop = len(text) if end is None else max(start, end.start())
    length = (stop if end is None else end.end()) - offset
    name = _NAME.search(head["rest"])
    names = candidate_names(name[1]) if name is not None else ()
    # One part of several is no file; whoever puts them together may do so over several messages.
    complete = complete and end is not None and b"end" in end[0] and head["part"] is None
    dots = text.count(b"\n.", start - 1, stop)
    stuffed = dots > 0 and dots == text.count(b"\n..", start - 1, stop)
    if stop > start:
        pieces = _decoded(text, start, stop)
        yield WrappedFile("yenc", offset, length, names, pieces, complete=complete and not stuffed)
    if stuffed:
        # It may have come by NNTP as it was sent: a dot at the beginning of a line is doubled (RFC 3977 §3.1.1).
        plain = text[start - 1 : stop].replace(b"\n..", b"\n.")
        yield WrappedFile("yenc", offset, length, names, _decoded(plain, 1, len(plain)), complete=False)


def _decoded(text: bytes, start: int, stop: int) -> Iterator[bytes]:
    carry = b""
    for at in range(start, stop, PIECE_BYTES):
        piece = carry + text[at : min(at + PIECE_BYTES, stop)].translate(None, _LINE_ENDS)
        # Of a row of equals signs at the end, the last escapes what comes next if they are not pairs.
        carry = b"=" if (len(piece) - len(piece.rstrip(b"="))) % 2 else b""
        whole = piece[:-1] if carry else piece
        yield _ESCAPES.sub(_unescape, whole).translate(_PLAIN)


def _unescape(escapes: re.Match[bytes]) -> bytes:
    return escapes[0][1::2].translate(_ESCAPED)
