"""Header fields on bytes: where they are, and what structural fields say (RFC 5322, 2045, 2047, 2183, 2231)."""

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from qscan_contracts.encoded_words import decode_charset, decode_words

MIME_FIELDS = frozenset({b"content-type", b"content-transfer-encoding", b"content-disposition", b"mime-version"})

# A field and its continuation lines; RFC 5322 §2.2 wants no space before the colon, hostile mail has it.
_FIELD = re.compile(rb"([^\x00-\x20:][^:\n]*+):((?:[^\n]*)(?:\n[ \t][^\n]*)*)\n?")
_LINE = re.compile(rb"[^\n]*\n?")
_PARAMETER = re.compile(
    rb"""\s*;\s*([^\s=;]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;"]*)""",
    re.DOTALL,
)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_CONTINUED = re.compile(rb"^(.+?)\*(\d{1,4})?(\*)?$")


@dataclass(frozen=True, slots=True)
class Field:
    """One header field.

    Attributes:
        name: lower case.
        value: as it stands, folding included, without the final line end.
        offset: of the field's first byte in the buffer that was parsed.
        value_offset: of the byte after the colon.
    """

    name: bytes
    value: bytes
    offset: int
    value_offset: int


@dataclass(frozen=True, slots=True)
class Header:
    """A parsed header.

    Attributes:
        fields: in order.
        body_start: offset of the body: behind the empty line, or where the header ends without one.
        has_blank_line: whether an empty line was there.
        junk: (offset, length) of lines that are no field.
        spaced: offsets of fields with white space before their colon.
    """

    fields: tuple[Field, ...]
    body_start: int
    has_blank_line: bool
    junk: tuple[tuple[int, int], ...]
    spaced: tuple[int, ...]

    def all(self, name: bytes) -> list[Field]:
        """The fields called `name` (lower case), in order."""
        return [field for field in self.fields if field.name == name]


def parse_header(data: bytes | memoryview, start: int, end: int) -> Header:
    """Parse the header that begins at `start`, at most up to `end`. Never fails; never reads beyond `end`."""
    block = bytes(data[start:end])
    fields: list[Field] = []
    junk: list[tuple[int, int]] = []
    spaced: list[int] = []
    at, size = 0, len(block)
    blank = 0
    while at < size and not blank:
        blank = _blank_line(block, at)
        match = _FIELD.match(block, at)
        if blank:
            at += blank
        elif match is None:
            length = len(_LINE.match(block, at)[0])  # type: ignore[index]  # it matches anything, also nothing
            # The separator line of an mbox is no field, but harmless in front of a message.
            if not (at == 0 and block.startswith((b"From ", b">From "))):
                junk.append((start + at, length))
            at += length
        else:
            name = match[1].rstrip(b" \t")
            if len(name) != len(match[1]):
                spaced.append(start + at)
            fields.append(Field(name.lower(), match[2].rstrip(b"\r"), start + at, start + match.start(2)))
            at = match.end()
    if junk and junk[0][0] == start and not any(field.name in MIME_FIELDS for field in fields):
        # It begins with a line that is no field, and nothing in it changes how the rest is read: a body alone.
        return Header((), start, has_blank_line=False, junk=(), spaced=())
    return Header(tuple(fields), start + at, has_blank_line=blank > 0, junk=tuple(junk), spaced=tuple(spaced))


def _blank_line(block: bytes, at: int) -> int:
    """The length of the empty line at `at`, 0 where there is none."""
    if block.startswith(b"\n", at):
        return 1
    return 2 if block.startswith(b"\r\n", at) else 0


@dataclass(frozen=True, slots=True)
class Structured:
    """A structural field: its first word and its parameters, all of them, in order, as bytes.

    `malformed`: something in it could not be read.
    """

    value: bytes
    parameters: tuple[tuple[bytes, bytes], ...]
    malformed: bool

    def parameter(self, name: bytes) -> list[bytes]:
        """All values of a parameter (lower case), without those in RFC 2231 form."""
        return [value for key, value in self.parameters if key == name]


def parse_structured(raw: bytes) -> Structured:
    """Parse ``value; name=value; name="value"`` (RFC 2045 §5.1)."""
    text = raw.replace(b"\r", b"").replace(b"\n", b"")
    head, separator, _ = text.partition(b";")
    at = len(head)
    content_end = len(text.rstrip(b"; \t"))
    parameters: list[tuple[bytes, bytes]] = []
    malformed = False
    while separator and at < len(text):
        match = _PARAMETER.match(text, at)
        if match is None:
            malformed = malformed or at < content_end
            following = text.find(b";", at + 1)
            if following < 0:
                break
            at = following
            continue
        value = match[2]
        value = _QUOTED_PAIR.sub(rb"\1", value[1:-1]) if value.startswith(b'"') else value.strip()
        parameters.append((match[1].lower(), value))
        at = match.end()
    return Structured(head.strip().lower(), tuple(parameters), malformed)


def file_names(structured: Structured, key: bytes) -> list[str]:
    """Every file name that some reading of the parameter `key` gives: as it stands, RFC 2047, RFC 2231."""
    names: list[str] = []
    continued: dict[int, bytes] = {}
    for parameter, value in structured.parameters:
        if parameter == key:
            plain = value.decode("utf-8", errors="replace")
            names.append(plain)
            if "=?" in plain:
                names.append(decode_words(plain))
            continue
        match = _CONTINUED.match(parameter)
        if match is None or match[1] != key:
            continue
        piece = value
        if match[3] or not match[2]:  # name*0*= and name*= are percent-encoded, name*0= is not (RFC 2231 §4.1)
            charset, quote, encoded = value.partition(b"'")
            piece = encoded.partition(b"'")[2] if quote and int(match[2] or 0) == 0 else value
            piece = _recode(unquote_to_bytes(piece), charset if quote else b"")
        continued[int(match[2] or 0)] = piece
    if continued:
        names.append(b"".join(continued[index] for index in sorted(continued)).decode("utf-8", errors="replace"))
    return list(dict.fromkeys(name for name in names if name))


def _recode(data: bytes, charset: bytes) -> bytes:
    """`data` in `charset` as UTF-8, or as it is where no charset is named."""
    return decode_charset(data, charset.decode("latin-1")).encode() if charset else data
