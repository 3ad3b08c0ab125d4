"""What a crafted message is made of: a draft, and tricks that change it.

A `Draft` is a message in pieces, each a text with marks in it. A `Trick` replaces pieces, or changes the text of pieces
that are there, or changes the finished bytes. Marks stand in braces, a value and the way it is written down:
``{payload|base64_lines}``, ``{name}``, ``{stem|word_b}``. The values are those of `Values`, the ways the functions of
`encoders` and `wrappings`. In a piece, LF is a line end, and characters below U+0100 stand for bytes.
"""

import hashlib
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum

from tests.corpus.ambiguity import encoders, wrappings

Change = str | Callable[[str], str] | None
"""A piece instead of the one that is there, or a function that changes it, or None to leave it."""


class Family(StrEnum):
    """Where a trick is played; PAIR for two of different families at once."""

    STRUCTURE = "structure"
    HEADER = "header"
    ENCODING = "encoding"
    NAME = "name"
    LINE = "line"
    PAIR = "pair"


class Values:
    """What the marks of one case stand for: all of it made from the case's name, and found in no other case."""

    def __init__(self, case: str) -> None:
        """Values for the case of this name."""
        tag = hashlib.sha256(case.encode()).hexdigest()
        source = random.Random(tag)
        self.marker = f"QSCAN-AMBIGUITY-{tag[:16]}"
        letters = "".join(source.choices("abcdefghijklmnopqrstuvwxyz0123456789 ", k=240)).strip()
        self.payload = f"{self.marker} {letters}".encode()
        """One line of text."""
        self.binary = self.marker.encode() + b"\r\n\0" + source.randbytes(240) + bytes(range(256))
        self.second = f"{self.marker} second {source.randbytes(60).hex()}".encode()
        self.stem = f"evil-{tag[:8]}"
        self.name = f"{self.stem}.exe"
        self.texts: Mapping[str, bytes] = {
            "payload": self.payload,
            "binary": self.binary,
            "second": self.second,
            "half": wrappings.first_half(self.binary),
            "other_half": wrappings.second_half(self.binary),
            "stem": self.stem.encode(),
            "name": self.name.encode(),
            "name_head": self.name[:7].encode(),
            "name_tail": self.name[7:].encode(),
        }

    def payloads(self, template: str) -> tuple[bytes, ...]:
        """The payloads that a template speaks of."""
        values = {match[1] for match in _MARK.finditer(template)}
        if "half" in values:
            values.add("binary")
        return tuple(self.texts[name] for name in ("payload", "binary", "second") if name in values)

    def fill(self, template: str) -> str:
        """The template with every mark replaced. Raises KeyError for a mark that there is not."""
        return _MARK.sub(self._filled, template)

    def _filled(self, match: re.Match[str]) -> str:
        return _WAYS[match[2] or "as_is"](self.texts[match[1]])


_MARK = re.compile(r"\{(\w+)(?:\|(\w+))?\}")
_WAYS: dict[str, Callable[[bytes], str]] = {
    name: way
    for module in (encoders, wrappings)
    for name, way in vars(module).items()
    if callable(way) and not name.startswith("_") and getattr(way, "__module__", None) == module.__name__
}


@dataclass(frozen=True)
class Draft:
    """A message in pieces, in the order in which they stand; a piece that is empty leaves no line.

    Attributes:
        front: what stands before the message.
        message: fields that say nothing about the structure.
        container: the fields that say how the message is cut into parts; empty for a message of one part, whose header
            then holds `kind`, `encoding` and `disposition`.
        gap: what ends the header.
        preamble: before the first delimiter.
        opening: the delimiter in front of each part.
        companion: a harmless part in front of the payload's.
        kind: the type of the payload's part.
        encoding: its transfer encoding.
        disposition: its disposition.
        part_gap: what ends its header.
        body: the payload.
        closing: the last delimiter.
        epilogue: behind that.
    """

    front: str = ""
    message: str = (
        "From: sender@example.org\nTo: recipient@example.net\nSubject: crafted\n"
        "Date: Fri, 01 Mar 2024 12:00:00 +0000\nMessage-ID: <crafted@example.org>\nMIME-Version: 1.0"
    )
    container: str = 'Content-Type: multipart/mixed; boundary="cut"'
    gap: str = "\n"
    preamble: str = ""
    opening: str = "--cut"
    companion: str = "Content-Type: text/plain; charset=us-ascii\n\nNothing to see here."
    kind: str = "Content-Type: application/octet-stream"
    encoding: str = "Content-Transfer-Encoding: base64"
    disposition: str = 'Content-Disposition: attachment; filename="{name}"'
    part_gap: str = "\n"
    body: str = "{binary|base64_lines}"
    closing: str = "--cut--"
    epilogue: str = ""

    def template(self) -> str:
        """The whole message, marks and all."""
        entity = _lines(self.kind, self.encoding, self.disposition) + self.part_gap + self.body
        if not self.container:
            return self.front + _lines(self.message) + entity + "\n"
        companion = _lines(self.opening, self.companion) if self.companion else ""
        return (
            self.front
            + _lines(self.message, self.container)
            + self.gap
            + _lines(self.preamble)
            + companion
            + _lines(self.opening)
            + _lines(entity, self.closing, self.epilogue)
        )


def _lines(*pieces: str) -> str:
    return "".join(f"{piece}\n" for piece in pieces if piece)


IN_PARTS = Draft()
ALONE = Draft(container="")


@dataclass(frozen=True, kw_only=True)
class Trick:
    """A way to make readers differ.

    Attributes:
        id: unique within its family.
        lesson: the case of field-lessons §4.1 that it belongs to.
        why: what is done, and how readers may differ, in one line.
        whole: all of the message, where no draft fits it; marks as in pieces.
        finish: changes the finished message, behind everything else.
        names: the file names that some client would show; marks as in pieces. None: not a matter of names.
        alone: also played in a message of one part.
        pairs: also combined with tricks of other families.

    The other attributes change the pieces of `Draft` of that name.
    """

    id: str
    lesson: int
    why: str
    front: Change = None
    message: Change = None
    container: Change = None
    gap: Change = None
    preamble: Change = None
    opening: Change = None
    companion: Change = None
    kind: Change = None
    encoding: Change = None
    disposition: Change = None
    part_gap: Change = None
    body: Change = None
    closing: Change = None
    epilogue: Change = None
    whole: str = ""
    finish: Callable[[bytes], bytes] | None = None
    names: tuple[str, ...] | None = None
    alone: bool = False
    pairs: bool = False

    def apply(self, draft: Draft) -> Draft:
        """The draft with this trick in it."""
        changed: dict[str, str] = {}
        for piece in fields(Draft):
            change: Change = getattr(self, piece.name)
            if change is not None:
                changed[piece.name] = change(getattr(draft, piece.name)) if callable(change) else change
        return replace(draft, **changed)

    def replaces(self) -> set[str]:
        """The pieces that it replaces whatever they are: two such tricks do not go together."""
        return {piece.name for piece in fields(Draft) if isinstance(getattr(self, piece.name), str)}

    def changes(self) -> set[str]:
        """The pieces that it changes in any way."""
        return {piece.name for piece in fields(Draft) if getattr(self, piece.name) is not None}


class Ends(StrEnum):
    """The line ends of a message."""

    LF = "lf"
    CRLF = "crlf"


@dataclass(frozen=True)
class Case:
    """A crafted message.

    Attributes:
        id: family, tricks, variant: ``header/comment-in-name/alone-crlf``.
        why: one line for each trick.
        message: its bytes.
        marker: in each of the payloads, and nowhere else.
        payloads: what must be found, each of it whole.
        names: what must be among the candidate names; empty where the case is not about names.
        stem: what a reader's name must contain to count as one of this case.
    """

    id: str
    family: Family
    why: tuple[str, ...]
    message: bytes
    marker: str
    payloads: tuple[bytes, ...]
    names: tuple[str, ...]
    stem: str


def case_of(family: Family, tricks: tuple[Trick, ...], draft: Draft, variant: str, ends: Ends) -> Case:
    """The case of these tricks, played in this order; those that replace pieces go first."""
    id_ = f"{family}/{'+'.join(trick.id for trick in tricks)}/{variant}-{ends}"
    values = Values(id_)
    for trick in sorted(tricks, key=lambda trick: not trick.replaces()):
        draft = trick.apply(draft)
    template = next((trick.whole for trick in tricks if trick.whole), draft.template())
    message = values.fill(template).encode("latin-1")
    if ends is Ends.CRLF:
        message = re.sub(rb"(?<!\r)\n", b"\r\n", message)
    for trick in tricks:
        if trick.finish is not None:
            message = trick.finish(message)
    return Case(
        id_,
        family,
        tuple(trick.why for trick in tricks),
        message,
        values.marker,
        values.payloads(template),
        tuple(values.fill(name) for trick in tricks for name in trick.names or ()),
        values.stem,
    )
