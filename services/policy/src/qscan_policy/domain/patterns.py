"""Patterns that cannot hang the service: everything becomes RE2, which takes time linear in the text."""

from fnmatch import fnmatchcase
from typing import Protocol

import re2

MAX_REGEX_MEMORY_BYTES = 1024 * 1024
"""What RE2 may use for one expression; one that needs more is refused when the file is loaded."""


class PatternError(ValueError):
    """The pattern cannot be used; the text says why, in the words of RE2."""


class BytesPattern(Protocol):
    """A compiled expression over bytes."""

    def search(self, text: bytes) -> object | None:
        """Anything but None where the expression is found in `text`."""
        ...


def compile_regex(pattern: str, *, on_raw_bytes: bool = False) -> BytesPattern:
    """An expression to be searched in UTF-8, or in bytes of no known charset where a dot must match every byte.

    Raises:
        PatternError: it is no RE2 expression (which has neither back-references nor look-around), or too large.
    """
    options = re2.Options()
    options.log_errors = False
    options.dot_nl = True
    options.max_mem = MAX_REGEX_MEMORY_BYTES
    if on_raw_bytes:
        options.encoding = re2.Options.Encoding.LATIN1
    try:
        compiled: BytesPattern = re2.compile(pattern.encode(), options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        raise PatternError(reason.decode() if isinstance(reason, bytes) else str(reason)) from None
    return compiled


def compile_glob(pattern: str) -> BytesPattern:
    """A file name pattern over UTF-8: ``*`` and ``?``; a bracket is a bracket, since names like ``x[1].exe`` occur."""
    parts = {"*": ".*", "?": "."}
    return compile_regex("^" + "".join(parts.get(char) or re2.escape(char) for char in pattern) + "$")


def id_matches(pattern: str, id_: str) -> bool:
    """Whether a shell pattern of the decision table matches an id or a signature name, in any case."""
    return fnmatchcase(id_.lower(), pattern.lower())
