"""Settings of archiver (`QSCAN_ARCHIVER_*`)."""

from typing import ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from qscan_kit.settings import AbsolutePath, ServiceSettings, environment


class ArchiverSettings(ServiceSettings):
    """What archiver is told."""

    model_config: ClassVar[SettingsConfigDict] = environment("archiver")

    quarantine_dir: AbsolutePath = Field(
        description="Folder of the quarantine: the maildirs viruses, policy and spam are made in it."
    )
    min_free_bytes: int = Field(
        50_000_000, ge=0, description="What stays free on that disk; below it, messages wait in NATS."
    )
    sweep_every_s: float = Field(600.0, gt=0, description="How often leftovers of crashes are looked for.")
    leftover_after_s: float = Field(
        3600.0,
        ge=600,
        description="Age at which a stored message without an event is a leftover; no hand-off takes that long.",
    )
    stale_after_s: float = Field(
        3600.0, ge=60, description="Age at which an unfinished file in a maildir's tmp is one."
    )
