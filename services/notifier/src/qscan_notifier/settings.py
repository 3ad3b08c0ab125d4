"""Settings of notifier (`QSCAN_NOTIFIER_*`)."""

import re
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field
from pydantic_settings import SettingsConfigDict

from qscan_kit.settings import AbsolutePath, ServiceSettings, environment

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}")


def _address(text: str) -> str:
    if text and not _ADDRESS.fullmatch(text):
        message = "must be an address such as postmaster@example.org, or empty"
        raise ValueError(message)
    return text


def _printable(text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        message = "must be printable ASCII"
        raise ValueError(message)
    return text


class NotifierSettings(ServiceSettings):
    """What notifier is told."""

    model_config: ClassVar[SettingsConfigDict] = environment("notifier")

    admin_address: Annotated[str, AfterValidator(_address)] = Field(
        "", description="The administrator who gets the notices, in whose name they are; empty: no notices."
    )
    admin_description: Annotated[str, AfterValidator(_printable)] = Field(
        "System Anti-Virus Administrator", min_length=1, max_length=200, description="The name beside that address."
    )
    qmail_queue: AbsolutePath = Field(
        Path("/var/qmail/bin/qmail-queue"), description="The program that takes the notices; it must not scan."
    )
    state_dir: AbsolutePath | None = Field(
        None, description="Folder that remembers which notices were sent; needed where admin_address is set."
    )
    max_notices_per_hour: int = Field(60, ge=1, description="More are not sent; the next one says how many.")
    injection_timeout_s: float = Field(60.0, gt=0, le=3600, description="What qmail-queue may take for one notice.")
    give_up_after_s: float = Field(86_400.0, gt=0, description="A notice about something older is not sent any more.")
    remember_s: float = Field(86_400.0, ge=3600, description="How long it is remembered that a notice was sent.")
