"""A message in pieces, and tricks that change it.

In a piece, LF is a line end, characters below U+0100 stand for bytes, and marks for values (`values`).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace

Change = str | Callable[[str], str]
"""A piece instead of the one that is there, or a function that changes it."""
Finish = Callable[[bytes], bytes]


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


PIECES = frozenset(piece.name for piece in fields(Draft))
_OF_PARTS = {"container", "gap", "preamble", "opening", "companion", "closing", "epilogue"}
IN_PARTS = Draft()
ALONE = Draft(container="")
QUOTED = Draft(encoding="Content-Transfer-Encoding: quoted-printable", body="{payload|qp_all}")
"""Base64 can be told by its looks; this is decoded only by who has found the field that says so."""
IN_MESSAGE = Draft(front="Subject: outer\nMIME-Version: 1.0\nContent-Type: message/rfc822\n\n")


@dataclass(frozen=True, kw_only=True, eq=False)
class Trick:
    """A way to make readers differ.

    Attributes:
        id: unique within its family.
        lesson: the case of field-lessons §4.1 that it belongs to.
        why: what is done, and how readers may differ, in one line.
        changes: of pieces of the draft, by their names.
        whole: all of the message, where no draft fits it; marks as in pieces.
        finish: changes the finished message, behind everything else.
        names: the file names that some client would show; marks as in pieces. None: not a matter of names.
        pairs: also combined with several tricks of each other family.
    """

    id: str
    lesson: int
    why: str
    changes: dict[str, Change] = field(default_factory=dict)
    whole: str = ""
    finish: Finish | None = None
    names: tuple[str, ...] | None = None
    pairs: bool = False

    def apply(self, draft: Draft) -> Draft:
        """The draft with this trick in it."""
        return replace(
            draft,
            **{
                piece: change(getattr(draft, piece)) if callable(change) else change
                for piece, change in self.changes.items()
            },
        )

    @property
    def replaces(self) -> set[str]:
        """The pieces that it replaces whatever they are: two such tricks do not go together."""
        return {piece for piece, change in self.changes.items() if isinstance(change, str)}

    @property
    def works_quoted(self) -> bool:
        """Whether it leaves encoding and payload to the draft."""
        return not self.whole and not self.replaces & {"encoding", "body"}

    @property
    def works_alone(self) -> bool:
        """Whether it can be played on a message of one part."""
        return bool(self.changes) and not self.changes.keys() & _OF_PARTS


# ----------------------------------------------------------------------------------------------- changes


def edit(
    *, find: str = "", instead: str = "", before: str = "", behind: str = "", letters: str = ""
) -> Callable[[str], str]:
    """A change to the lines of a field: the first `find` replaced, text before and behind it, letters of its name.

    ``$field`` is the field's name.
    """

    def change(lines: str) -> str:
        name, colon, value = lines.partition(":")
        if letters:
            lines = {"upper": name.upper(), "lower": name.lower()}[letters] + colon + value
        if find:
            lines = lines.replace(find, instead, 1)
        return before.replace("$field", name) + lines + behind.replace("$field", name)

    return change


def line_ends(header: str, body: str) -> Finish:
    """Other line ends, in the header of the message and in all that follows."""

    def finish(message: bytes) -> bytes:
        top, *rest = re.split(rb"\r?\n\r?\n", message, maxsplit=1)
        changed = [
            _with_ends(top, header.encode("latin-1")),
            *(_with_ends(text, body.encode("latin-1")) for text in rest),
        ]
        return (header * 2).encode("latin-1").join(changed)

    return finish


def _with_ends(text: bytes, end: bytes) -> bytes:
    return re.sub(rb"\r?\n", lambda _: end, text)


def alternating_line_ends(message: bytes) -> bytes:
    """LF and CRLF by turns."""
    lines = re.split(rb"\r?\n", message)
    return b"".join(line + (b"\r\n" if number % 2 else b"\n") for number, line in enumerate(lines))


def substitution(find: str, instead: str, *, every: bool) -> Finish:
    """The first match of a regular expression, or every one, replaced."""
    pattern = re.compile(find.encode("latin-1"), re.DOTALL)
    return lambda message: pattern.sub(instead.encode("latin-1"), message, count=0 if every else 1)
