"""Writing qscan.toml out: the default file, what counts, the schema."""

import re
import tomllib

import jsonschema_rs
import pytest

from qscan_cli.configuration.reading import Configuration, read
from qscan_cli.configuration.showing import defaults, effective, schema
from qscan_cli.configuration.tables import ALL, SERVICE_CLASSES, SERVICES, TABLES, environment, plain
from qscan_cli.configuration.up_settings import UpSettings
from qscan_kit.settings import load


def test_the_default_file_is_right_and_changes_nothing(tmp_path):
    """As it is shipped, every setting is commented out."""
    file = tmp_path / "qscan.toml"
    file.write_text(defaults(), encoding="utf-8")
    assert all(not values for values in read(file).tables.values())


def test_the_default_file_with_all_settings_switched_on_is_right(tmp_path):
    """Every line that can be uncommented is a setting with its own default; the placeholders are none."""
    uncommented = re.sub(r"(?m)^#(\w+ = (?!…))", r"\1", defaults())
    file = tmp_path / "qscan.toml"
    # What is unset by default has a placeholder, which need not be a valid value.
    file.write_text(re.sub(r"(?m)^(# \(default: unset\)\n).*$", r"\1", uncommented), encoding="utf-8")
    configuration = read(file)
    assert set(configuration.tables) == set(TABLES)
    for table, values in configuration.tables.items():
        assert set(values) <= set(TABLES[table].model_fields)
    assert configuration.up == UpSettings()


def test_every_setting_is_explained():
    """A setting without a description would be shown without a meaning."""
    nameless = [
        f"[{table}] {key}"
        for table, settings in TABLES.items()
        for key, field in settings.model_fields.items()
        if not field.description
    ]
    assert nameless == []


def test_what_counts_is_shown_and_secrets_are_not(tmp_path):
    """Changed values are marked with their default; the text is TOML again."""
    file = tmp_path / "qscan.toml"
    file.write_text("[all]\ntrace_ratio = 0.25\n[policy]\nnats_password = 'hunter2'\n", encoding="utf-8")
    text = effective(read(file))
    assert "hunter2" not in text
    assert text.count("trace_ratio = 0.25  # default: 1.0") == len(SERVICES)
    shown = tomllib.loads(text)
    assert shown["spam"]["trace_ratio"] == 0.25
    assert shown["policy"]["nats_password"] == "********"
    assert ALL not in shown


def test_the_defaults_are_shown_without_a_file():
    """`config show` needs none."""
    assert 'log_level = "info"' in effective(Configuration())


@pytest.mark.parametrize(
    ("content", "is_right"),
    [
        ({}, True),
        ({"unpacker": {"max_depth": 3}, "up": {"http": "[::1]:0"}}, True),
        ({"unpacker": {"max_depth": "3"}}, False),
        ({"unpacker": {"max_detph": 3}}, False),
        ({"nowhere": {}}, False),
        ({"av-gateway": {"clamd_addresses": ["unix:/run/x"]}}, True),
    ],
)
def test_the_schema_accepts_what_is_right_and_nothing_else(content, is_right):
    """It is a JSON Schema that an editor can use."""
    assert jsonschema_rs.validator_for(schema()).is_valid(content) is is_right


@pytest.mark.parametrize("service", SERVICES)
def test_a_table_reaches_its_service_as_environment(service, monkeypatch):
    """What is written in TOML is what the service's own class reads, lists and booleans included."""
    settings_class = SERVICE_CLASSES[service]
    fields = settings_class.model_fields
    defaults_ = {
        key: field.get_default(call_default_factory=True) for key, field in fields.items() if not field.is_required()
    }
    table = {key: plain(fields[key], value) for key, value in defaults_.items() if value is not None}
    table |= {key: "/somewhere" for key, field in fields.items() if field.is_required()}
    for name, value in environment(service, table).items():
        monkeypatch.setenv(name, value)
    settings = load(settings_class)
    assert {key: getattr(settings, key) for key in defaults_} == defaults_
