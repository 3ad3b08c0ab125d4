"""What is wrong with a header: the defects that its fields show, each with its place."""

import re
from collections.abc import Iterator

from qscan_unpacker.dissection.headers import MIME_FIELDS, Field, Header
from qscan_unpacker.dissection.structured import (
    KNOWN_ENCODINGS,
    Structured,
    has_unclosed_comment,
    parse_structured,
    unfolded,
)

_STRUCTURED = MIME_FIELDS - {b"mime-version"}
_UNSTRUCTURED_LIMIT = {b"date": 100, b"mime-version": 100, b"resent-date": 100}
"""Longer ones were used to overflow buffers (facts §5)."""
_LONE_CR = re.compile(rb"\r(?!\n)")
_CONTROL = re.compile(rb"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")
_KNOWN_WORDS = re.compile(rb"=\?[^?\s]+\?[bq]\?", re.IGNORECASE)

Noticed = tuple[str, int, int]
"""A defect's id, the offset and the length in the buffer that the header was parsed from."""


def header_defects(header: Header, end: int) -> Iterator[Noticed]:
    """The defects of a header whose entity ends at `end`."""
    for offset, length in header.junk:
        yield "header.line_without_colon", offset, length
    if not header.has_blank_line and header.body_start < end:
        yield "header.missing_blank_line", header.body_start, 0
    seen: set[bytes] = set()
    for one in header.fields:
        if one.defect:
            yield one.defect, one.offset, one.value_offset - one.offset
        if one.name in _UNSTRUCTURED_LIMIT and len(one.value) > _UNSTRUCTURED_LIMIT[one.name]:
            yield "header.field_too_long", one.offset, len(one.value)
        if one.name not in MIME_FIELDS:
            continue
        if one.name in seen:
            yield "mime.field.duplicate", one.offset, one.value_offset - one.offset
        seen.add(one.name)
        for id_ in _field_defects(one):
            yield id_, one.offset, one.value_offset - one.offset + len(one.value)


def _field_defects(one: Field) -> Iterator[str]:
    if b"\0" in one.value:
        yield "header.nul"
    if _CONTROL.search(one.value) is not None:
        yield "header.control"
    if b"\r" in one.value and _LONE_CR.search(one.value):
        yield "header.cr"
    if one.name not in _STRUCTURED:
        return
    if has_unclosed_comment(unfolded(one.value)):
        yield "mime.field.comment"
    yield from _structural_defects(one.name, parse_structured(one.value))


def _structural_defects(name: bytes, structured: Structured) -> Iterator[str]:
    if _KNOWN_WORDS.search(structured.value) or any(
        key == b"boundary" and _KNOWN_WORDS.search(value) for key, value in structured.parameters
    ):
        yield "mime.field.encoded_word"
    if structured.malformed:
        yield "mime.parameter.malformed"
    keys = [key for key, _ in structured.parameters]
    if len(set(keys)) != len(keys):
        yield "mime.parameter.duplicate"
    if name == b"content-type" and not structured.is_type:
        yield "mime.content_type.invalid"
    if name == b"content-transfer-encoding" and structured.value not in KNOWN_ENCODINGS:
        yield "encoding.unknown"
