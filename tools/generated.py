"""Writes the committed files that are generated from code: `make generate`.

They are committed so that a change of what others rely on is seen in a diff: JSON schemas of the wire types, the
document of the intake API, the default qscan.toml, the table of metrics, configuration for containers (`deploy_files`).
tests/contract and tests/telemetry compare them with the code.

The examples of wire types are written by hand. What is generated is the list of their digests, to which lines are
only added: an example that was published is never edited.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import msgspec

from qscan_cli.configuration.showing import defaults
from qscan_contracts import components, events, intake, scanning
from qscan_kit import metrics, telemetry
from qscan_unpacker.entrypoints.http import Intake, build
from tools import deploy_files

ROOT = Path(__file__).resolve().parent.parent
SCHEMAS = Path("tests/contract/schemas")
EXAMPLES = Path("tests/contract/examples/v1")
DIGESTS = EXAMPLES / "SHA256SUMS"
OPENAPI = Path("docs/openapi.json")
METRICS = Path("docs/metrics.md")
SETTINGS = Path("deploy/qscan.toml")

WIRE_TYPES: Mapping[str, Any] = {
    "av-request": scanning.AvRequest,
    "policy-request": scanning.PolicyRequest,
    "message-structure": scanning.MessageStructure,
    "spam-request": scanning.SpamRequest,
    "reply": scanning.Reply,
    "chunk-request": components.ChunkRequest,
    "chunk": components.Chunk,
    "quarantine-event": events.QuarantineEvent,
    "notice-event": events.NoticeEvent,
    "stored-message": events.StoredMessage,
    "framed-envelope": intake.FramedEnvelope,
    "scan-answer": intake.ScanAnswer,
    "decision": intake.Decision,
    "problem": intake.Problem,
}
"""What goes over the bus, into the store and over HTTP, by the name of its schema and of its examples."""

_TRACES_HEAD = """\

# Traces

One trace follows a message from the ingress over the unpacker and the bus to the engines, and on to archiver and
notifier. Every span is in the file `trace_file` of its service, as a JSON line, or goes to `trace_endpoint`. A span
that failed has the type of the error and not its text, which may quote a mail. The attributes:

| attribute | what |
|---|---|
"""
_METRICS_HEAD = """\
# Metrics

Every service serves them at `/metrics`. Written by `make generate` from `qscan_kit.metrics` and `qscan_kit.telemetry`.

A label's value is always one of those named here, or comes from the site's settings («as configured»); no address of a
mail, subject or file name is ever among them.

| metric | type | what | labels |
|---|---|---|---|
"""


def _without_words(schema: object, *, names: bool = False) -> object:
    """A schema without its descriptions: another wording is no other wire type. `names`: keys are names of fields."""
    match schema:
        case dict():
            return {
                key: _without_words(value, names=key in {"properties", "$defs"} and not names)
                for key, value in schema.items()
                if names or key != "description"
            }
        case list():
            return [_without_words(item) for item in schema]
        case _:
            return schema


def _as_json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def _openapi() -> str:
    # The document says nothing of what is behind the API, so nothing has to be there.
    return _as_json(build(cast("Intake", None), {}).openapi())


def _metrics_row(metric: metrics.Declared) -> str:
    # Prometheus clients add it to the name of a counter.
    suffix = "_total" if metric.kind == "counter" else ""
    labels = "; ".join(f"{name}: {_values(values)}" for name, values in metric.labels.items())
    return f"| `{metric.name}{suffix}` | {metric.kind} | {metric.text} | {labels} |\n"


def _values(values: frozenset[str]) -> str:
    if values == metrics.AS_CONFIGURED:
        return "as configured"
    return ", ".join(f"`{value}`" if value else "none" for value in sorted(values))


def digests() -> str:
    """The list of digests with those of new examples, in the format of `sha256sum`."""
    lines = (ROOT / DIGESTS).read_text("utf-8").splitlines() if (ROOT / DIGESTS).exists() else []
    listed = {line.partition("  ")[2] for line in lines}
    for file in sorted((ROOT / EXAMPLES).glob("*.json")):
        if file.name not in listed:
            lines.append(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}")
    return "".join(f"{line}\n" for line in sorted(lines, key=lambda line: line.partition("  ")[2]))


def generated() -> Iterator[tuple[Path, str]]:
    """Every generated file, relative to the root, and its text."""
    for name, wire_type in WIRE_TYPES.items():
        yield SCHEMAS / f"{name}.json", _as_json(_without_words(msgspec.json.schema(wire_type)))
    yield DIGESTS, digests()
    yield OPENAPI, _openapi()
    yield SETTINGS, defaults()
    yield (
        METRICS,
        "".join(
            [
                _METRICS_HEAD,
                *(_metrics_row(metric) for metric in metrics.DECLARED.values()),
                _TRACES_HEAD,
                *(f"| `{name}` | {text} |\n" for name, text in telemetry.ATTRIBUTES.items()),
            ]
        ),
    )
    yield from deploy_files.files().items()


def main() -> None:
    """Write them, and say which changed."""
    for path, text in generated():
        file = ROOT / path
        if not file.exists() or file.read_text("utf-8") != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
            print(f"written: {path}")


if __name__ == "__main__":
    main()
