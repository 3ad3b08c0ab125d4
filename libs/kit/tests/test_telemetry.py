"""Tracing: what is written, where it ends, and that it is off where it is switched off."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.trace import SpanKind

from qscan_kit import telemetry
from qscan_kit.errors import SettingsError
from qscan_kit.settings import ServiceSettings
from qscan_kit.telemetry import JsonLinesExporter

TRACE_PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SECRET = "ann.private@example.org"
SETUP = f"""
from pathlib import Path
from qscan_kit import telemetry
from qscan_kit.settings import ServiceSettings

def behind(trace_parent):
    return telemetry.extract({{"traceparent": trace_parent}})

parent = {TRACE_PARENT!r}
"""


def provider(exporter: JsonLinesExporter) -> TracerProvider:
    """Hands every span over at once."""
    made = TracerProvider(resource=Resource.create({"service.name": "qscan-tester"}))
    made.add_span_processor(SimpleSpanProcessor(exporter))
    return made


def lines(path: Path) -> list[dict[str, Any]]:
    """The spans in a file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def in_a_process(program: str) -> str:
    """Tracing is set up once per process, so these tests take one each. Returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SETUP + program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_span_is_a_line(tmp_path):
    """Ids as in W3C trace context, times, kind and attributes; in a folder that is made."""
    file = tmp_path / "log" / "spans.jsonl"
    exporter = JsonLinesExporter(file, 1_000_000)
    tracer = provider(exporter).get_tracer("t")
    with (
        tracer.start_as_current_span("outer", kind=SpanKind.SERVER) as outer,
        tracer.start_as_current_span("inner", attributes={"qscan.size": 7}),
    ):
        pass
    exporter.shutdown()
    inner_line, outer_line = lines(file)
    assert outer_line["span"] == f"{outer.get_span_context().span_id:016x}"
    assert (outer_line["parent"], inner_line["parent"]) == (None, outer_line["span"])
    assert outer_line["trace"] == inner_line["trace"] == f"{outer.get_span_context().trace_id:032x}"
    assert (outer_line["name"], outer_line["kind"], outer_line["service"]) == ("outer", "server", "qscan-tester")
    assert (inner_line["attributes"], inner_line["status"]) == ({"qscan.size": 7}, "unset")
    assert 0 <= inner_line["duration_ms"] <= outer_line["duration_ms"]
    assert outer_line["start_ns"] <= inner_line["start_ns"]


def test_a_span_stays_on_its_line(tmp_path):
    """Whatever is in its name; and percent signs are no formats."""
    exporter = JsonLinesExporter(tmp_path / "spans", 1_000_000)
    provider(exporter).get_tracer("t").start_span("a\nb %s %(x)s {}").end()
    exporter.shutdown()
    assert [line["name"] for line in lines(tmp_path / "spans")] == ["a\nb %s %(x)s {}"]


def test_the_file_is_rotated_at_its_size(tmp_path):
    """Once: there are two files, each within the limit, and the newest spans are kept."""
    file, max_bytes = tmp_path / "spans", 5_000
    exporter = JsonLinesExporter(file, max_bytes)
    tracer = provider(exporter).get_tracer("t")
    for number in range(100):
        tracer.start_span(f"span {number}").end()
    exporter.shutdown()
    assert {path.name for path in tmp_path.iterdir()} == {"spans", "spans.1"}
    assert all(path.stat().st_size <= max_bytes for path in tmp_path.iterdir())
    kept = [line["name"] for path in (tmp_path / "spans.1", file) for line in lines(path)]
    assert kept == [f"span {number}" for number in range(100 - len(kept), 100)]


def test_a_restart_appends(tmp_path):
    """What was there before stays."""
    for _ in range(2):
        exporter = JsonLinesExporter(tmp_path / "spans", 1_000_000)
        assert exporter.export([]) is SpanExportResult.SUCCESS
        provider(exporter).get_tracer("t").start_span("x").end()
        exporter.shutdown()
    assert len(lines(tmp_path / "spans")) == 2


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"trace_ratio": 0, "trace_file": "spans"},
        {"trace_ratio": 0, "trace_endpoint": "http://127.0.0.1:1/v1/traces"},
    ],
    ids=["nowhere to send", "ratio 0 and a file", "ratio 0 and an endpoint"],
)
def test_no_tracing(tmp_path, monkeypatch, settings):
    """Nothing is set up: no thread, no file."""
    monkeypatch.chdir(tmp_path)
    threads = threading.active_count()
    assert telemetry.configure("tester", ServiceSettings.model_validate(settings)) is None
    assert threading.active_count() == threads
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written(tmp_path):
    """It is a wrong setting, not a service that runs without the traces that were ordered."""
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="trace_file cannot be written"):
        telemetry.configure("tester", ServiceSettings(trace_file=tmp_path / "file" / "spans"))


def test_spans_of_a_process_are_in_its_file(tmp_path):
    """Also those that were still waiting when it ended."""
    file = tmp_path / "spans"
    in_a_process(f"""
provider = telemetry.configure("tester", ServiceSettings(trace_file=Path({str(file)!r})))
with telemetry.tracer().start_as_current_span("outer"), telemetry.tracer().start_as_current_span("inner"):
    pass
provider.shutdown()
""")
    inner, outer = lines(file)
    assert (inner["parent"], outer["service"]) == (outer["span"], "qscan-tester")


def test_a_share_of_the_messages_is_traced(tmp_path):
    """The first one decides for all of its trace, whatever the share of the others."""
    file = tmp_path / "spans"
    printed = in_a_process(f"""
provider = telemetry.configure("tester", ServiceSettings(trace_file=Path({str(file)!r}), trace_ratio=0.5))
for _ in range(400):
    with telemetry.tracer().start_as_current_span("outer"), telemetry.tracer().start_as_current_span("inner"):
        pass
with telemetry.tracer().start_as_current_span("sampled", context=behind(parent)):
    pass
with telemetry.tracer().start_as_current_span("unsampled", context=behind(parent[:-1] + "0")):
    print(telemetry.inject({{}})["traceparent"])
provider.shutdown()
""")
    names = [line["name"] for line in lines(file)]
    assert 100 < names.count("outer") == names.count("inner") < 300
    assert (names.count("sampled"), names.count("unsampled")) == (1, 0)
    assert printed.startswith(TRACE_PARENT[:36])
    assert printed.strip().endswith("-00")


def test_the_trace_goes_on_behind_headers():
    """inject and extract are each other's opposite, over HTTP and NATS alike."""
    context = telemetry.extract({"traceparent": TRACE_PARENT, "tracestate": "a=b"})
    span = trace.get_current_span(context).get_span_context()
    assert f"{span.trace_id:032x}-{span.span_id:016x}" == TRACE_PARENT[3:-3]
    with trace.use_span(trace.NonRecordingSpan(span)):
        assert telemetry.inject({"other": "x"}) == {"traceparent": TRACE_PARENT, "tracestate": "a=b", "other": "x"}


@pytest.mark.parametrize(
    "headers",
    [
        None,
        {},
        {"traceparent": ""},
        {"traceparent": "00-zz"},
        {"traceparent": "00-" + "0" * 32 + "-" + "0" * 16 + "-01"},
    ],
)
def test_headers_without_a_trace(headers):
    """Or with a broken one: a new trace begins."""
    assert not trace.get_current_span(telemetry.extract(headers)).get_span_context().is_valid
    assert telemetry.inject({}) == {}


class Collector(BaseHTTPRequestHandler):
    """Takes what is posted."""

    posted: list[bytes]

    def do_POST(self) -> None:
        """Keep the body."""
        self.posted.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """An OTLP endpoint and what came there."""
    posted: list[bytes] = []
    server = HTTPServer(("127.0.0.1", 0), type("OneCollector", (Collector,), {"posted": posted}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/traces", posted
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_exception_s_text_is_in_no_trace(tmp_path, collector):
    """It may quote a mail; the span fails, with the exception's type. Over OTLP, too, where all of a span is sent."""
    endpoint, posted = collector
    in_a_process(f"""
settings = ServiceSettings(trace_file=Path({str(tmp_path / "spans")!r}), trace_endpoint={endpoint!r})
provider = telemetry.configure("tester", settings)
try:
    with telemetry.tracer().start_as_current_span("failing"):
        raise KeyError({SECRET!r})
except KeyError:
    pass
provider.shutdown()
""")
    (line,) = lines(tmp_path / "spans")
    assert (line["name"], line["status"]) == ("failing", "error")
    assert SECRET not in json.dumps(line)
    sent = b"".join(posted)
    assert b"failing" in sent
    assert b"KeyError" in sent
    assert SECRET.encode() not in sent
