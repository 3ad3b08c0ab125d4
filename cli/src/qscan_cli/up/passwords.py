"""The secrets of a data directory: made once, readable for their owner only, kept between runs."""

import os
from pathlib import Path

from qscan_cli.errors import CommandError
from qscan_contracts.subjects import Service
from qscan_kit.errors import SettingsError
from qscan_kit.nats_config import new_password
from qscan_kit.settings import read_secret


def nats_passwords(folder: Path) -> dict[Service, str]:
    """The password of each service's NATS user. Raises CommandError when one cannot be read or made."""
    return {service: kept_secret(folder / f"nats-{service}") for service in Service}


def kept_secret(path: Path) -> str:
    """The secret in `path`, which is made if it is not there.

    Raises:
        CommandError: it cannot be read or made, or others may read it.
    """
    try:
        if not path.exists():
            _write(path, new_password())
        return read_secret(path)
    except (OSError, SettingsError) as error:
        raise CommandError(str(error), os.EX_NOPERM) from error


def _write(path: Path, secret: str) -> None:
    """Complete or not at all: a crash in between must not leave an empty secret behind."""
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secret + "\n")
        file.flush()
        os.fsync(descriptor)
    unfinished.rename(path)
