"""Who may say and hear what on the bus: one NATS user per service with exactly these subjects (DESIGN §6).

From this table `qscan up` writes its server configuration, and the tests check the files of compose and Helm.

Two things about NATS shape it. What JetStream is asked for is delivered to the reply subject of the request, and
a consumer to its deliver subject, without asking whether the user may publish there. So nobody but the unpacker,
for whom answers are meant anyway, may both put bytes of its own choice into a stream and have them sent somewhere:
archiver and notifier make no consumers, publish no objects, and only pull from the one durable that is made for them.
"""

from msgspec import Struct

from qscan_contracts import subjects
from qscan_contracts.subjects import (
    ARCHIVER_CONSUMER,
    BURIED_STREAM,
    EVENTS_STREAM,
    MAIL_BUCKET,
    NOTIFIER_CONSUMER,
    EventKind,
    ScanRole,
    Service,
)


class Rights(Struct, frozen=True):
    """The subjects that a user may publish to and subscribe to; everything else is denied. Neither is ever empty."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


_MAIL_STREAM = f"OBJ_{MAIL_BUCKET}"


def _inbox(service: Service) -> str:
    return f"{subjects.inbox_prefix(service)}.>"


def _scan_worker(service: Service, role: ScanRole) -> Rights:
    """A worker hears requests of its role, answers for its role only, and pulls chunks."""
    return Rights(
        publish=(f"reply.v1.{role}.>", "chunk.v1.*"),
        subscribe=(subjects.scan(role), _inbox(service)),
    )


def _consumer(consumer: str) -> tuple[str, ...]:
    """What it takes to pull from one durable consumer of the event stream, to settle, and to bury."""
    return (
        f"$JS.API.CONSUMER.INFO.{EVENTS_STREAM}.{consumer}",
        f"$JS.API.CONSUMER.MSG.NEXT.{EVENTS_STREAM}.{consumer}",
        f"$JS.ACK.{EVENTS_STREAM}.{consumer}.>",
        subjects.BURIED_SUBJECT,
    )


RIGHTS: dict[Service, Rights] = {
    Service.UNPACKER: Rights(
        publish=(
            *(subjects.scan(role) for role in ScanRole),
            f"{subjects.inbox_prefix(Service.AV_GATEWAY)}.>",
            f"{subjects.inbox_prefix(Service.POLICY)}.>",
            f"{subjects.inbox_prefix(Service.SPAM)}.>",
            subjects.EVENT_SUBJECTS,
            f"$O.{MAIL_BUCKET}.>",
            *(
                f"$JS.API.STREAM.{verb}.{stream}"
                for verb in ("CREATE", "UPDATE", "INFO")
                for stream in (EVENTS_STREAM, _MAIL_STREAM, BURIED_STREAM)
            ),
            f"$JS.API.CONSUMER.CREATE.{EVENTS_STREAM}.{ARCHIVER_CONSUMER}.{subjects.event(EventKind.QUARANTINE)}",
            f"$JS.API.CONSUMER.CREATE.{EVENTS_STREAM}.{NOTIFIER_CONSUMER}.{subjects.event(EventKind.NOTICE)}",
            # What it has stored of an object that could not be stored to its end.
            f"$JS.API.STREAM.PURGE.{_MAIL_STREAM}",
        ),
        subscribe=("reply.v1.*.*.*", "chunk.v1.*", _inbox(Service.UNPACKER)),
    ),
    Service.AV_GATEWAY: _scan_worker(Service.AV_GATEWAY, ScanRole.AV),
    Service.POLICY: _scan_worker(Service.POLICY, ScanRole.POLICY),
    Service.SPAM: _scan_worker(Service.SPAM, ScanRole.SPAM),
    Service.ARCHIVER: Rights(
        publish=(
            *_consumer(ARCHIVER_CONSUMER),
            # Read and delete objects, and find those that nobody will ask for any more.
            f"$JS.API.STREAM.MSG.GET.{_MAIL_STREAM}",
            f"$JS.API.DIRECT.GET.{_MAIL_STREAM}",
            f"$JS.API.STREAM.PURGE.{_MAIL_STREAM}",
            f"$JS.API.STREAM.INFO.{_MAIL_STREAM}",
            f"$JS.API.STREAM.INFO.{BURIED_STREAM}",
        ),
        subscribe=(_inbox(Service.ARCHIVER),),
    ),
    Service.NOTIFIER: Rights(
        publish=_consumer(NOTIFIER_CONSUMER),
        subscribe=(_inbox(Service.NOTIFIER),),
    ),
}
