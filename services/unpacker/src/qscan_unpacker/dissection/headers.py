"""Header fields on bytes: where they are and where a header ends, in every way it may be read (RFC 5322 §2.1, §2.2)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from qscan_contracts.encoded_words import decode_words
from qscan_unpacker.dissection.structured import without_comments

MIME_FIELDS = frozenset({b"content-type", b"content-transfer-encoding", b"content-disposition", b"mime-version"})

# A field and its continuation lines. RFC 5322 §2.2 allows neither white space nor controls in a name; attackers do.
_FIELD = re.compile(rb"([^ \t:\n][^:\n]*+):((?:[^\n]*)(?:\n[ \t][^\n]*)*)\n?")
_LINE = re.compile(rb"[^\n]*\n?")
_BLANK_CONTINUATION = re.compile(rb"\n[ \t]+\r?(?=\n)")
_BLANK_LINES = re.compile(rb"(?:\xef\xbb\xbf)?(?:[ \t]*+\r?\n)*+")
_NOT_IN_A_NAME = re.compile(rb"[\x00-\x20\x7f]")
_LOOSE_LINE_ENDS = re.compile(rb"[\v\f\x1c-\x1e]|\xc2\x85|\xe2\x80[\xa8\xa9]")
_INVISIBLE = re.compile(rb"[^\t\n\r\x20-\x7e]+")
_LOOSE_FIELD = re.compile(
    rb"(?:content[^a-z0-9\r\n:=;]{0,4}(?:(type)|(disposition))|(encoding))[^a-z0-9\r\n:=;]{0,6}[:=]"
    rb"([^\n]*(?:\n[ \t][^\n]*)*+)",
    re.IGNORECASE,
)
_MENTION = re.compile(rb"content[^a-z0-9\n]{0,4}(?:type|disposition)|encoding", re.IGNORECASE)
_ENCODED_NAME = re.compile(rb"^=\?[^:\n]*:", re.MULTILINE)
_MAX_LOOSE_FIELDS = 16
_LOOSE_NAMES = (b"content-type", b"content-disposition", b"content-transfer-encoding")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CACHED_NAME_BYTES = 64
"""Most names are the same few; the memory for others must not grow with what a sender makes up."""
_GOES_ON = re.compile(
    rb"(?:[ \t][^\n]{0,998}\n){0,3}(?:content-(?:type|transfer-encoding|disposition)|mime-version)[ \t]*+:",
    re.IGNORECASE,
)
_CONTINUATION = re.compile(rb"[ \t]+[^ \t\r\n]")
_FIELD_START = re.compile(rb"[!-9;-~]{1,60}[ \t]*+:")
_BLANK_LINE = re.compile(rb"\n\r?\n")
_MIME_LINE = re.compile(
    rb"^(?:content-(?:type|transfer-encoding|disposition)|mime-version)[ \t]*+:", re.IGNORECASE | re.MULTILINE
)
_MAX_FURTHER_BYTES = 65_536
_MAX_ENDS = 4
"""A header that could end in more places than that is malformed anyhow, and says so."""


@dataclass(frozen=True, slots=True)
class Field:
    """One header field.

    Attributes:
        name: lower case.
        value: as it stands, folding included, without the final line end.
        offset: of the field's first byte in the buffer that was parsed.
        value_offset: of the byte after the colon.
        defect: what is wrong with the name, as an id of the catalogue; ``""`` for nothing.
    """

    name: bytes
    value: bytes
    offset: int
    value_offset: int
    defect: str = ""


@dataclass(frozen=True, slots=True)
class Header:
    """A parsed header.

    Attributes:
        fields: in order.
        start: offset of the first byte.
        body_start: offset of the body: behind the empty line, or where the header ends without one.
        has_blank_line: whether an empty line was there.
        junk: (offset, length) of lines that are no field.
        blank_continuations: (offset, length) of lines of white space alone, which some readers take for the empty line.
    """

    fields: tuple[Field, ...]
    start: int
    body_start: int
    has_blank_line: bool
    junk: tuple[tuple[int, int], ...] = ()
    blank_continuations: tuple[tuple[int, int], ...] = ()

    def all(self, name: bytes) -> list[Field]:
        """The fields called `name` (lower case), in order."""
        return [field for field in self.fields if field.name == name]

    def values(self, name: bytes) -> list[bytes]:
        """The values of the fields called `name` (lower case), in order."""
        return [field.value for field in self.fields if field.name == name]


NO_HEADER = Header((), 0, 0, has_blank_line=False)


def parse_header(data: bytes | memoryview, start: int, end: int) -> Header:
    """Parse the header that begins at `start`, at most up to `end`. Never fails; never reads beyond `end`."""
    block = bytes(data[start:end])
    fields: list[Field] = []
    junk: list[tuple[int, int]] = []
    at, size = len(_BYTE_ORDER_MARK) if block.startswith(_BYTE_ORDER_MARK) else 0, len(block)
    blank = 0
    while at < size and not blank:
        blank = _blank_line(block, at)
        match = None if blank else _FIELD.match(block, at)
        if blank:
            at += blank
        elif match is None:
            length = len(_LINE.match(block, at)[0])  # type: ignore[index]  # it matches anything, also nothing
            # The separator line of an mbox is no field, but harmless in front of a message.
            if not (at == 0 and block.startswith((b"From ", b">From "))):
                junk.append((start + at, length))
            at += length
        else:
            name, defect = _name(match[1]) if len(match[1]) <= _CACHED_NAME_BYTES else _read_name(match[1])
            fields.append(Field(name, match[2].rstrip(b"\r"), start + at, start + match.start(2), defect))
            at = match.end()
    if junk and junk[0][0] == start and not any(field.name in MIME_FIELDS for field in fields):
        # It begins with a line that is no field, and nothing in it changes how the rest is read: a body alone.
        return Header((), start, start, has_blank_line=False)
    blank_lines = tuple(
        (start + match.start() + 1, match.end() - match.start()) for match in _BLANK_CONTINUATION.finditer(block, 0, at)
    )
    return Header(tuple(fields), start, start + at, blank > 0, tuple(junk), blank_lines)


def _blank_line(block: bytes, at: int) -> int:
    """The length of the empty line at `at`, 0 where there is none."""
    if block.startswith(b"\n", at):
        return 1
    return 2 if block.startswith(b"\r\n", at) else 0


def _read_name(literal: bytes) -> tuple[bytes, str]:
    """The name that a field has for whoever is tolerant, and the defect that tolerates."""
    name = literal.lower()
    if name.isalnum() or name.replace(b"-", b"").isalnum():
        return name, ""
    bare = _NOT_IN_A_NAME.sub(b"", without_comments(name))
    if bare in MIME_FIELDS:
        if b"(" in name:
            return bare, "header.name.comment"
        return bare, "header.name.space" if name.split() == [bare] or b" " in name else "header.name.control"
    stripped = name.rstrip(b" \t")
    return stripped, "header.name.space" if stripped != name else ""


_name = lru_cache(maxsize=1_024)(_read_name)


def loose_fields(header: Header, data: bytes | memoryview) -> list[Field]:
    """What a reader may take for a MIME field that finds its name anywhere in the header, whatever is around it.

    In a folded line, behind another line separator of Unicode, with other characters in it, as an encoded word, in
    quotation marks, as a parameter. Empty for a header without such oddities.
    """
    block = bytes(data[header.start : header.body_start])
    mentions = len(_MENTION.findall(block))
    if mentions == sum(field.name in _LOOSE_NAMES for field in header.fields) and not _ENCODED_NAME.search(block):
        return []
    text = decode_words(_LOOSE_LINE_ENDS.sub(b"\n", block).decode("latin-1")).encode("utf-8")
    text = _INVISIBLE.sub(b"", text)
    known = {(field.name, field.value.strip()) for field in header.fields}
    found = []
    for match in _LOOSE_FIELD.finditer(text):
        name, value = (
            next(name for name, found_name in zip(_LOOSE_NAMES, match.groups()[:-1], strict=True) if found_name),
            match[4],
        )
        if (name, value.strip()) not in known:
            found.append(Field(name, value, header.start, header.start))
    return found[:_MAX_LOOSE_FIELDS]


def other_headers(header: Header, data: bytes | memoryview, end: int) -> Iterator[tuple[str, Header]]:
    """Other headers that a reader may see at the same place, each with the id of the defect that makes it plausible.

    Some readers end a header at the first line that is no field, or at a line of white space; some skip empty lines in
    front of it; and a line that continues nothing may be a field of its own.

    Args:
        header: what `parse_header` has made of it.
        data: the buffer that it was parsed from.
        end: offset at which the entity ends.
    """
    start = header.start
    ends = [(offset, offset, "header.line_without_colon") for offset, _ in header.junk]
    ends += [(offset, offset + length, "header.continuation.broken") for offset, length in header.blank_continuations]
    for offset, body_start, id_ in sorted(ends)[:_MAX_ENDS]:
        shorter = parse_header(data, start, offset)
        if offset > start and body_start < header.body_start and shorter.body_start == offset:
            yield id_, replace(shorter, body_start=body_start)
    first = _LINE.match(bytes(data[start : min(end, start + 1000)]))
    if first is not None and first[0][:1] in {b" ", b"\t"} and first[0].strip():
        indent = len(first[0]) - len(first[0].lstrip(b" \t"))
        yield from _with_mime_fields(
            "header.continuation.broken", parse_header(data, start + indent, _further_end(start, end))
        )
    if header.has_blank_line:
        yield from _across_blank_line(header, data, end)


def _across_blank_line(header: Header, data: bytes | memoryview, end: int) -> Iterator[tuple[str, Header]]:
    """The header as it goes on behind its empty line, for readers to whom that line is none."""
    skipped = _BLANK_LINES.match(data, header.body_start, end)
    at = header.body_start if skipped is None else skipped.end()
    cut_off = header.fields and header.fields[-1].name in MIME_FIELDS and not header.fields[-1].value.strip()
    goes_on = _GOES_ON.match(data, at, end) or (cut_off and _CONTINUATION.match(data, at, end))
    if not goes_on and (header.fields or not _has_mime_field(data, at, end)):
        return
    # The empty lines are left out of what is parsed, so that a folded field may go on behind them.
    blank = b"\n\r"
    before = bytes(data[header.start : header.body_start]).rstrip(blank)
    rest = bytes(data[at : _further_end(at, end)])
    text = before + b"\n" + rest if before else rest
    later = parse_header(text, 0, len(text))
    body_start = at + later.body_start - (len(text) - len(rest))
    body_start = min(max(body_start, at), end)
    yield "header.after_blank_line", replace(later, start=header.start, body_start=body_start, junk=())


def _has_mime_field(data: bytes | memoryview, start: int, end: int) -> bool:
    """Whether what begins with a field at `start` has one of MIME before its first empty line, however long it is."""
    if _FIELD_START.match(data, start, end) is None:
        return False
    blank = _BLANK_LINE.search(data, start, end)
    return _MIME_LINE.search(data, start, end if blank is None else blank.start() + 1) is not None


def _further_end(start: int, end: int) -> int:
    """How far an additional reading of a header looks."""
    return min(end, start + _MAX_FURTHER_BYTES)


def _with_mime_fields(id_: str, header: Header) -> Iterator[tuple[str, Header]]:
    """The reading, if it changes how the rest is read."""
    if any(field.name in MIME_FIELDS for field in header.fields):
        yield id_, header
