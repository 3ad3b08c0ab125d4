"""All metrics of qscan, each name once. Labels come from closed sets only, never from a message."""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 240)

MESSAGES = Counter("qscan_messages", "Messages decided on.", ["verdict", "disposition"])
MESSAGES_REFUSED = Counter("qscan_messages_refused", "Requests that were not scanned.", ["reason"])
MESSAGE_SECONDS = Histogram("qscan_message_seconds", "From the request to the answer.", buckets=_SECONDS)
MESSAGES_IN_FLIGHT = Gauge("qscan_messages_in_flight", "Messages being scanned now.")
COMPONENTS = Counter("qscan_components", "Components found by the dissector.", ["origin"])
JOBS = Counter("qscan_jobs", "Requests to scanning services, by how they ended.", ["role", "end"])
JOBS_HANDLED = Counter("qscan_jobs_handled", "Requests handled by this worker.", ["role", "end"])
JOBS_IN_FLIGHT = Gauge("qscan_jobs_in_flight", "Requests being worked on now.", ["role"])
ENGINE_REPORTS = Counter("qscan_engine_reports", "Reports by engine.", ["engine", "outcome", "reason"])
ENGINE_SECONDS = Histogram("qscan_engine_seconds", "One scan by one engine.", ["engine"], buckets=_SECONDS)
ENGINE_USABLE = Gauge("qscan_engine_usable", "1 where the engine passed its proof.", ["engine", "address"])
ENGINE_SIGNATURES_TIMESTAMP = Gauge(
    "qscan_engine_signatures_timestamp_seconds", "When the engine's signatures were made.", ["engine", "address"]
)
SPAM_SCORES = Counter("qscan_spam_scores", "Answers of the spam filter.", ["engine", "outcome"])
EVENTS = Counter("qscan_events", "Events handled downstream.", ["kind", "end"])
HANDED_OVER = Counter("qscan_ingress_messages", "Messages by what qscan-queue was told.", ["outcome"])
UNPACKER_TRIES = Counter("qscan_ingress_unpacker_tries", "Requests to unpackers, by how they ended.", ["end"])
