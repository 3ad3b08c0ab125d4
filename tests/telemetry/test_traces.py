"""Traces: the data flow of the design as edges from parent to child, and attributes that are declared."""

import ast
from typing import Any

import pytest

from qscan_kit.telemetry import ATTRIBUTES
from tests.telemetry.conftest import Told
from tests.telemetry.test_metrics import nodes

SETTERS = {"set_attribute", "set_attributes", "start_as_current_span"}
EDGES = [
    (("qscan-unpacker", "scan"), ("qscan-unpacker", "unpack")),
    (("qscan-unpacker", "scan"), ("qscan-unpacker", "send scan.av")),
    (("qscan-unpacker", "scan"), ("qscan-unpacker", "send scan.policy")),
    (("qscan-unpacker", "scan"), ("qscan-unpacker", "send scan.spam")),
    (("qscan-unpacker", "scan"), ("qscan-unpacker", "hand off")),
    (("qscan-unpacker", "send scan.policy"), ("qscan-policy", "process scan.policy")),
    (("qscan-unpacker", "unpack"), ("qscan-unpacker", "open containers")),
    (("qscan-unpacker", "send scan.spam"), ("qscan-spam", "process scan.spam")),
    (("qscan-unpacker", "hand off"), ("qscan-archiver", "process event.quarantine")),
    (("qscan-unpacker", "hand off"), ("qscan-notifier", "process event.notice")),
]


def name(span: dict[str, Any]) -> tuple[str, str]:
    """Service and name of a span."""
    return span["service"], span["name"]


def is_probe(span: dict[str, Any]) -> bool:
    """Whether it asks a worker on behalf of /readyz, and not for a message."""
    return span["parent"] is None and span["name"].startswith("send scan.")


@pytest.mark.parametrize(("parent", "child"), EDGES, ids=" ".join)
def test_the_trace_goes_on(told: Told, parent: tuple[str, str], child: tuple[str, str]):
    """Inside the unpacker, over the bus to the workers, and through the stream to those downstream."""
    spans = {span["span"]: span for span in told.spans}
    children = [span for span in told.spans if name(span) == child and not is_probe(span)]
    assert children
    for span in children:
        assert name(spans[span["parent"]]) == parent
        assert spans[span["parent"]]["trace"] == span["trace"]


def test_there_are_no_other_edges(told: Told):
    """What is new is written down above; and nobody else's library makes spans of its own."""
    spans = {span["span"]: span for span in told.spans}
    found = {(name(spans[span["parent"]]), name(span)) for span in told.spans if span["parent"] is not None}
    assert found == set(EDGES)
    roots = {name(span) for span in told.spans if span["parent"] is None and not is_probe(span)}
    assert roots == {("qscan-unpacker", "scan")}


def test_each_message_is_one_trace(told: Told):
    """Which is found by its scan id."""
    scans = [span for span in told.spans if span["attributes"].get("qscan.verdict")]
    assert sorted(span["attributes"]["qscan.scan_id"] for span in scans) == sorted(
        answer["scan_id"] for _, answer in told.answers
    )
    assert len({span["trace"] for span in scans}) == len(told.answers)


def test_attributes_are_declared(told: Told):
    """Every one of every span."""
    assert {key for span in told.spans for key in span["attributes"]} <= set(ATTRIBUTES)


def test_attributes_in_the_sources_are_the_declared_ones():
    """Of services that do not take part here, too; and none is declared that nobody sets."""
    written: set[str] = set()
    for _, call in nodes():
        if not isinstance(call, ast.Call) or getattr(call.func, "attr", "") not in SETTERS:
            continue
        keys = [key for node in ast.walk(call) if isinstance(node, ast.Dict) for key in node.keys]
        keys += call.args[:1] if getattr(call.func, "attr", "") == "set_attribute" else []
        written |= {key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}
    assert written == set(ATTRIBUTES)
