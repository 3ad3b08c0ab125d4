"""Conditions: compiled from the rule file once, then asked of each message."""

import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from qscan_contracts.components import Component
from qscan_policy.domain.entries import AttachmentEntry, HeaderEntry
from qscan_policy.domain.message import Message
from qscan_policy.domain.names import Name, fold, suffix
from qscan_policy.domain.patterns import BytesPattern, PatternError, compile_glob, compile_regex


@dataclass(frozen=True)
class SizeCondition:
    """Compares a decoded size with a bound, both in bytes."""

    compare: Callable[[int, int], bool]
    bound_bytes: int

    _COMPARISONS: ClassVar = {"<": operator.lt, ">": operator.gt, "": operator.eq}

    @classmethod
    def parse(cls, size: int | str) -> "SizeCondition":
        """From ``68``, ``<1024`` or ``>1024``, which the schema has checked."""
        sign, bound = re.fullmatch(r"([<>]?) ?(\d+)", str(size)).groups()  # type: ignore[union-attr]  # checked
        return cls(cls._COMPARISONS[sign], int(bound))

    def holds(self, size_bytes: int) -> bool:
        """Whether the size fits."""
        return self.compare(size_bytes, self.bound_bytes)


@dataclass(frozen=True)
class AttachmentCondition:
    """See `AttachmentEntry`. A part that is None was not asked for."""

    names: frozenset[str] | None
    suffixes: tuple[str, ...] | None
    globs: tuple[BytesPattern, ...] | None
    size: SizeCondition | None

    @classmethod
    def compile(cls, entry: AttachmentEntry) -> "AttachmentCondition":
        """Raises PatternError: a name that nothing can have, because what is ignored is all there is of it."""
        if not all(map(fold, _several(entry.name))) or not all(
            len(suffix(one)) > 1 for one in _several(entry.extension)
        ):
            raise PatternError("only dots and blanks, which are ignored")
        return cls(
            frozenset(map(fold, _several(entry.name))) or None,
            tuple(map(suffix, _several(entry.extension))) or None,
            tuple(compile_glob(glob.casefold()) for glob in _several(entry.glob)) or None,
            None if entry.size is None else SizeCondition.parse(entry.size),
        )

    def matching(self, message: Message) -> Iterator[Component]:
        """The components that fit, in the order of the message."""
        for component, names in message.attachments:
            if (self.size is None or self.size.holds(component.size)) and any(map(self._fits, names)):
                yield component

    def _fits(self, name: Name) -> bool:
        return (
            (self.names is None or name.text in self.names)
            and (self.suffixes is None or name.text.endswith(self.suffixes))
            and (self.globs is None or any(glob.search(name.encoded) for glob in self.globs))
        )


@dataclass(frozen=True)
class HeaderCondition:
    """See `HeaderEntry`. A pattern that is None does not look at that reading."""

    field: str
    on_raw: BytesPattern | None
    on_decoded: BytesPattern | None

    @classmethod
    def compile(cls, entry: HeaderEntry) -> "HeaderCondition":
        """Raises PatternError."""
        return cls(
            entry.field.lower(),
            None if entry.reading == "decoded" else compile_regex(entry.matches, on_raw_bytes=True),
            None if entry.reading == "raw" else compile_regex(entry.matches),
        )

    def holds(self, message: Message) -> bool:
        """Whether an occurrence of the field fits in one of the readings asked for."""
        return any(
            (self.on_raw is not None and self.on_raw.search(value.raw) is not None)
            or (self.on_decoded is not None and self.on_decoded.search(value.decoded) is not None)
            for value in message.fields.get(self.field, ())
        )


def _several(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value
