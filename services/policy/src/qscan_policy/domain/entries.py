"""The rule file as it is written: one struct per block. Its JSON schema comes from here (`qscan_policy.schema`).

Later issues add fields; what is here keeps its meaning.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from qscan_contracts.vocabulary import ActionKind, EngineRole, QuarantineClass, UnscannedReason

MAX_DESCRIPTION_CHARS = 200

Pattern = Annotated[str, Meta(min_length=1, max_length=200)]
# `$` would let a line break at the end through; this is the end to Python and to JSON Schema alike.
_END = r"(?![\s\S])"
RuleId = Annotated[str, Meta(pattern=f"^[a-z0-9][a-z0-9-]{{0,62}}{_END}")]
FieldName = Annotated[str, Meta(pattern=f"^[!-9;-~]+{_END}", description="A header field's name (RFC 5322 §2.2).")]
SizeText = Annotated[str, Meta(pattern=f"^[<>] ?[0-9]{{1,15}}{_END}")]
SizeNumber = Annotated[int, Meta(ge=0)]


class Entry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A block of the rule file. A key that is not known is an error: it would be a rule that does nothing."""


class ActionEntry(Entry, frozen=True):
    """An action with its particulars. An action without any is written as its bare name.

    Attributes:
        text: for `reject` and `defer` what the sender is told; without the (#x.y.z) code, which is added.
        header_fields: for `tag`, fields to add on top, name: value.
    """

    kind: ActionKind
    text: str = ""
    subject_tag: str = ""
    header_fields: dict[FieldName, str] = {}
    redirect_to: str = ""
    quarantine_class: QuarantineClass | None = None


AnyAction = ActionKind | ActionEntry


class AttachmentEntry(Entry, frozen=True):
    """Something with a file name: a part, or a member of an archive. One of its names and its size must fit.

    Names are compared with every candidate name that any reading of the headers gives, without regard to case and
    to the dots and blanks at the end that Windows ignores; the last element of a path counts as a name, too.

    Attributes:
        name: exact names; one of them must be equal.
        extension: what follows the last dot; with or without a dot in front.
        glob: ``*`` is any number of characters, ``?`` is one, all others stand for themselves.
        size: decoded bytes: ``68`` exactly, ``<1024`` fewer, ``>1024`` more.
    """

    name: Pattern | tuple[Pattern, ...] = ()
    extension: Pattern | tuple[Pattern, ...] = ()
    glob: Pattern | tuple[Pattern, ...] = ()
    size: SizeNumber | SizeText | None = None


class HeaderEntry(Entry, frozen=True):
    """A field of the message's header (every one of that name) whose value the regular expression is found in.

    Attributes:
        matches: RE2 syntax, case-sensitive unless it begins with ``(?i)``; anchor it with ``^`` and ``$``.
        reading: `raw` is the bytes as received, `decoded` has encoded words (RFC 2047) decoded; both are unfolded.
    """

    field: FieldName
    matches: Annotated[str, Meta(min_length=1, max_length=2000)]
    reading: Literal["either", "raw", "decoded"] = "either"


class WhenEntry(Entry, frozen=True):
    """The conditions of a rule: all that are given must hold."""

    attachment: AttachmentEntry | None = None
    header: HeaderEntry | None = None


class RuleEntry(Entry, frozen=True):
    """A rule. `description` is told to people and logged; `action: off` keeps it for later."""

    id: RuleId
    description: Annotated[str, Meta(min_length=1, max_length=MAX_DESCRIPTION_CHARS)]
    when: WhenEntry
    action: AnyAction


class SignatureEntry(Entry, frozen=True):
    """Detections by an engine of `role` whose signature name matches the shell pattern."""

    pattern: Pattern
    action: AnyAction
    role: EngineRole = EngineRole.VIRUS


class DefectEntry(Entry, frozen=True):
    """Defects of the message's form whose id matches the shell pattern, and whose `hides_content` is the same."""

    pattern: Pattern
    action: AnyAction
    hides_content: bool | None = None


class ScoreEntry(Entry, frozen=True):
    """Spam scores of at least `over_required` above what the filter requires, or of at least `absolute`."""

    action: AnyAction
    over_required: float | None = None
    absolute: float | None = None


class SpamEntry(Entry, frozen=True):
    """What a spam score leads to. `missing`: for messages that the filter gave no score for; absent, they pass."""

    scores: tuple[ScoreEntry, ...] = ()
    missing: AnyAction | None = None


class DecisionsEntry(Entry, frozen=True):
    """Actions for what is known only after scanning. It must have an answer to everything but a spam score."""

    signatures: tuple[SignatureEntry, ...]
    unscanned: dict[UnscannedReason, AnyAction]
    defects: tuple[DefectEntry, ...]
    spam: SpamEntry = SpamEntry()


class RuleFile(Entry, frozen=True):
    """The whole file."""

    version: Literal[1]
    decisions: DecisionsEntry
    rules: tuple[RuleEntry, ...] = ()
