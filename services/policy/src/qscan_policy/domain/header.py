"""The fields of a message's header, as rules see them: raw and decoded. Linear time on any input."""

import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_LINE_END = re.compile(rb"\r?\n")
# Neither the charset nor the text of an encoded word has a question mark (RFC 2047 §2), so nothing is scanned twice.
_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,64})\?([bBqQ])\?([^?]*)\?=")
_BETWEEN_ENCODED_WORDS = re.compile(r"(?<=\?=)[ \t]+(?==\?)")
_HEX_PAIR = re.compile(rb"=([0-9A-Fa-f]{2})")
# What mail is written in. Others are not looked up: some of Python's codecs are no charsets, some take quadratic time.
_CHARSET = re.compile(
    r"utf[-_]?(8|16|16le|16be)|(us[-_])?ascii|iso[-_]?8859[-_]?\d{1,2}|(cp|windows[-_]?)\d{3,4}|koi8[-_][rut]"
    r"|gb2312|gbk|gb18030|big5|euc[-_](jp|kr)|shift[-_]jis|iso[-_]2022[-_](jp|kr)|latin[-_]?1|tis[-_]620",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class FieldValue:
    """One occurrence of a field: its unfolded value."""

    raw: bytes

    @cached_property
    def decoded(self) -> bytes:
        """The value with encoded words decoded, as UTF-8."""
        return decode_words(_to_text(self.raw)).encode("utf-8", errors="replace")


def parse_fields(header_block: bytes) -> Mapping[str, list[FieldValue]]:
    """The fields by lower-case name. A line that is no field is skipped: the dissector has noted it as a defect."""
    fields: dict[str, list[FieldValue]] = {}
    for line in _LINE_END.split(_FOLD.sub(b"", header_block)):
        name, colon, value = line.partition(b":")
        if colon:
            key = name.rstrip(b" \t").lower().decode("latin-1")
            fields.setdefault(key, []).append(FieldValue(value.strip(b" \t")))
    return fields


def decode_words(text: str) -> str:
    """`text` with its encoded words (RFC 2047) decoded; what cannot be decoded stays as it is."""
    if "=?" not in text:
        return text
    return _ENCODED_WORD.sub(_decode_word, _BETWEEN_ENCODED_WORDS.sub("", text))


def _decode_word(match: re.Match[str]) -> str:
    charset, encoding, encoded = match[1].partition("*")[0], match[2].upper(), match[3].encode("utf-8", "replace")
    if encoding == "Q":
        content = _HEX_PAIR.sub(lambda pair: bytes([int(pair[1], 16)]), encoded.replace(b"_", b" "))
    else:
        try:
            content = binascii.a2b_base64(encoded + b"=" * (-len(encoded) % 4))
        except binascii.Error:
            return match[0]
    return _to_text(content, charset)


def _to_text(content: bytes, charset: str = "utf-8") -> str:
    """`content` in `charset`, or in Latin-1, which can read everything."""
    if _CHARSET.fullmatch(charset):
        try:
            return content.decode(charset)
        except (LookupError, UnicodeDecodeError):
            pass
    return content.decode("latin-1")
