"""Candidate file names: every name that some mail client may show or save a part under (RFC 2183, 2231, 2047)."""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import unquote, unquote_to_bytes

from qscan_contracts.components import CandidateName
from qscan_contracts.encoded_words import decode_words
from qscan_contracts.vocabulary import NameSource
from qscan_unpacker.dissection.continuations import continued
from qscan_unpacker.dissection.structured import Structured, unescaped, unfolded

_KEYS = (b"filename", b"name")
_PERCENT = re.compile(rb"%[0-9A-Fa-f]{2}")
_LOOSE_NAME = re.compile(
    rb"""name\s*+(?:\*[0-9*]*+)?\s*+=\s*+(?=([^;]{0,999}))(?=("[^"]{0,999}|'[^']{0,999}|[^;"]{0,999}))""", re.IGNORECASE
)
"""Values are looked ahead at only: without a semicolon, one may stand in another."""
_SAVED_AS = re.compile(r"[^/\\?*:|<>]{1,200}\.[A-Za-z0-9]{1,8}")
_AUTHORITY = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*:(//[^/]*)?")
MAX_NAMES = 64
"""Of one component. No mail client gives a part as many, and each costs time in proportion to the header."""


def candidate_names(
    content_types: Sequence[Structured],
    dispositions: Sequence[Structured],
    *,
    raw_types: Sequence[bytes] = (),
    raw_dispositions: Sequence[bytes] = (),
    descriptions: Iterable[bytes] = (),
    locations: Iterable[bytes] = (),
) -> tuple[CandidateName, ...]:
    """The candidate names of one part, without repetitions; at most `MAX_NAMES`, then there may be more.

    Args:
        content_types: every reading of every Content-Type field.
        dispositions: every reading of every Content-Disposition field.
        raw_types: the values of Content-Type fields that are malformed.
        raw_dispositions: those of Content-Disposition fields.
        descriptions: values of Content-Description fields; they count where no other field gives a name.
        locations: values of Content-Location fields, the same.
    """
    found: dict[CandidateName, None] = {}
    for name in _stated(content_types, dispositions, raw_types, raw_dispositions):
        found[name] = None
        if len(found) == MAX_NAMES:
            break
    return tuple(found or dict.fromkeys(itertools.islice(_described(descriptions, locations), MAX_NAMES)))


def _stated(
    content_types: Sequence[Structured],
    dispositions: Sequence[Structured],
    raw_types: Sequence[bytes],
    raw_dispositions: Sequence[bytes],
) -> Iterator[CandidateName]:
    for structured, raw_values, source in (
        (content_types, raw_types, NameSource.CONTENT_TYPE_NAME),
        (dispositions, raw_dispositions, NameSource.DISPOSITION_FILENAME),
    ):
        for one in structured:
            yield from (CandidateName(text, source) for text in names_of(one))
        for value in _loose_values(raw_values):
            yield from (CandidateName(text, source) for text in name_readings(value) if text)


def _loose_values(raw_values: Iterable[bytes]) -> Iterator[bytes]:
    known = set()
    for match in itertools.chain.from_iterable(_LOOSE_NAME.finditer(unfolded(raw)) for raw in raw_values):
        for value in (match[2].strip(b"\"' \t"), match[1].replace(b'"', b"").strip()):
            if value not in known:
                known.add(value)
                yield value


def names_of(structured: Structured) -> list[str]:
    """Every name that one reading of a field gives; clients take both parameters from both fields."""
    found: list[str] = []
    for key in _KEYS:
        for name, value in structured.parameters:
            if name == key:
                found += name_readings(value)
        for text in continued(structured.parameters, key):
            found += _text_readings(text)
    return [name for name in dict.fromkeys(found) if name]


def name_readings(value: bytes) -> Iterator[str]:
    """Every name that the value of a parameter may stand for; quoted pairs in it are not resolved yet."""
    texts = [unescaped(value)]
    if b"\\" in value:
        texts.append(value)  # a path of Windows
    if _PERCENT.search(value) is not None:
        texts.append(unquote_to_bytes(value))
    if b"\0" in value:
        texts += [value.replace(b"\0", b""), value.partition(b"\0")[0]]
    for one in texts:
        try:
            yield from _text_readings(one.decode("utf-8"))
        except UnicodeDecodeError:
            yield from _text_readings(one.decode("utf-8", errors="replace"))
            yield from _text_readings(one.decode("latin-1"))


def _text_readings(text: str) -> Iterator[str]:
    yield text
    if "=?" in text:
        decoded = decode_words(text)
        yield decoded
        # Clients that decode need neither the white space between words nor quotes around them.
        yield decode_words(text.replace('"', ""))
        yield decode_words(text, whole_groups=True)
        text = decoded
    stripped = text.strip(" \t'\"").rstrip(". ")  # Windows saves it without these
    if stripped != text:
        yield stripped
    first = stripped.partition(" ")[0]
    if first != stripped and "." in first:  # without quotes, white space ends a value (RFC 2045 §5.1)
        yield first


def _described(descriptions: Iterable[bytes], locations: Iterable[bytes]) -> Iterator[CandidateName]:
    """Names from fields that are no names, where they look like one."""
    for value in descriptions:
        text = decode_words(unfolded(value).decode("utf-8", errors="replace")).strip(" \t\"'")
        if _SAVED_AS.fullmatch(text):
            yield CandidateName(text, NameSource.CONTENT_DESCRIPTION)
    for value in locations:
        text = decode_words(unfolded(value).decode("utf-8", errors="replace")).strip(" \t\"'<>")
        name = unquote(_AUTHORITY.sub("", text).partition("?")[0].partition("#")[0].rpartition("/")[2])
        if _SAVED_AS.fullmatch(name):
            yield CandidateName(name, NameSource.CONTENT_LOCATION)
