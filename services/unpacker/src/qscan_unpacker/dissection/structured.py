"""Structural fields: a word and parameters, in every way they may be read (RFC 2045 §5.1, RFC 2047 §5, RFC 2231)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from qscan_contracts.encoded_words import decode_words

# A quoted string that is never closed goes on to the end.
_PARAMETER = re.compile(
    rb"""\s*;\s*([^\s=;]+)\s*=\s*("(?:[^"\\]|\\.)*(?:"|\Z)|[^;"]*)""",
    re.DOTALL,
)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_CONTROL_OF_COMMENTS = re.compile(rb'\\.|[()"]', re.DOTALL)
_NAME_IN_VALUE = re.compile(rb"name\s*=", re.IGNORECASE)
_NO_TOKEN = re.compile(rb"[\s=,\"]")
_LONE_CR = re.compile(rb"\r(?!\n)")
_TYPE = re.compile(rb"^[!#$%&'*+.^_`{|}~0-9a-z-]+/[!#$%&'*+.^_`{|}~0-9a-z-]+$")
_LOOSE_TYPE = re.compile(
    rb"(?<![!#-'*+.^_`{|}~0-9a-z-])([!#-'*+.^_`{|}~0-9a-z-]++)\s*+/\s*+([!#-'*+.^_`{|}~0-9a-z-]++)"
)


@dataclass(frozen=True, slots=True)
class Structured:
    """A structural field: its first word and its parameters, all of them, in order, as bytes.

    Attributes:
        value: lower case.
        parameters: names in lower case, values without their quotes, quoted pairs as they stand.
        malformed: something in it could not be read.
    """

    value: bytes
    parameters: tuple[tuple[bytes, bytes], ...]
    malformed: bool

    def parameter(self, name: bytes) -> list[bytes]:
        """All values of a parameter (lower case), without those in RFC 2231 form."""
        return [unescaped(value) for key, value in self.parameters if key == name]

    @property
    def is_irregular(self) -> bool:
        """Whether a name may have got lost in it: for some readers a semicolon or quote is missing, for others not."""
        if self.malformed or _NO_TOKEN.search(self.value) is not None:
            return True
        return any(_NAME_IN_VALUE.search(value) for _, value in self.parameters)

    @property
    def is_type(self) -> bool:
        """Whether the word is type/subtype (RFC 2045 §5.1)."""
        return _TYPE.match(self.value) is not None


def unescaped(value: bytes) -> bytes:
    """`value` with its quoted pairs resolved (RFC 5322 §3.2.1)."""
    return _QUOTED_PAIR.sub(rb"\1", value) if b"\\" in value else value


def parse_structured(raw: bytes) -> Structured:
    """Parse ``value; name=value; name="value"`` as RFC 2045 §5.1 has it, comments (RFC 5322 §3.2.2) left out."""
    return _parse(without_comments(unfolded(raw)))


def unfolded(raw: bytes) -> bytes:
    """A field's value in one line."""
    return raw.replace(b"\r", b"").replace(b"\n", b"") if b"\n" in raw or b"\r" in raw else raw


def _parse(text: bytes) -> Structured:
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
        malformed = malformed or b'"' in match[1]
        if value.startswith(b'"'):
            closed = len(value) > 1 and value.endswith(b'"')
            malformed = malformed or not closed
            value = value[1:-1] if closed else value[1:]
        else:
            value = value.strip()
        parameters.append((match[1].lower(), value))
        at = match.end()
    return Structured(head.strip().lower(), tuple(parameters), malformed)


def without_comments(text: bytes) -> bytes:
    """`text` without its comments, nested ones too; what is quoted is none. An unclosed one goes to the end."""
    return _outside_comments(text)[0] if b"(" in text else text


def has_unclosed_comment(text: bytes) -> bool:
    """Whether a comment in `text` goes on to the end."""
    return b"(" in text and not _outside_comments(text)[1]


def _outside_comments(text: bytes) -> tuple[bytes, bool]:
    """What is no comment (RFC 5322 §3.2.2), and whether all comments are closed."""
    kept: list[bytes] = []
    depth, quoted, since = 0, False, 0
    for match in _CONTROL_OF_COMMENTS.finditer(text):
        mark = match[0]
        if mark == b'"' and not depth:
            quoted = not quoted
        elif mark == b"(" and not quoted:
            if not depth:
                kept.append(text[since : match.start()])
            depth += 1
        elif mark == b")" and depth:
            depth -= 1
            since = match.end()
    if not depth:
        kept.append(text[since:])
    return b"".join(kept), not depth


def readings(raw: bytes) -> list[Structured]:
    """Every plausible reading of a structural field, the regular one first.

    They differ where comments, encoded words (which RFC 2047 §5 forbids here), NUL or a bare CR stand in it.
    """
    text = unfolded(raw)
    texts = [without_comments(text)]
    if b"(" in text:
        texts.append(text)
    if b"=?" in text:
        texts += [decode_words(one.decode("latin-1")).encode("utf-8") for one in tuple(texts)]
    if b"\0" in text:
        texts += [text.replace(b"\0", b""), text.partition(b"\0")[0]]
    if b"\r" in raw and _LONE_CR.search(raw):
        texts.append(unfolded(_LONE_CR.split(raw, maxsplit=1)[0]))
    if len(texts) == 1:
        return [_parse(texts[0])]
    return list(dict.fromkeys(_parse(one) for one in texts))


def media_types(structured: Iterable[Structured]) -> list[bytes]:
    """Every media type that some reader may take from the readings of Content-Type, the regular one first."""
    found: list[bytes] = []
    for one in structured:
        found.append(one.value)
        if not one.is_type:
            loose = _LOOSE_TYPE.search(one.value)
            found += [loose[1] + b"/" + loose[2]] if loose is not None else []
    return list(dict.fromkeys(found))


def encodings(structured: Iterable[Structured]) -> list[bytes]:
    """Every transfer encoding that a reader may take from the readings of the field, the regular one first."""
    found: list[bytes] = []
    for one in structured:
        found.append(one.value)
        if one.value in KNOWN_ENCODINGS:
            continue
        found += [name for word, name in _ENCODING_WORDS if word in one.value]
    return list(dict.fromkeys(found))


KNOWN_ENCODINGS = frozenset({b"", b"7bit", b"8bit", b"binary", b"base64", b"quoted-printable"})
_ENCODING_WORDS = (
    (b"base64", b"base64"),
    (b"quoted", b"quoted-printable"),
    (b"uu", b"x-uuencode"),
    (b"bit", b""),
)
