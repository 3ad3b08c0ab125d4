"""All metrics of qscan, each name once, with every value that a label may have: never one from a message.

`docs/metrics.md` is generated from here (`make generate`); tests/telemetry holds running services to it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from qscan_contracts.subjects import EventKind, ScanRole
from qscan_contracts.vocabulary import Disposition, Origin, UnscannedReason, Verdict

AS_CONFIGURED = frozenset({"*"})
"""The values of a label that the site names in its settings: engines, addresses of daemons."""

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 240)


@dataclass(frozen=True)
class Declared:
    """A metric as it is documented. `labels`: name → its values; `name` without the suffix that its type adds."""

    name: str
    kind: str
    text: str
    labels: Mapping[str, frozenset[str]]


DECLARED: dict[str, Declared] = {}
"""By name. Filled when this module is imported, and only then."""


def _declare(metric: MetricWrapperBase, values: Mapping[str, Iterable[str]]) -> None:
    (described,) = metric.describe()
    labels = {label: frozenset(map(str, allowed)) for label, allowed in values.items()}
    DECLARED[described.name] = Declared(described.name, described.type, described.documentation, labels)


def _counter(name: str, text: str, **values: Iterable[str]) -> Counter:
    metric = Counter(name, text, list(values))
    _declare(metric, values)
    return metric


def _gauge(name: str, text: str, **values: Iterable[str]) -> Gauge:
    metric = Gauge(name, text, list(values))
    _declare(metric, values)
    return metric


def _seconds(name: str, text: str, **values: Iterable[str]) -> Histogram:
    metric = Histogram(name, text, list(values), buckets=_SECONDS)
    _declare(metric, values)
    return metric


MESSAGES = _counter("qscan_messages", "Messages decided on.", verdict=Verdict, disposition=Disposition)
MESSAGES_REFUSED = _counter(
    "qscan_messages_refused",
    "Requests that were not scanned.",
    reason=("400", "401", "404", "405", "408", "413", "500", "503", "client_left"),
)
MESSAGE_SECONDS = _seconds("qscan_message_seconds", "From the request to the answer.")
MESSAGES_IN_FLIGHT = _gauge("qscan_messages_in_flight", "Messages being scanned now.")
COMPONENTS = _counter("qscan_components", "Components found by the dissector.", origin=Origin)
CONTAINERS = _counter(
    "qscan_containers",
    "Containers that were given to the sandbox, by how that ended.",
    kind=("archive", "cms", "compressed", "ole", "onenote", "pdf", "rtf", "tnef", "zip"),
    outcome=("opened", "stopped", *UnscannedReason),
)
OPENING_SECONDS = _seconds(
    "qscan_opening_seconds", "Opening all containers of a message that has some, waiting for a place included."
)
SANDBOX_CHILDREN = _counter(
    "qscan_sandbox_children",
    "Processes that opened containers of one message, by how they ended.",
    end=(
        "crashed",
        "done",
        "forbidden_call",
        "killed",
        "left",
        "memory",
        "no_forkserver",
        "nonsense",
        "processor_time",
        "stopped",
        "took_too_long",
    ),
)
SANDBOX_CHILDREN_LIVING = _gauge(
    "qscan_sandbox_children_living", "Processes that are opening containers now, each of another message."
)
SANDBOX_STARTS = _counter(
    "qscan_sandbox_starts", "Starts of the forkserver of the sandbox, also those that failed; it is started once."
)
JOBS = _counter(
    "qscan_jobs",
    "Requests to scanning services, by how they ended.",
    role=ScanRole,
    end=("answered", *UnscannedReason),
)
JOBS_HANDLED = _counter(
    "qscan_jobs_handled",
    "Requests handled by this worker.",
    role=ScanRole,
    end=("answered", "busy", "failed", "timed_out", "unavailable", "undecodable"),
)
JOBS_IN_FLIGHT = _gauge("qscan_jobs_in_flight", "Requests being worked on now.", role=ScanRole)
ENGINE_REPORTS = _counter(
    "qscan_engine_reports",
    "Reports by engine.",
    engine=AS_CONFIGURED,
    outcome=("clean", "detected", "unscanned"),
    reason=("", *UnscannedReason),
)
ENGINE_SECONDS = _seconds("qscan_engine_seconds", "One scan by one engine.", engine=AS_CONFIGURED)
ENGINE_USABLE = _gauge(
    "qscan_engine_usable", "1 where the engine passed its proof.", engine=AS_CONFIGURED, address=AS_CONFIGURED
)
ENGINE_SIGNATURES_TIMESTAMP = _gauge(
    "qscan_engine_signatures_timestamp_seconds",
    "When the engine's signatures were made.",
    engine=AS_CONFIGURED,
    address=AS_CONFIGURED,
)
SPAM_SCORES = _counter(
    "qscan_spam_scores",
    "Answers of the spam filter.",
    engine=AS_CONFIGURED,
    outcome=(
        "content_unavailable",
        "ham",
        "no_answer",
        "no_slot",
        "not_running",
        "refused",
        "spam",
        "timed_out",
        "too_big",
    ),
)
EVENTS = _counter("qscan_events", "Events handled downstream.", kind=EventKind, end=("again", "buried", "done"))
HANDED_OVER = _counter(
    "qscan_ingress_messages",
    "Messages by what qscan-queue was told.",
    outcome=(
        *Disposition,
        "address_too_long",
        "bad_envelope",
        "busy",
        "caller_gone",
        "deadline",
        "envelope_too_large",
        "failed",
        "handed_over",
        "message_too_large",
        "read_error",
        "read_timeout",
        "spool_full",
        "truncated_envelope",
        "unpacker_refused",
        "unpacker_unavailable",
    ),
)
UNPACKER_TRIES = _counter(
    "qscan_ingress_unpacker_tries",
    "Requests to unpackers, by how they ended.",
    end=(
        "answered",
        "bad_answer",
        "broken_off",
        "failed",
        "overloaded",
        "refused",
        "timed_out",
        "too_large",
        "unauthorized",
        "unreachable",
    ),
)
MISSING_MESSAGES = _gauge(
    "qscan_missing_messages", "Accepted messages that are neither in the store nor in quarantine."
)
NOTICES = _counter(
    "qscan_notices",
    "Notices by what became of them.",
    end=(
        "already_sent",
        "from_administrator",
        "null_sender",
        "off",
        "own_notice",
        "over_rate",
        "refused",
        "sent",
        "too_old",
    ),
)
