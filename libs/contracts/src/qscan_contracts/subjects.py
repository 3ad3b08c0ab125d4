"""Subjects, streams and names on the bus. The version is in the subject (DESIGN §6)."""

from enum import StrEnum

from qscan_contracts.ids import JobId, ScanId


class Service(StrEnum):
    """The members that have a NATS user of their own."""

    UNPACKER = "unpacker"
    AV_GATEWAY = "av-gateway"
    POLICY = "policy"
    SPAM = "spam"
    ARCHIVER = "archiver"
    NOTIFIER = "notifier"


class ScanRole(StrEnum):
    """What a scanning service answers for; the last token of its subject."""

    AV = "av"
    POLICY = "policy"
    SPAM = "spam"


class EventKind(StrEnum):
    """The kinds of event; the last token of the subject and of the deduplication id."""

    QUARANTINE = "quarantine"
    NOTICE = "notice"


EVENTS_STREAM = "QSCAN_EVENTS"
MAIL_BUCKET = "QSCAN_MAIL"
EVENT_SUBJECTS = "event.v1.>"
ARCHIVER_CONSUMER = "archiver"
NOTIFIER_CONSUMER = "notifier"
BURIED_SUBJECT = "buried.v1"
"""Where a consumer publishes what it cannot decode, with its bytes, before it terminates it."""
BURIED_STREAM = "QSCAN_BURIED"


def scan(role: ScanRole) -> str:
    """Where the unpacker asks the workers of a role; they listen in a queue group of the same name."""
    return f"scan.v1.{role}"


def reply(role: ScanRole, instance: str, job: JobId) -> str:
    """Where the workers of `role` answer a job of the unpacker called `instance`.

    The role is in the subject so that rights keep one service from answering for another.
    """
    return f"reply.v1.{role}.{instance}.{job}"


def all_replies(instance: str) -> str:
    """What an unpacker listens to."""
    return f"reply.v1.*.{instance}.*"


def chunks(instance: str) -> str:
    """Where the unpacker called `instance` hands out content in chunks."""
    return f"chunk.v1.{instance}"


def event(kind: EventKind) -> str:
    """Where events of a kind are published."""
    return f"event.v1.{kind}"


def event_id(scan_id: ScanId, kind: EventKind) -> str:
    """The deduplication id (`Nats-Msg-Id`) of an event."""
    return f"{scan_id}/{kind}"


def inbox_prefix(service: Service) -> str:
    """Every service has inboxes of its own, so that no other can listen to them."""
    return f"_INBOX_{service.replace('-', '_')}"
