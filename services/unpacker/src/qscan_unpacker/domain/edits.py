"""Edits: byte changes of the raw message that riders and the spam score ask for (DESIGN §4)."""

from collections.abc import Iterable

from qscan_contracts.decisions import Action
from qscan_contracts.intake import Edit
from qscan_contracts.scanning import SpamScore
from qscan_contracts.texts import printable_ascii
from qscan_contracts.vocabulary import ActionKind
from qscan_unpacker.dissection.headers import Header

SPAM_LEVEL_MAX = 40
"""Longer rows of plus signs tell nothing more."""


def edits(raw: bytes | memoryview, top: Header, riders: Iterable[Action], spam: SpamScore | None) -> tuple[Edit, ...]:
    """The edits for a message that is delivered, ascending and not overlapping.

    Without a rider that changes something there are none, and the message goes through byte for byte.
    """
    tags = [action for action in riders if action.kind is ActionKind.TAG]
    if not tags:
        return ()
    line_end = line_ending(raw)
    fields = [field for action in tags for field in action.header_fields]
    is_spam = spam is not None and spam.score is not None and spam.required is not None and spam.score >= spam.required
    if is_spam and spam is not None and spam.score is not None and spam.required is not None:
        fields += spam_fields(spam.score, spam.required)
    subject_tag = "".join(dict.fromkeys(action.subject_tag for action in tags if action.subject_tag))
    subject = next(iter(top.all(b"subject")), None)
    changes = []
    if subject_tag and subject is None:
        fields.append(("Subject", subject_tag.strip()))
    if fields:
        block = b"".join(_safe(f"{name}: {value}") + line_end for name, value in fields)
        if raw and not top.fields and not top.has_blank_line:
            block += line_end  # a body alone, whose first line would become a line of the header
        changes.append(Edit(0, 0, block))
    if subject_tag and subject is not None:
        spaces = len(subject.value) - len(subject.value.lstrip(b" \t"))
        lead = b"" if spaces else b" "
        changes.append(Edit(subject.value_offset + spaces, 0, lead + _safe(subject_tag)))
    return tuple(changes)


def spam_fields(score: float, required: float) -> list[tuple[str, str]]:
    """Qmail-Scanner's short fields (facts §4.3); filters match the start ``X-Spam-Status: Yes,``."""
    return [
        ("X-Spam-Status", f"Yes, hits={score:.1f} required={required:.1f}"),
        ("X-Spam-Level", "+" * max(0, min(int(score), SPAM_LEVEL_MAX))),
    ]


def line_ending(raw: bytes | memoryview) -> bytes:
    """The line ending of the message: that of its first line, LF (qmail's) where it has none."""
    first = bytes(raw[:2048]).partition(b"\n")[0]
    return b"\r\n" if first.endswith(b"\r") else b"\n"


def _safe(text: str) -> bytes:
    """Text as one header line: no control characters, nothing outside ASCII."""
    return printable_ascii(text).encode("ascii")
