"""From an action as written to the action on the wire, with everything checked that can be."""

import re
from collections.abc import Iterator

from qscan_contracts.decisions import Action
from qscan_contracts.vocabulary import ActionKind
from qscan_policy.domain.entries import ActionEntry, AnyAction
from qscan_policy.domain.problems import Path, Problem

MAX_SMTP_TEXT_CHARS = 200
"""With class letter and code it must stay within the 255 bytes that qmail reads (facts §1.3)."""
MAX_FIELD_VALUE_CHARS = 900
"""Below the 998 octets of a line (RFC 5322 §2.1.1)."""
_PRINTABLE = re.compile(r"[ -~]*")
_ADDRESS = re.compile(r"[!-~]+@[!-~]+")

_PARTICULARS: dict[ActionKind, frozenset[str]] = {
    ActionKind.TAG: frozenset({"subject_tag", "header_fields"}),
    ActionKind.REDIRECT: frozenset({"redirect_to"}),
    ActionKind.DEFER: frozenset({"text"}),
    ActionKind.REJECT: frozenset({"text"}),
    ActionKind.HOLD: frozenset({"quarantine_class", "text"}),
    ActionKind.QUARANTINE: frozenset({"quarantine_class", "text"}),
}

NOT_DONE_YET = frozenset({ActionKind.RENAME, ActionKind.REDIRECT, ActionKind.NOTIFY, ActionKind.DLP_MONITOR})
"""Nobody acts on these so far. A site that writes one must not believe that something is done."""


def to_action(entry: AnyAction) -> Action:
    """The action on the wire."""
    if not isinstance(entry, ActionEntry):
        return Action(entry)
    return Action(
        entry.kind,
        text=entry.text,
        subject_tag=entry.subject_tag,
        header_fields=tuple(entry.header_fields.items()),
        redirect_to=entry.redirect_to,
        quarantine_class=entry.quarantine_class,
    )


def kind_of(entry: AnyAction) -> ActionKind:
    """What is to be done, with or without particulars."""
    return entry.kind if isinstance(entry, ActionEntry) else entry


def action_problems(entry: AnyAction, path: Path) -> Iterator[Problem]:
    """What is wrong with an action at `path`."""
    kind = kind_of(entry)
    if kind in NOT_DONE_YET:
        yield Problem(path, f"{kind} is not done by this version, the message would just pass: use another action")
    if not isinstance(entry, ActionEntry):
        if entry is ActionKind.TAG:
            yield Problem(path, "tag needs a subject_tag or header_fields: {kind: tag, subject_tag: '[X] '}")
        if entry is ActionKind.REDIRECT:
            yield Problem(path, "redirect needs an address: {kind: redirect, redirect_to: someone@example.com}")
        return
    given = {name for name in entry.__struct_fields__ if name != "kind" and getattr(entry, name)}
    for name in sorted(given - _PARTICULARS.get(entry.kind, frozenset())):
        yield Problem((*path, name), f"{name} has no meaning for the action {entry.kind}: remove it")
    if entry.kind is ActionKind.TAG and not given & {"subject_tag", "header_fields"}:
        yield Problem(path, "tag needs a subject_tag or header_fields")
    if entry.kind is ActionKind.REDIRECT and not _ADDRESS.fullmatch(entry.redirect_to):
        yield Problem((*path, "redirect_to"), "redirect needs an address like someone@example.com")
    yield from _text_problems(entry, path)


def _text_problems(entry: ActionEntry, path: Path) -> Iterator[Problem]:
    if len(entry.text) > MAX_SMTP_TEXT_CHARS or not _PRINTABLE.fullmatch(entry.text):
        yield Problem(
            (*path, "text"), f"text must be one line of printable ASCII, at most {MAX_SMTP_TEXT_CHARS} characters"
        )
    for where, value in (("subject_tag", entry.subject_tag), *_field_values(entry)):
        if len(value) > MAX_FIELD_VALUE_CHARS or not _PRINTABLE.fullmatch(value):
            yield Problem((*path, where), f"{where} must be one line of printable ASCII")


def _field_values(entry: ActionEntry) -> Iterator[tuple[str, str]]:
    for value in entry.header_fields.values():
        yield "header_fields", value
