"""What the marks in the texts of a case stand for.

A mark stands in braces: a value and the way in which it is written down, ``{payload|base64_lines}``, ``{name}``,
``{stem|word_b}``; or a text and how often it stands there, ``{x*1200}``. The values are those of `Values.texts`, the
ways the functions of `encoders` and `wrappings`.
"""

import hashlib
import random
import re
from collections.abc import Callable, Mapping

from tests.corpus.ambiguity import encoders, wrappings

_MARK = re.compile(r"\{(\w+)(?:\|(\w+))?\}")
_REPEATED = re.compile(r"\{([^{}|]+)\*(\d+)\}")
_WAYS: dict[str, Callable[[bytes], str]] = {
    name: way
    for module in (encoders, wrappings)
    for name, way in vars(module).items()
    if callable(way) and not name.startswith("_") and getattr(way, "__module__", None) == module.__name__
}


def repeated(template: str) -> str:
    """The template with its repeated texts written out."""
    return _REPEATED.sub(lambda match: match[1] * int(match[2]), template)


class Values:
    """The values of one case: all of them made from the case's name, and found in no other case."""

    def __init__(self, case: str) -> None:
        """Values for the case of this name."""
        tag = hashlib.sha256(case.encode()).hexdigest()
        source = random.Random(tag)
        self.marker = f"QSCAN-AMBIGUITY-{tag[:16]}"
        """In each of the payloads, and nowhere else."""
        letters = "".join(source.choices("abcdefghijklmnopqrstuvwxyz0123456789 ", k=240)).strip()
        payload = f"{self.marker} {letters}".encode()
        binary = self.marker.encode() + b"\r\n\0" + source.randbytes(240) + bytes(range(256))
        self.stem = f"evil-{tag[:8]}"
        name = f"{self.stem}.exe".encode()
        self.texts: Mapping[str, bytes] = {
            # One line of text, all bytes there are, and another line of text.
            "payload": payload,
            "binary": binary,
            "second": f"{self.marker} second {source.randbytes(60).hex()}".encode(),
            "half": binary[: len(binary) // 2],
            "other_half": binary[len(binary) // 2 :],
            "stem": self.stem.encode(),
            "name": name,
            "name_head": name[:7],
            "name_tail": name[7:],
        }

    def payloads(self, template: str) -> tuple[bytes, ...]:
        """The payloads that a template speaks of."""
        names = {match[1] for match in _MARK.finditer(template)}
        if "half" in names:
            names.add("binary")
        return tuple(self.texts[name] for name in ("payload", "binary", "second") if name in names)

    def fill(self, template: str) -> str:
        """The template with every mark replaced. Raises KeyError for a value or a way that there is not."""
        return _MARK.sub(lambda match: _WAYS[match[2] or "as_is"](self.texts[match[1]]), repeated(template))
