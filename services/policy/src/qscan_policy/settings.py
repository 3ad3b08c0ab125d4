"""Settings of policy (`QSCAN_POLICY_*`)."""

from typing import ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from qscan_kit.settings import AbsolutePath, ServiceSettings, environment


class PolicySettings(ServiceSettings):
    """What policy is told."""

    model_config: ClassVar[SettingsConfigDict] = environment("policy")

    rules_file: AbsolutePath | None = Field(None, description="The site's rule file; unset: the shipped default rules.")
    max_in_flight: int = Field(64, ge=1, description="Requests worked on at a time; more are answered «busy».")
    max_structure_bytes: int = Field(
        32 * 1024 * 1024, ge=1024, description="Largest description of a message that is looked at; above it: deferred."
    )
    max_findings: int = Field(1000, ge=1, description="Findings in one answer; above it one per rule is told.")
