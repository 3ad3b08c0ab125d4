"""Settings of the service, read from ``QSCAN_AV_GATEWAY_*`` in `bootstrap` only."""

from typing import Self

from pydantic import Field, field_validator, model_validator

from qscan_av_gateway.adapters.clamd_address import parse_address
from qscan_kit.settings import CommaList, ServiceSettings, environment

SERVICE = "av-gateway"


class AvGatewaySettings(ServiceSettings):
    """Addresses and limits of the gateway. The limits fit the clamd.conf that `clamd_config` renders."""

    model_config = environment(SERVICE)

    clamd_addresses: CommaList = Field(
        ("unix:/run/clamav/clamd.ctl",),
        description="Every clamd, with failover: unix:/path, tcp:host:port or tcp:[IPv6 address]:port.",
    )
    max_scan_bytes: int = Field(
        96 * 1024 * 1024,
        gt=0,
        description="Larger content is not given to clamd; below StreamMaxLength and MaxFileSize in clamd.conf.",
    )
    attempt_timeout_s: float = Field(100, gt=0, description="One attempt at a scan; above MaxScanTime in clamd.conf.")
    connect_timeout_s: float = Field(2, gt=0, description="Until clamd takes a connection.")
    send_timeout_s: float = Field(30, gt=0, description="Without progress while content is sent to clamd.")
    control_timeout_s: float = Field(3, gt=0, description="For each step of PING, VERSION and RELOAD.")
    proof_timeout_s: float = Field(
        30, gt=0, description="For each question of the proof that clamd works as it should."
    )
    max_connections: int = Field(
        8,
        gt=0,
        description="Scans at a time by each clamd; below MaxThreads in clamd.conf, so that a proof gets through.",
    )
    max_jobs_in_flight: int = Field(64, gt=0, description="Requests at a time; above it the gateway answers busy.")
    poll_every_s: float = Field(5, gt=0, description="Between two questions for clamd's version.")
    prove_every_s: float = Field(300, gt=0, description="Between two proofs of a clamd that shows no sign of a change.")
    reload_settle_s: float = Field(60, gt=0, description="After this time a reload that was ordered counts as done.")
    doubt_wait_s: float = Field(
        3, ge=0, description="How long a scan waits while the only clamd is being proved after a failure."
    )

    @field_validator("clamd_addresses")
    @classmethod
    def _are_addresses(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        if not addresses:
            message = "name at least one clamd, such as unix:/run/clamav/clamd.ctl"
            raise ValueError(message)
        canonical = [str(parse_address(address)) for address in addresses]
        if len(set(canonical)) != len(canonical):
            message = "names a clamd twice; each one once"
            raise ValueError(message)
        return tuple(canonical)

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.connect_timeout_s > self.attempt_timeout_s or self.send_timeout_s > self.attempt_timeout_s:
            message = "connect_timeout_s and send_timeout_s are parts of attempt_timeout_s, so make that the longest"
            raise ValueError(message)
        return self
