"""Which tables `qscan.toml` has, and the settings class behind each."""

import json
from collections.abc import Mapping
from importlib import import_module
from typing import Annotated, Any

from pydantic import BaseModel, SecretStr, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_settings import NoDecode

from qscan_cli.configuration.up_settings import UpSettings
from qscan_kit.settings import ServiceSettings, as_environment, prefix

SERVICES = ("unpacker", "policy", "av-gateway", "spam", "archiver", "notifier", "ingress")
UP = "up"
ALL = "all"

_PACKAGES = {service: f"qscan_{service.replace('-', '_')}" for service in SERVICES}
_SUPPLIED_BY_UP = frozenset({"nats_urls", "nats_password", "http_host", "http_port"})


def _settings_class(service: str) -> type[ServiceSettings]:
    """The class whose environment variables have the service's prefix."""
    module = import_module(f"{_PACKAGES[service]}.settings")
    for candidate in vars(module).values():
        if (
            isinstance(candidate, type)
            and issubclass(candidate, ServiceSettings)
            and candidate.model_config.get("env_prefix") == prefix(service)
        ):
            return candidate
    message = f"{module.__name__} has no settings class with the prefix {prefix(service)}"
    raise TypeError(message)


SERVICE_CLASSES: dict[str, type[ServiceSettings]] = {service: _settings_class(service) for service in SERVICES}

TABLES: dict[str, type[BaseModel]] = {ALL: ServiceSettings, UP: UpSettings, **SERVICE_CLASSES}
"""In the order in which they are shown."""

TITLES = {
    ALL: "For every service; a service's own table wins.",
    UP: "`qscan up`: the whole system on one machine.",
    "unpacker": "Intake, dissection, fan-out, decision.",
    "policy": "The site's rules.",
    "av-gateway": "The anti-virus engines.",
    "spam": "The spam filters.",
    "archiver": "Quarantine, archive and logs.",
    "notifier": "Notices to people.",
    "ingress": "Beside the MTA: qscan-ingressd.",
}


def package(service: str) -> str:
    """The Python package of a service; `python -m` runs it."""
    return _PACKAGES[service]


def supplied_by_up(table: str, key: str) -> bool:
    """Whether only `qscan up` can know this setting of a table, so that setting it there contradicts it."""
    return table != UP and key in _SUPPLIED_BY_UP


def adapter(field: FieldInfo) -> TypeAdapter[Any]:
    """What checks one value of a field by itself."""
    annotation: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    return TypeAdapter(annotation)


def is_secret(field: FieldInfo) -> bool:
    """Whether its value is shown to nobody."""
    return field.annotation is SecretStr


def plain(field: FieldInfo, value: object) -> object:
    """A value as TOML and JSON know it."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return adapter(field).dump_python(value, mode="json")


def environment(service: str, table: Mapping[str, object]) -> dict[str, str]:
    """The environment variables that hand `table` to a service; values as TOML gives them."""
    fields = SERVICE_CLASSES[service].model_fields
    return as_environment(service, {key: _encoded(fields[key], value) for key, value in table.items()})


def _encoded(field: FieldInfo, value: object) -> object:
    """pydantic-settings reads lists as JSON, unless the field says that it splits its text itself."""
    if isinstance(value, list | tuple | dict) and not splits_itself(field):
        return json.dumps(value)
    return value


def splits_itself(field: FieldInfo) -> bool:
    """Whether a list of this field may be one text with commas (`CommaList` of the kit)."""
    return any(item is NoDecode or isinstance(item, NoDecode) for item in field.metadata)
