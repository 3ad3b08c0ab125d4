"""Who may say and hear what on the bus: one NATS user per service with exactly these subjects (DESIGN §6).

From this table `qscan up` writes its server configuration, and the tests check the files of compose and Helm.
"""

from msgspec import Struct

from qscan_contracts import subjects
from qscan_contracts.subjects import BURIED_STREAM, EVENTS_STREAM, MAIL_BUCKET, ScanRole, Service


class Rights(Struct, frozen=True):
    """The subjects that a user may publish to and subscribe to; everything else is denied."""

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
    """What it takes to pull from one durable consumer of the event stream, and to bury."""
    return (
        f"$JS.API.STREAM.INFO.{EVENTS_STREAM}",
        f"$JS.API.CONSUMER.CREATE.{EVENTS_STREAM}.{consumer}.>",
        f"$JS.API.CONSUMER.CREATE.{EVENTS_STREAM}.{consumer}",
        f"$JS.API.CONSUMER.DURABLE.CREATE.{EVENTS_STREAM}.{consumer}",
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
            f"$JS.API.STREAM.PURGE.{_MAIL_STREAM}",
            f"$JS.API.STREAM.MSG.GET.{_MAIL_STREAM}",
            f"$JS.API.DIRECT.GET.{_MAIL_STREAM}",
            f"$JS.API.DIRECT.GET.{_MAIL_STREAM}.>",
        ),
        subscribe=("reply.v1.*.*.*", "chunk.v1.*", _inbox(Service.UNPACKER)),
    ),
    Service.AV_GATEWAY: _scan_worker(Service.AV_GATEWAY, ScanRole.AV),
    Service.POLICY: _scan_worker(Service.POLICY, ScanRole.POLICY),
    Service.SPAM: _scan_worker(Service.SPAM, ScanRole.SPAM),
    Service.ARCHIVER: Rights(
        publish=(
            *_consumer(subjects.ARCHIVER_CONSUMER),
            f"$JS.API.STREAM.INFO.{_MAIL_STREAM}",
            f"$JS.API.STREAM.PURGE.{_MAIL_STREAM}",
            f"$JS.API.STREAM.MSG.GET.{_MAIL_STREAM}",
            f"$JS.API.DIRECT.GET.{_MAIL_STREAM}",
            f"$JS.API.DIRECT.GET.{_MAIL_STREAM}.>",
            f"$JS.API.CONSUMER.CREATE.{_MAIL_STREAM}",
            f"$JS.API.CONSUMER.CREATE.{_MAIL_STREAM}.>",
            f"$JS.API.CONSUMER.DELETE.{_MAIL_STREAM}.>",
            f"$JS.FC.{_MAIL_STREAM}.>",
            f"$O.{MAIL_BUCKET}.M.>",
        ),
        subscribe=(_inbox(Service.ARCHIVER),),
    ),
    Service.NOTIFIER: Rights(
        publish=_consumer(subjects.NOTIFIER_CONSUMER),
        subscribe=(_inbox(Service.NOTIFIER),),
    ),
}
