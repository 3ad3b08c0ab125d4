"""Edits: what is changed in a message that is delivered, and that nothing else is."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qscan_contracts.decisions import Action
from qscan_contracts.intake import Edit
from qscan_contracts.scanning import SpamScore
from qscan_contracts.vocabulary import RIDERS, ActionKind
from qscan_unpacker.dissection.headers import parse_header
from qscan_unpacker.domain.edits import edits

SPAM = SpamScore("spamd", 15.04, 5.0)
TAG = Action(ActionKind.TAG, subject_tag="[SPAM] ")


def changed(raw: bytes, changes: Iterable[Edit]) -> bytes:
    """`raw` with the edits applied, as the ingress does it."""
    parts, at = [], 0
    for edit in changes:
        assert edit.offset >= at
        parts += [raw[at : edit.offset], edit.insert]
        at = edit.offset + edit.delete
    return b"".join([*parts, raw[at:]])


def edited(raw: bytes, *riders: Action, spam: SpamScore | None = SPAM) -> bytes:
    """`raw` as it is delivered."""
    return changed(raw, edits(raw, parse_header(raw, 0, len(raw)), riders, spam))


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_spam_gets_fields_and_a_subject_tag(end: bytes) -> None:
    """New fields on top, the tag before the subject, with the line ending of the message."""
    raw = end.join([b"From: a@b", b"Subject: buy", b"", b"now"])
    expected = [b"X-Spam-Status: Yes, hits=15.0 required=5.0", b"X-Spam-Level: " + b"+" * 15]
    assert edited(raw, TAG) == end.join([*expected, b"From: a@b", b"Subject: [SPAM] buy", b"", b"now"])


def test_subject_without_a_space_gets_one() -> None:
    """``Subject:buy`` is legal (RFC 5322 §2.2)."""
    assert b"Subject: [SPAM] buy" in edited(b"Subject:buy\n\n", TAG)


def test_missing_subject_is_added() -> None:
    """The tag is seen also where there was no subject."""
    assert b"Subject: [SPAM]\nFrom: a\n" in edited(b"From: a\n\nbody", TAG)


def test_first_of_two_subjects_is_tagged() -> None:
    """Only one is changed: what a reader shows first."""
    assert edited(b"Subject: one\nSubject: two\n\n", TAG).count(b"[SPAM]") == 1


@given(st.binary(max_size=200), st.lists(st.sampled_from(sorted(RIDERS - {ActionKind.TAG})), max_size=3))
def test_without_a_tag_the_message_stays_as_it_is(raw: bytes, kinds: list[ActionKind]) -> None:
    """Byte for byte."""
    assert edits(raw, parse_header(raw, 0, len(raw)), [Action(kind) for kind in kinds], SPAM) == ()


@given(st.binary(max_size=300))
def test_edits_only_insert(raw: bytes) -> None:
    """For any bytes: ascending, in range, nothing deleted, and the original is what remains without the inserts."""
    changes = edits(raw, parse_header(raw, 0, len(raw)), [TAG], SPAM)
    assert all(edit.delete == 0 and 0 <= edit.offset <= len(raw) for edit in changes)
    assert [edit.offset for edit in changes] == sorted(edit.offset for edit in changes)
    assert b"[SPAM]" in changed(raw, changes)


def test_header_fields_of_an_action_are_cleaned() -> None:
    """No action can inject a line."""
    action = Action(ActionKind.TAG, header_fields=(("X-A", "one\r\nX-B: two"),))
    assert edited(b"\nbody", action, spam=None) == b"X-A: one??X-B: two\n\nbody"


def test_same_tag_of_two_groups_is_set_once() -> None:
    """One message has one content."""
    other = Action(ActionKind.TAG, subject_tag="[SPAM] ", text="another rule")
    assert edited(b"Subject: x\n\n", TAG, other).count(b"[SPAM]") == 1


def test_a_body_without_a_header_stays_a_body() -> None:
    """Without an empty line its first lines would be read as fields, or as the end of ours."""
    raw = b"buy now\nSubject: not a field\n"
    new = edited(raw, TAG)
    assert new.endswith(b"\n\n" + raw)
    assert not parse_header(new, 0, len(new)).junk


def test_an_empty_message_gets_fields_alone() -> None:
    """And the header without an empty line and body, too."""
    assert edited(b"", TAG, spam=None) == b"Subject: [SPAM]\n"
    assert edited(b"From: a@b\n", TAG, spam=None) == b"Subject: [SPAM]\nFrom: a@b\n"
