"""Tracing: one trace from the ingress over the bus to the engine and back (W3C trace context).

Trace context travels in HTTP and NATS headers of our own hops only; nothing of it is ever taken from a mail.
"""

import json
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from logging import LogRecord
from logging.handlers import RotatingFileHandler
from pathlib import Path

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from opentelemetry.util.types import AttributeValue
from typing_extensions import override

from qscan_kit.errors import SettingsError
from qscan_kit.settings import ServiceSettings

ATTRIBUTES: Mapping[str, str] = {
    "messaging.operation.name": "send or process (OpenTelemetry's semantic conventions)",
    "messaging.system": "nats (OpenTelemetry's semantic conventions)",
    "qscan.components": "number of components that the dissector found",
    "qscan.defects": "number of defects that the dissector noted",
    "qscan.disposition": "what is done with the message",
    "qscan.end": "how a request to a scanning service ended",
    "qscan.engine": "the engine that was asked",
    "qscan.message_bytes": "size of the raw message",
    "qscan.outcome": "what an engine said, or what qscan-queue was told",
    "qscan.reason": "why something was not looked at",
    "qscan.recipients": "number of recipients",
    "qscan.scan_id": "which message; the same in every log line and in the store",
    "qscan.size": "bytes of the component",
    "qscan.verdict": "the name of the message's class",
}
"""Every attribute that a span may have. Never an address, a subject or a file name: numbers, ids, and closed sets."""


class JsonLinesExporter(SpanExporter):
    """Appends each span as one JSON line to a file, which is rotated once at its size limit."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        """Open `path` for appending; its folder is made if missing."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._handler = RotatingFileHandler(path, maxBytes=max_bytes, backupCount=1, encoding="utf-8")

    @override
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write the spans; called by the batch processor's thread only."""
        for span in spans:
            line = json.dumps(_as_dict(span), separators=(",", ":"))
            self._handler.emit(LogRecord("span", 0, "", 0, line, None, None))
        self._handler.flush()
        return SpanExportResult.SUCCESS

    @override
    def shutdown(self) -> None:
        """Close the file."""
        self._handler.close()


def _as_dict(span: ReadableSpan) -> dict[str, object]:
    context, parent = span.get_span_context(), span.parent
    started, ended = span.start_time or 0, span.end_time or 0
    return {
        "trace": f"{context.trace_id:032x}" if context else "",
        "span": f"{context.span_id:016x}" if context else "",
        "parent": f"{parent.span_id:016x}" if parent else None,
        "service": span.resource.attributes.get("service.name", ""),
        "name": span.name,
        "kind": span.kind.name.lower(),
        "start_ns": started,
        "duration_ms": round((ended - started) / 1e6, 3),
        "attributes": dict(span.attributes or {}),
        "status": span.status.status_code.name.lower(),
    }


def configure(service: str, settings: ServiceSettings) -> TracerProvider | None:
    """Set up tracing for this process; with a ratio of 0 or nowhere to send spans, there is none.

    The caller shuts the provider down at the end, which sends what is left.

    Raises:
        SettingsError: the file cannot be written.
    """
    if settings.trace_ratio == 0:
        return None
    exporters: list[SpanExporter] = []
    if settings.trace_file is not None:
        try:
            exporters.append(JsonLinesExporter(settings.trace_file, settings.trace_file_max_bytes))
        except OSError as error:
            message = f"trace_file cannot be written ({error}): correct it, or unset it for no such file"
            raise SettingsError(message) from error
    if settings.trace_endpoint:
        exporters.append(OTLPSpanExporter(endpoint=settings.trace_endpoint))
    if not exporters:
        return None
    provider = TracerProvider(
        resource=Resource.create({"service.name": f"qscan-{service}"}),
        sampler=ParentBased(TraceIdRatioBased(settings.trace_ratio)),
    )
    for exporter in exporters:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider


class _Tracer:
    """Spans that tell the type of an exception and not its text, which may quote a mail."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    @contextmanager
    def start_as_current_span(
        self,
        name: str,
        *,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, AttributeValue] | None = None,
    ) -> Iterator[Span]:
        """A span around the block, failed where an exception leaves it."""
        with self._tracer.start_as_current_span(
            name,
            context=context,
            kind=kind,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield span
            except Exception as error:
                span.set_status(StatusCode.ERROR, type(error).__name__)
                raise


def tracer() -> _Tracer:
    """The tracer of this process; it costs next to nothing when tracing is off."""
    return _Tracer(trace.get_tracer("qscan"))


def inject(headers: MutableMapping[str, str]) -> MutableMapping[str, str]:
    """Put the current trace context into headers and return them."""
    propagate.inject(headers)
    return headers


def extract(headers: Mapping[str, str] | None) -> Context:
    """The trace context in headers, or an empty one."""
    return propagate.extract(headers or {})
