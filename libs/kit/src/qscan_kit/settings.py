"""Settings: one frozen class per service, filled from ``QSCAN_<SERVICE>_*`` and read only in `bootstrap`.

`qscan.toml` has a table per service with the same names; `qscan up`, compose and Helm hand them over as environment.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableSettingError

from qscan_kit.errors import SettingsError

_SECRET_FILE_MODE_MASK = 0o077


def _split(value: object) -> object:
    """Lists are written with commas in the environment, or as JSON like other settings there."""
    if not isinstance(value, str):
        return value
    try:
        parsed = json.loads(value)
    except ValueError:
        parsed = None
    if isinstance(parsed, list):
        return tuple(parsed)
    return tuple(item.strip() for item in value.split(",") if item.strip())


ItemT = TypeVar("ItemT")
CommaSeparated = Annotated[tuple[ItemT, ...], NoDecode, BeforeValidator(_split)]
"""Several values: a TOML array, or one environment variable with commas."""

CommaList = CommaSeparated[str]


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        message = "must be an absolute path"
        raise ValueError(message)
    return path


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]


class ServiceSettings(BaseSettings):
    """What every service is told. Subclasses set ``model_config`` to `environment(...)`."""

    nats_urls: CommaList = Field(("nats://127.0.0.1:4222",), description="Servers of the bus, with failover.")
    nats_password: SecretStr = Field(SecretStr(""), description="Password of the service's own NATS user.")
    health_host: str = Field("127.0.0.1", description="Address of /healthz, /readyz and /metrics.")
    health_port: int = Field(0, ge=0, le=65535, description="Port of /healthz, /readyz and /metrics; 0: any free one.")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="debug, info, warning or error.")
    trace_ratio: float = Field(
        1.0, ge=0, le=1, description="Share of messages that are traced; 0 switches tracing off."
    )
    trace_endpoint: str = Field("", description="OTLP/HTTP endpoint for spans; empty: none.")
    trace_file: Path | None = Field(None, description="File that spans are appended to as JSON lines; unset: none.")
    trace_file_max_bytes: int = Field(20_000_000, gt=0, description="The trace file is rotated once at this size.")


def environment(service: str) -> SettingsConfigDict:
    """The ``model_config`` of a service's settings: frozen, strict, and silent about the values it was given."""
    return SettingsConfigDict(
        env_prefix=prefix(service), frozen=True, extra="forbid", hide_input_in_errors=True, env_ignore_empty=False
    )


def prefix(service: str) -> str:
    """The prefix of a service's environment variables: ``av-gateway`` → ``QSCAN_AV_GATEWAY_``."""
    return f"QSCAN_{service.upper().replace('-', '_')}_"


SettingsT = TypeVar("SettingsT", bound=BaseSettings)


def load(settings_class: type[SettingsT], environ: Mapping[str, str] = os.environ) -> SettingsT:
    """Read the settings of a service from the environment.

    `environ` is where unknown variables are looked for; pydantic-settings takes the values from `os.environ` itself.

    Raises:
        SettingsError: a value is missing or wrong, or a variable with the service's prefix is unknown. (A misspelt
            variable is ignored by pydantic-settings, so that is checked here.)
    """
    own_prefix = settings_class.model_config.get("env_prefix", "")
    known = {f"{own_prefix}{name}".upper() for name in settings_class.model_fields}
    unknown = sorted(name for name in environ if name.upper().startswith(own_prefix) and name.upper() not in known)
    if unknown:
        message = f"unknown setting {', '.join(unknown)}: remove or correct it (known: {', '.join(sorted(known))})"
        raise SettingsError(message)
    try:
        return settings_class()
    except ValidationError as error:
        raise SettingsError(describe(error, own_prefix)) from None
    except UnreadableSettingError as error:
        raise SettingsError(f"{error} ({own_prefix}*): it must be JSON, such as [1, 2]") from None


def describe(error: ValidationError, own_prefix: str) -> str:
    """One line per wrong setting, with the variable's name and without the value."""
    lines = (
        f"{own_prefix}{'_'.join(str(part) for part in problem['loc'][:1]).upper()}: {problem['msg']}"
        for problem in error.errors(include_input=False, include_url=False)
    )
    return "; ".join(lines)


def read_secret(path: Path) -> str:
    """The secret in a file that only its owner may read.

    Raises:
        SettingsError: the file is missing, readable for others, or empty.
    """
    try:
        mode = path.stat().st_mode
        secret = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        message = f"cannot read the secret in {path}: {error}"
        raise SettingsError(message) from error
    if mode & _SECRET_FILE_MODE_MASK:
        message = f"{path} can be read by others than its owner; run: chmod 600 {path}"
        raise SettingsError(message)
    if not secret:
        message = f"{path} is empty; delete it and start again, or write a secret into it"
        raise SettingsError(message)
    return secret


def as_environment(service: str, table: Mapping[str, Any]) -> dict[str, str]:
    """A table of `qscan.toml` as the environment of its service."""
    return {f"{prefix(service)}{key.upper()}": _as_text(value) for key, value in table.items()}


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        items = [str(item) for item in value]
        return json.dumps(items) if any("," in item for item in items) else ",".join(items)
    return str(value)
