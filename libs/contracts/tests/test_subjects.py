"""Subjects: what is put into one cannot change what it is."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qscan_contracts import subjects
from qscan_contracts.ids import SCAN_ID_PATTERN, JobId, ScanId
from qscan_contracts.subjects import EventKind, ScanRole, Service

SCAN_IDS = st.from_regex(SCAN_ID_PATTERN, fullmatch=True)
TOKENS = st.from_regex(r"[0-9a-f]{1,32}", fullmatch=True)
PLAIN_SUBJECT = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def covers(pattern: str, subject: str) -> bool:
    """Whether a subscription to `pattern` hears `subject`, as NATS has it."""
    wanted, said = pattern.split("."), subject.split(".")
    for position, token in enumerate(wanted):
        if token == ">":
            return len(said) > position
        if position >= len(said) or token not in {"*", said[position]}:
            return False
    return len(wanted) == len(said)


@pytest.mark.parametrize(
    "bad", ["", "a b", "a.b", "a*", ">", "a\n", "\na", "a\r\nX: y", "ä", "a/b", "..", "a" * 65, "a\0", "٣"]
)
def test_a_scan_id_cannot_break_what_it_becomes_a_part_of(bad):
    """File names, log lines, headers of the bus, subjects."""
    assert not re.fullmatch(SCAN_ID_PATTERN, bad)


@given(scan_id=SCAN_IDS, kind=st.sampled_from(EventKind))
def test_deduplication_ids_are_told_apart(scan_id, kind):
    """One event of each kind for a message, and a kind is never taken for a part of the scan id."""
    event_id = subjects.event_id(ScanId(scan_id), kind)
    assert event_id.split("/") == [scan_id, kind]
    assert re.fullmatch(r"[!-~]+", event_id)


@given(role=st.sampled_from(ScanRole), instance=TOKENS, job=TOKENS, other=TOKENS)
def test_replies_come_to_the_unpacker_that_asked(role, instance, job, other):
    """And to no other instance."""
    reply = subjects.reply(role, instance, JobId(job))
    assert PLAIN_SUBJECT.fullmatch(reply)
    assert covers(subjects.all_replies(instance), reply)
    assert covers(subjects.all_replies(other), reply) == (other == instance)


def test_subjects_carry_their_version_and_no_wildcard():
    """What is published to is one subject, and all of them are different."""
    published = [
        *(subjects.scan(role) for role in ScanRole),
        *(subjects.event(kind) for kind in EventKind),
        subjects.chunks("instance"),
        subjects.reply(ScanRole.AV, "instance", JobId("job")),
        subjects.BURIED_SUBJECT,
    ]
    assert len(published) == len(set(published))
    assert all(PLAIN_SUBJECT.fullmatch(subject) and subject.split(".")[1] == "v1" for subject in published)


@pytest.mark.parametrize("kind", EventKind)
def test_events_are_in_their_stream(kind):
    """An event outside it would be published to nobody."""
    assert covers(subjects.EVENT_SUBJECTS, subjects.event(kind))


def test_inboxes_are_apart():
    """No service's inbox is in another's, and each is one token."""
    prefixes = [subjects.inbox_prefix(service) for service in Service]
    assert len(set(prefixes)) == len(prefixes)
    assert all(re.fullmatch(r"_INBOX_[a-z_]+", prefix) for prefix in prefixes)
    for one in prefixes:
        assert [other for other in prefixes if covers(f"{one}.>", f"{other}.x.1")] == [one]
