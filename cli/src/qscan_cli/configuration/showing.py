"""`qscan.toml` written out: every setting with its meaning, its default and its value."""

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from qscan_cli.configuration.reading import Configuration
from qscan_cli.configuration.tables import ALL, SERVICES, TABLES, TITLES, adapter, is_secret, plain, supplied_by_up
from qscan_kit.settings import ServiceSettings

_COMMENT_WIDTH = 110
_MASK = "********"

_HEADER = """\
# qscan.toml: the settings of qscan, a table per service.
#
# Every setting is here with its default. To change one, remove the `#` before its name; all others keep following
# the defaults of the installed version. `qscan config check` checks this file, `qscan config show` says what counts.
# Written by `qscan config show --defaults`.
"""


def defaults() -> str:
    """The default configuration file: every setting, commented out."""
    return _HEADER + "".join(f"\n{part}\n" for part in (_table(name, None) for name in TABLES))


def effective(configuration: Configuration) -> str:
    """What counts: every setting with its value; secrets are masked."""
    source = configuration.file or "nothing but the defaults: there is no qscan.toml"
    return f"# In effect, from {source}\n" + "".join(
        f"\n{part}\n" for part in (_table(name, configuration) for name in TABLES if name != ALL)
    )


def schema() -> dict[str, Any]:
    """The JSON Schema of the file, from the settings classes."""
    definitions: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    for name, settings_class in TABLES.items():
        table = settings_class.model_json_schema()
        definitions |= table.pop("$defs", {})
        # Which settings a service cannot do without is its own business: `qscan up` supplies most of them.
        table.pop("required", None)
        properties[name] = table | {"title": name, "description": TITLES[name], "additionalProperties": False}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "qscan.toml",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "$defs": definitions,
    }


def _table(name: str, configuration: Configuration | None) -> str:
    fields = _fields(name, TABLES[name], with_common=configuration is not None)
    lines = [f"# {TITLES[name]}", f"[{name}]"]
    if name in SERVICES and configuration is None:
        lines.append("# (and the settings of [all])")
    given = {} if configuration is None else _given(name, configuration)
    for key, field in fields.items():
        lines += ["", *_comment(field.description or "")]
        lines += _shipped(name, key, field) if configuration is None else _in_effect(key, field, given)
    return "\n".join(lines)


def _fields(name: str, settings_class: type[BaseModel], *, with_common: bool) -> Mapping[str, FieldInfo]:
    fields = settings_class.model_fields
    if name not in SERVICES or with_common:
        return fields
    common = ServiceSettings.model_fields
    return {
        key: field for key, field in fields.items() if key not in common or _default(field) != _default(common[key])
    }


def _given(name: str, configuration: Configuration) -> Mapping[str, object]:
    return configuration.of_service(name) if name in SERVICES else configuration.tables.get(name, {})


def _shipped(table: str, key: str, field: FieldInfo) -> Iterator[str]:
    default = _default(field)
    if supplied_by_up(table, key):
        yield f"# (`qscan up` makes this one itself)\n#{key} = {_toml(default)}"
    elif default is PydanticUndefined:
        yield f"# (no default; `qscan up` sets it)\n#{key} = …"
    elif default is None:
        yield f"# (default: unset)\n#{key} = {_example(field)}"
    else:
        yield f"#{key} = {_toml(default)}"


def _in_effect(key: str, field: FieldInfo, given: Mapping[str, object]) -> Iterator[str]:
    default = _default(field)
    if key in given:
        is_changed = default is PydanticUndefined or given[key] != default
        note = "" if not is_changed else f"  # default: {_described(default)}"
        yield f"{key} = {_toml(_MASK if is_secret(field) else given[key])}{note}"
    elif default is PydanticUndefined:
        yield f"# {key}: `qscan up` sets it"
    elif default is None or is_secret(field):
        yield f"# {key} is {_described(default)}"
    else:
        yield f"{key} = {_toml(default)}"


def _default(field: FieldInfo) -> object:
    """The default as TOML would give it; `PydanticUndefined` where there is none."""
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined or value is None or isinstance(value, SecretStr):
        return "" if isinstance(value, SecretStr) else value
    return plain(field, value)


def _described(default: object) -> str:
    if default is None or default == "":
        return "unset"
    return "none" if default is PydanticUndefined else _toml(default)


def _example(field: FieldInfo) -> str:
    """A placeholder of the right type for a setting that is unset by default."""
    wanted = json.dumps(adapter(field).json_schema())
    return "0" if '"integer"' in wanted or '"number"' in wanted else '""'


def _toml(value: object) -> str:
    """A scalar or list; their JSON is valid TOML (floats included: all of ours are finite)."""
    return json.dumps(value, ensure_ascii=False)


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, _COMMENT_WIDTH)]
