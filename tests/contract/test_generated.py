"""Committed files that are generated are what the code would generate now."""

import pytest

from tools.generated import EXAMPLES, METRICS, ROOT, SCHEMAS, generated

_FILES = {path: text for path, text in generated() if path != METRICS}  # that one is told about in tests/telemetry


@pytest.mark.parametrize("path", _FILES, ids=str)
def test_committed_is_generated(path):
    """A schema, the document of the intake API, the list of examples: a change must be seen in a diff."""
    assert (ROOT / path).read_text("utf-8") == _FILES[path], f"{path}: run `make generate` and look at the difference"


def test_nothing_else_is_committed_there():
    """A schema whose type is gone would look like a promise that still holds."""
    committed = {file.relative_to(ROOT) for file in (ROOT / SCHEMAS).iterdir()}
    assert committed == {path for path in _FILES if path.parent == SCHEMAS}
    assert {file.suffix for file in (ROOT / EXAMPLES).iterdir()} == {".json", ""}
