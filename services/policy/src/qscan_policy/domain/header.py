"""The fields of a message's header, as rules see them: raw and decoded. Linear time on any input."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from qscan_contracts.encoded_words import decode_charset, decode_words

_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_LINE_END = re.compile(rb"\r?\n")


@dataclass(frozen=True)
class FieldValue:
    """One occurrence of a field: its unfolded value."""

    raw: bytes

    @cached_property
    def decoded(self) -> bytes:
        """The value with encoded words decoded, as UTF-8."""
        return decode_words(decode_charset(self.raw)).encode("utf-8", errors="replace")


def parse_fields(header_block: bytes) -> Mapping[str, list[FieldValue]]:
    """The fields by lower-case name. A line that is no field is skipped: the dissector has noted it as a defect."""
    fields: dict[str, list[FieldValue]] = {}
    for line in _LINE_END.split(_FOLD.sub(b"", header_block)):
        name, colon, value = line.partition(b":")
        if colon:
            key = name.rstrip(b" \t").lower().decode("latin-1")
            fields.setdefault(key, []).append(FieldValue(value.strip(b" \t")))
    return fields
