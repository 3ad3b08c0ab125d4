"""uuencode (POSIX.1-2017, uuencode) in a text.

Readers differ, and what follows was seen in them: Thunderbird wants an octal mode, decodes every line as its count says
and masks what is outside the alphabet; MIME-tools wants ``begin`` and skips lines that do not fit their count; Outlook
Express took any line that begins with ``begin`` and two spaces; Python and GNU stop at what they cannot decode. All of
them want ``begin`` at the very beginning of a line: quoted and indented files are text for everybody. Not looked for,
since no reader of mail knows them: xxencode and files with a table of their own alphabet.
"""

import re
from binascii import a2b_uu
from collections.abc import Callable, Iterator

from qscan_unpacker.dissection import transfer
from qscan_unpacker.dissection.wrapped.wrapped_file import (
    MAX_OPENINGS_IN_TEXT,
    PIECE_BYTES,
    TooManyFilesError,
    WrappedFile,
    candidate_names,
)

_BEGIN = re.compile(
    rb"begin(?P<base64>-base64)?(?P<coded>-encoded)?(?![^ \t\r\n])[ \t]*(?P<rest>[^\r\n]{0,2048})(?:\r\n?|\n)?"
)
_MODE = re.compile(rb"[0-7]{3,}[ \t]*")
_END = re.compile(rb"[\r\n]end[ \t]*(?![^\r\n])")
_BASE64_END = re.compile(rb"[\r\n]====")
_LINE_ENDS = b"\r\n"

_SPACE, _MASK = 32, 63
_MASKED = bytes(byte if byte in b"\r\n" else _SPACE + ((byte - _SPACE) & _MASK) for byte in range(256))
"""What readers make of a character: only six bits of it count."""
_ALPHABET = bytes(range(_SPACE, _SPACE + _MASK + 2))  # 64 characters, and the backtick that also means zero
_DIGITS = tuple(4 * -(-count // 3) for count in range(_MASK + 1))
"""How many characters follow a count."""
_NEEDED = tuple(1 + -(-count * 4 // 3) for count in range(_MASK + 1))
"""How many of a line really hold something, the count itself included."""
_MAX_MISSING, _MAX_SURPLUS = 2, 1
"""A well-formed line may lack blanks that were stripped, and may have a checksum."""

_Lines = Iterator[list[bytes]]


def find(text: bytes) -> Iterator[WrappedFile]:
    """The files of a text, in order. A file is open until ``end``, whatever begins in it. Raises TooManyFilesError."""
    lines = _begin_lines(text)
    begin = next(lines, None)
    while begin is not None:
        closing = _END.search(text, begin.end() - 1)
        end = closing.start() + 1 if closing is not None else len(text)
        outer, begins, found = begin, 0, False
        while begin is not None and begin.start() < end:
            begins += 1
            following = next(lines, None)
            closed = following is None or following.start() >= end
            stop = end if following is None or closed else following.start()
            for one in _readings(text, begin, stop, closing if closed else None):
                found = True
                yield one
            begin = following
        if found and begins > 1:
            # Who passes over lines that do not fit does not see the others begin.
            whole = _decoded(_fitting, text, outer.end(), end)
            yield WrappedFile("uuencode", outer.start(), end - outer.start(), _names(outer), whole, complete=False)


def decode_body(body: bytes) -> Iterator[bytes]:
    """Decode lines without an opening one, as the body of a part with ``Content-Transfer-Encoding: x-uuencode``."""
    return _decoded(_masked, body, 0, len(body))


def _begin_lines(text: bytes) -> Iterator[re.Match[bytes]]:
    """The lines that open a file. Raises TooManyFilesError."""
    at, openings = -1, 0
    while (at := text.find(b"begin", at + 1)) >= 0:
        if at and text[at - 1] not in _LINE_ENDS:
            continue
        openings += 1
        if openings > MAX_OPENINGS_IN_TEXT:
            raise TooManyFilesError
        match = _BEGIN.match(text, at)
        if match is not None and (match["base64"] or _MODE.match(match["rest"]) or _goes_on(text, match.end())):
            yield match


def _goes_on(text: bytes, at: int) -> bool:
    """Whether the very next line is encoded: sentences, too, begin with «begin»."""
    lines = text[at : at + 128].splitlines()[:1]
    return bool(lines and lines[0] and lines[0][0] != _SPACE and _is_well_formed(lines[0]))


def _readings(text: bytes, begin: re.Match[bytes], stop: int, closing: re.Match[bytes] | None) -> Iterator[WrappedFile]:
    """The readings of the lines between `begin` and `stop`; none where there is no encoded line among them."""
    offset, start = begin.start(), begin.end()
    length = (stop if closing is None else closing.end()) - offset
    names = _names(begin)
    if begin["base64"]:
        last = _BASE64_END.search(text, start - 1, stop)
        body = memoryview(text)[start : stop if last is None else last.start()]
        yield WrappedFile("uuencode", offset, length, names, transfer.decode_base64(body), complete=last is not None)
        return
    found, regular = _survey(text, start, stop)
    if not found:
        return
    complete = regular and closing is not None
    readers = [_masked] if regular else [_masked, _fitting, _until_misfit]
    for reader in readers:
        yield WrappedFile("uuencode", offset, length, names, _decoded(reader, text, start, stop), complete=complete)


def _names(begin: re.Match[bytes]) -> tuple[str, ...]:
    """The mode is left away by some writers, and belongs to the name for some readers."""
    rest: bytes = begin["rest"]
    mode = _MODE.match(rest)
    name = rest if mode is None else rest[mode.end() :]
    if begin["coded"]:
        return candidate_names(b"".join(transfer.decode_base64(name)), name)
    return candidate_names(name)


def _survey(text: bytes, start: int, stop: int) -> tuple[bool, bool]:
    """(Whether there is an encoded line, whether all lines are as they should be)."""
    found, regular, ended = False, True, False
    for lines in _blocks(text, start, stop):
        for line in lines:
            count = (line[0] - _SPACE) & _MASK if line else 0
            if not count:
                ended = found
                regular = regular and (not line or len(line) <= 1 + _MAX_SURPLUS)
                continue
            regular = regular and not ended and _is_well_formed(line)
            found = found or _fits(line, count) or (len(line) <= _DIGITS[count] and _is_in_alphabet(line))
            if found and not regular:
                return True, False
    return found, regular


def _is_well_formed(line: bytes) -> bool:
    return _fits(line, (line[0] - _SPACE) & _MASK) and _is_in_alphabet(line)


def _fits(line: bytes, count: int) -> bool:
    """Whether a line has as many characters as its count says."""
    return -_MAX_MISSING <= len(line) - 1 - _DIGITS[count] <= _MAX_SURPLUS


def _is_in_alphabet(line: bytes) -> bool:
    return not line.translate(None, _ALPHABET)


def _masked(blocks: _Lines) -> _Lines:
    """Every line, whatever is in it."""
    return blocks


def _fitting(blocks: _Lines) -> _Lines:
    """The well-formed lines alone, others passed over."""
    return ([line for line in lines if line and _is_well_formed(line)] for lines in blocks)


def _until_misfit(blocks: _Lines) -> _Lines:
    """The lines in front of the first one that is not well-formed or says that it is the last."""
    for lines in blocks:
        for index, line in enumerate(lines):
            if not (line and line[0] - _SPACE & _MASK and _is_well_formed(line)):
                yield lines[:index]
                return
        yield lines


def _decoded(reader: Callable[[_Lines], _Lines], text: bytes, start: int, stop: int) -> Iterator[bytes]:
    """The lines that `reader` takes, decoded."""
    for lines in reader(_blocks(text, start, stop)):
        yield b"".join([_decode_line(line) for line in lines if line])


def _decode_line(line: bytes) -> bytes:
    """As many bytes as the count says: what is missing is zero, what is too much is left."""
    masked = line.translate(_MASKED)
    return a2b_uu(masked[: _NEEDED[masked[0] - _SPACE]])


def _blocks(text: bytes, start: int, stop: int) -> _Lines:
    """The lines between two offsets without their ends, some thousands at a time."""
    at = start
    while at < stop:
        cut = stop
        if stop - at > PIECE_BYTES:
            # A line as long as a piece is no line of anything; it is cut.
            window = at, at + PIECE_BYTES
            cut = text.rfind(b"\n", *window) + 1 or text.rfind(b"\r", *window) + 1 or at + PIECE_BYTES
        yield text[at:cut].splitlines()
        at = cut
