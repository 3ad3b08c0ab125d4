"""Metrics: declared before they are used, labels from closed sets, and numbers that add up (STYLE 5.11)."""

import ast
from collections.abc import Iterator
from functools import partial

import pytest
from prometheus_client import REGISTRY

from qscan_kit import metrics
from qscan_kit.metrics import AS_CONFIGURED, DECLARED
from qscan_spam.unscored import Unscored
from qscan_unpacker.opening.kinds import ContainerKind
from qscan_unpacker.sandbox.session import ChildEnd
from tests.telemetry.conftest import BAD_ENVELOPES, MAILS, Told
from tools.generated import METRICS, ROOT, generated

SOURCES = sorted(
    file for pattern in ("libs", "ingress", "services", "cli") for file in ROOT.glob(f"{pattern}/**/src/**/*.py")
)
MAKERS = {"Counter", "Gauge", "Histogram", "Summary", "Info", "Enum"}
SERIES_OF = {"counter": ("_total", "_created"), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum", "_created")}
IN_CLOSED_SETS = {"verdict", "disposition", "role", "end", "outcome", "reason", "origin", "kind", "engine", "address"}


def nodes() -> Iterator[tuple[str, ast.AST]]:
    """Every node of the syntax trees of all sources, with its file."""
    for file in SOURCES:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            yield file.relative_to(ROOT).as_posix(), node


def test_the_table_is_what_is_declared():
    """docs/metrics.md has every metric with its labels and their values, and every attribute of a span."""
    assert (ROOT / METRICS).read_text("utf-8") == dict(generated())[METRICS], f"{METRICS}: run `make generate`"


def test_all_metrics_are_declared_in_one_place():
    """Nowhere else is one made."""
    imported = {
        (file, name.name)
        for file, node in nodes()
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("prometheus_client")
        for name in node.names
    }
    assert {file for file, name in imported if name in MAKERS} == {"libs/kit/src/qscan_kit/metrics.py"}
    assert not [file for file, node in nodes() if isinstance(node, ast.Import) and "prometheus" in ast.unparse(node)]


def test_every_metric_of_the_module_is_declared():
    """With the labels that it really has."""
    ours = {family.name: family for family in REGISTRY.collect() if family.name.startswith("qscan_")}
    assert set(ours) == set(DECLARED)
    for name, declared in DECLARED.items():
        assert (ours[name].type, ours[name].documentation) == (declared.kind, declared.text)


def test_every_metric_is_used():
    """A number that nobody counts is always zero, which looks like good news."""
    text = "\n".join(file.read_text("utf-8") for file in SOURCES if file.name != "metrics.py")
    names = [name for name, thing in vars(metrics).items() if hasattr(thing, "describe") and name.isupper()]
    assert len(names) == len(DECLARED)
    assert [name for name in names if name not in text] == []


@pytest.mark.parametrize("declared", DECLARED.values(), ids=lambda declared: declared.name)
def test_a_name_and_its_labels(declared):
    """Prefix, a base unit in the name where there is one, and a sentence; labels from the known ones, with values."""
    assert declared.name.startswith("qscan_")
    assert declared.text.endswith(".")
    assert declared.kind in SERIES_OF
    assert declared.kind != "histogram" or declared.name.endswith("_seconds")
    assert set(declared.labels) <= IN_CLOSED_SETS
    assert all(values for values in declared.labels.values())
    assert all(values == AS_CONFIGURED for label, values in declared.labels.items() if label in {"engine", "address"})


def test_words_of_a_service_are_declared():
    """Of enumerations that kit cannot import."""
    assert {*ChildEnd} == DECLARED["qscan_sandbox_children"].labels["end"]
    assert {*ContainerKind} - {ContainerKind.UNSUPPORTED} == DECLARED["qscan_containers"].labels["kind"]
    assert set(Unscored) | {"ham", "spam"} == DECLARED["qscan_spam_scores"].labels["outcome"]


def test_every_sample_is_a_declared_one(told: Told):
    """Of all services, after ordinary and hostile mail: name, labels, and every label's value."""
    series = {
        declared.name + suffix: declared.labels for declared in DECLARED.values() for suffix in SERIES_OF[declared.kind]
    }
    assert told.samples
    for sample in told.samples:
        labels = {name: value for name, value in sample.labels.items() if name != "le"}
        assert set(labels) == set(series[sample.name])
        for name, value in labels.items():
            allowed = series[sample.name][name]
            assert value in allowed or allowed == AS_CONFIGURED, sample


def test_every_service_serves_its_metrics(told: Told):
    """In every service they are all declared, so nobody has to know which one counts what."""
    for service in ("unpacker", "policy", "spam", "archiver", "notifier"):
        names = {sample.name for sample in told.samples if sample.service == service}
        assert {"qscan_messages_in_flight", "qscan_message_seconds_count"} <= names


def test_messages_add_up(told: Told):
    """Every request is counted once, as a message or as refused, and none is in flight any more."""
    assert told.total("unpacker", "qscan_messages_total") == len(told.answers)
    assert told.total("unpacker", "qscan_message_seconds_count") == len(told.answers)
    for verdict in {answer["verdict"] for _, answer in told.answers}:
        counted = told.total("unpacker", "qscan_messages_total", verdict=verdict)
        assert counted == sum(answer["verdict"] == verdict for _, answer in told.answers)
    assert told.total("unpacker", "qscan_messages_refused_total", reason="413") == 1
    assert told.total("unpacker", "qscan_messages_refused_total", reason="401") == 1
    assert told.total("unpacker", "qscan_messages_refused_total", reason="400") == len(BAD_ENVELOPES) + 3
    assert told.total("unpacker", "qscan_messages_in_flight") == 0


def test_components_add_up(told: Told):
    """What is counted is what was answered."""
    answered = sum(len(answer["components"]) for _, answer in told.answers)
    assert told.total("unpacker", "qscan_components_total") == answered
    assert told.total("unpacker", "qscan_components_total", origin="raw") == len(told.answers)


def test_containers_add_up(told: Told):
    """Each is counted with its end, and each message that has some with one process, which has ended."""
    count = partial(told.total, "unpacker")
    assert count("qscan_containers_total", kind="zip", outcome="opened") == 2  # one in the other
    assert count("qscan_containers_total", kind="zip", outcome="stopped") == 1
    assert count("qscan_containers_total", outcome="not_unpackable") == 2
    assert count("qscan_sandbox_children_total", end="stopped") == 1
    assert count("qscan_sandbox_children_total") == count("qscan_opening_seconds_count") == 4
    assert count("qscan_sandbox_children_living") == 0
    assert count("qscan_sandbox_starts_total") == 1
    for reason in ("bomb", "not_unpackable"):
        reported = count("qscan_engine_reports_total", engine="unpacker", outcome="unscanned", reason=reason)
        findings = [finding["id"] for _, answer in told.answers for finding in answer["findings"]]
        assert reported == findings.count(f"unscanned.{reason}") > 0


def test_requests_add_up(told: Told):
    """What the unpacker had answered the workers have answered."""
    for role in ("policy", "spam"):
        asked = told.total("unpacker", "qscan_jobs_total", role=role, end="answered")
        assert asked == told.total(role, "qscan_jobs_handled_total", role=role, end="answered")
        of_messages = [span for span in told.spans if span["name"] == f"send scan.{role}" and span["parent"]]
        assert len(of_messages) == len(told.answers) <= asked  # readiness asks, too
        assert told.total(role, "qscan_jobs_in_flight", role=role) == 0
    assert told.total("unpacker", "qscan_jobs_total", role="av", end="engine_failed") > 0
    assert told.total("spam", "qscan_spam_scores_total") == len(told.answers)
    assert told.total("spam", "qscan_spam_scores_total", outcome="too_big") == 1  # the large one
    assert told.total("spam", "qscan_spam_scores_total", outcome="not_running") == len(told.answers) - 1


def test_events_add_up(told: Told):
    """Every message that was kept has one event for each who is to know, and both are done."""
    kept = sum(answer["disposition"] == "quarantine" for _, answer in told.answers[: len(MAILS)])
    assert kept > 0
    assert told.total("archiver", "qscan_events_total", kind="quarantine", end="done") == kept
    assert told.total("notifier", "qscan_events_total", kind="notice", end="done") == kept
    assert told.total("archiver", "qscan_events_total") == told.total("notifier", "qscan_events_total") == kept
