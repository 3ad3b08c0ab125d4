"""Those files of the deployment that follow from the code; `make generate` writes them.

The configuration of clamd and nats-server comes from the functions that `qscan up` uses too; `.env.example` and the
settings in the chart's schema from the settings classes. tests/contract fails when a committed file is not the one that
would be written.
"""

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined

from qscan_av_gateway import clamd_config
from qscan_cli.configuration.tables import SERVICE_CLASSES
from qscan_contracts.subjects import Service
from qscan_kit import nats_config
from qscan_kit.settings import ServiceSettings, prefix

ROOT = Path(__file__).resolve().parent.parent
CHART = Path("deploy/helm/qscan")
SCHEMA = CHART / "values.schema.json"

CLAMD_PORT = 3310
NATS_PORT = 4222
NATS_MONITORING_PORT = 8222

WIRED: dict[Service, frozenset[str]] = {
    Service.UNPACKER: frozenset({"http_host", "http_port", "token_file", "spool_dir", "health_host", "health_port"}),
    Service.AV_GATEWAY: frozenset({"clamd_addresses", "health_host", "health_port"}),
    Service.POLICY: frozenset({"rules_file", "health_host", "health_port"}),
    Service.SPAM: frozenset({"address", "health_host", "health_port"}),
    Service.ARCHIVER: frozenset({"quarantine_dir", "health_host", "health_port"}),
    Service.NOTIFIER: frozenset({"health_host", "health_port"}),
}
"""What compose and the chart set themselves, or what has no use in a container; the rest is the site's to set."""
WIRED_EVERYWHERE = frozenset({"nats_urls", "nats_password", "trace_endpoint", "trace_file", "trace_file_max_bytes"})


def files() -> dict[Path, str]:
    """Every derived file, by its path from the root of the repository."""
    clamd, nats = clamd_conf(), nats_server_conf()
    return {
        Path("deploy/clamd/clamd.conf"): clamd,
        Path("deploy/nats/nats-server.conf"): nats,
        # A chart can only read what is inside it.
        CHART / "files/clamd.conf": clamd,
        CHART / "files/nats-server.conf": nats,
        SCHEMA: values_schema((ROOT / SCHEMA).read_text("utf-8")),
        Path(".env.example"): env_example(),
    }


def clamd_conf() -> str:
    """clamd in a container of its own, reachable for the gateway only."""
    return clamd_config.render(
        database_directory=Path("/var/lib/clamav"),
        tcp_address=("0.0.0.0", CLAMD_PORT),  # noqa: S104  # the address of the container
        temporary_directory=Path("/tmp"),  # noqa: S108  # of the container, of which clamd is the only program
    )


def nats_server_conf() -> str:
    """One nats-server, which takes the passwords from its environment."""
    return nats_config.render(
        {service: nats_config.FromEnvironment(password_variable(service)) for service in Service},
        store_dir=Path("/data"),
        host="0.0.0.0",  # noqa: S104  # the address of the container
        port=NATS_PORT,
        http_port=NATS_MONITORING_PORT,
    )


def password_variable(service: Service) -> str:
    """The variable in nats-server's environment that holds the password of a service."""
    return f"NATS_PASSWORD_{service.upper().replace('-', '_')}"


def offered(service: Service) -> Iterator[str]:
    """The settings of a service that a site may change in compose and in the chart."""
    wired = WIRED[service] | WIRED_EVERYWHERE
    yield from (name for name in SERVICE_CLASSES[service].model_fields if name not in wired)


# ----------------------------------------------------------------------------------------------- .env.example

_ENV_HEAD = """\
# What a site may set for compose.yaml: copy it to .env, and take the # away from the lines that you change.
# Written by `make generate` from the settings classes; the values are the defaults.
# Addresses, paths and passwords are not here: compose.yaml and deploy/compose-secrets.sh know them.

# The tag that images are built and looked for with.
#QSCAN_VERSION=0.1.0
# Where the intake API listens on this machine. Whoever may use it may have mail scanned: keep it on loopback, or
# on an address that only the MTAs reach.
#QSCAN_INTAKE=127.0.0.1:8080
"""


def env_example() -> str:
    """Every setting of every service that runs in a container, commented out."""
    lines = [_ENV_HEAD]
    for service in Service:
        lines.append(f"# {'-' * (110 - len(service))} {service}")
        lines += [line for name in offered(service) for line in _env_lines(service, name)]
        lines.append("")
    return "\n".join(lines)


def _env_lines(service: Service, name: str) -> list[str]:
    field = SERVICE_CLASSES[service].model_fields[name]
    default = field.get_default(call_default_factory=True)
    value = "" if default is None or default is PydanticUndefined else _env_value(service, name, default)
    comment = textwrap.wrap(field.description or "", 116, break_on_hyphens=False)
    return [*(f"# {line}" for line in comment), f"#{prefix(service)}{name.upper()}={value}"]


def _env_value(service: Service, name: str, default: object) -> str:
    if isinstance(default, tuple):
        schema = SERVICE_CLASSES[service].model_json_schema()["properties"][name]
        # Only lists of plain text are written with commas; the others are JSON to pydantic-settings.
        plain = schema.get("items") == {"type": "string"}
        return ",".join(default) if plain else json.dumps(default)
    return json.dumps(default) if isinstance(default, bool) else str(default)


# ------------------------------------------------------------------------------------------ values.schema.json


def values_schema(current: str) -> str:
    """The chart's schema with the settings of each service as they are now; the rest of it is written by hand."""
    schema: dict[str, Any] = json.loads(current)
    for service in Service:
        schema["definitions"][f"{service}-settings"] = _settings_schema(service)
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _settings_schema(service: Service) -> dict[str, Any]:
    settings_class: type[ServiceSettings] = SERVICE_CLASSES[service]
    properties = settings_class.model_json_schema()["properties"]
    return {
        "type": "object",
        "additionalProperties": False,
        "description": f"Settings of {service} as in its table of qscan.toml; lists are text as in the environment.",
        "properties": {name: _scalar(properties[name]) for name in offered(service)},
    }


def _scalar(schema: dict[str, Any]) -> dict[str, Any]:
    """One setting as JSON schema: what is neither number nor boolean is text, and the class itself checks it."""
    kept = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "pattern")
    kind = schema.get("type")
    return {
        "type": kind if kind in {"integer", "number", "boolean"} else "string",
        **{key: schema[key] for key in kept if key in schema},
        "description": schema.get("description", ""),
    }
