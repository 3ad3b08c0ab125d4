"""Settings of the unpacker."""

from pathlib import Path

from pydantic import Field

from qscan_contracts.vocabulary import EngineRole
from qscan_kit.settings import AbsolutePath, CommaSeparated, ServiceSettings, environment

MEMORY_WITHOUT_SANDBOX_BYTES = 1024**3
"""The service and the forkserver (120 MB), a dozen MB for each message in hand, and a copy of each large text that is
being searched."""


class Settings(ServiceSettings):
    """Intake, dissection, fan-out and hand-off."""

    model_config = environment("unpacker")

    http_host: str = Field("127.0.0.1", description="Address of the intake API.")
    http_port: int = Field(8080, ge=0, le=65535, description="Port of the intake API; 0: any free one.")
    token_file: AbsolutePath | None = Field(
        None, description="File (mode 0600) with the bearer token for effects=full; unset: effects are refused."
    )
    spool_dir: AbsolutePath = Field(Path("/var/spool/qscan"), description="Where messages above 1 MiB are spooled.")
    max_message_bytes: int = Field(100_000_000, gt=0, description="Larger messages are refused with 413.")
    max_recipients: int = Field(
        50_000,
        gt=0,
        description="More in one envelope are refused with 400: answers and reports would not fit the bus.",
    )
    max_messages_in_flight: int = Field(64, gt=0, description="More are refused with 503 until some are done.")
    body_timeout_s: float = Field(60, gt=0, description="How long a request body may take to arrive.")
    deadline_s: float = Field(240, gt=5, description="The deadline of a request that does not bring its own.")
    answer_margin_s: float = Field(5, gt=0, description="The answer is given this long before the deadline.")
    scan_raw_message: bool = Field(
        default=True,
        description="Scan the raw message as well as its parts; off: only where a defect may hide content.",
    )
    # Not empty: then every message would be clean, as nobody was asked.
    engine_roles: CommaSeparated[EngineRole] = Field(
        (EngineRole.VIRUS,), min_length=1, description="Engine roles that must report."
    )
    spam_required: bool = Field(
        default=False, description="Defer instead of delivering when the spam filter gives no score."
    )
    spam_timeout_s: float = Field(40, gt=0, description="The spam filter is not waited for longer than this.")
    max_av_requests_per_message: int = Field(
        4, gt=0, description="Requests to av-gateway that one message may have at a time, so that others get through."
    )
    max_busy_retries: int = Field(8, ge=0, description="How often a request is sent again to workers that are full.")
    dissect_in_thread_above_bytes: int = Field(
        262_144, gt=0, description="Larger messages are dissected beside the event loop instead of on it."
    )
    max_depth: int = Field(50, gt=0, description="Budget: how deeply entities may nest.")
    max_components: int = Field(2_000, gt=0, description="Budget: how many components a message may have.")
    max_component_bytes: int = Field(250_000_000, gt=0, description="Budget: bytes of one component.")
    max_decoded_bytes: int = Field(500_000_000, gt=0, description="Budget: bytes of all components together.")
    max_ratio: int = Field(250, gt=0, description="Budget: bytes that come out of a container for each byte of it.")
    ratio_counts_above_bytes: int = Field(
        16_000_000, ge=0, description="As much may come out of a container at any ratio."
    )
    max_header_bytes: int = Field(262_144, gt=0, description="Budget: bytes of one header.")
    max_header_lines: int = Field(5_000, gt=0, description="Budget: lines of one header.")
    max_parameters: int = Field(500, gt=0, description="Budget: parameters of one header field.")
    max_name_characters: int = Field(
        4_000_000, gt=0, description="Budget: characters of all file names and declared types of a message together."
    )
    max_password_attempts: int = Field(
        64, ge=0, description="Budget: words of the message that are tried as the password of an archive in it."
    )
    max_dissection_s: float = Field(8, gt=0, description="Budget: seconds of CPU time for the dissection.")
    opening_timeout_s: float = Field(
        30, gt=0, description="How long all archives and other containers of one message may take to open."
    )
    sandbox_memory_bytes: int = Field(
        536_870_912,
        ge=134_217_728,
        description="Memory of each process that opens containers; one per message. What needs more is over_budget.",
    )
    max_sandbox_processes: int = Field(
        4,
        gt=0,
        description="How many messages may have their containers opened at a time; others wait for that. In all, the "
        "unpacker takes up to 1 GiB and this many times sandbox_memory_bytes of memory.",
    )
    require_seccomp: bool = Field(
        default=True, description="Refuse to start where system calls of parsers of archives cannot be filtered."
    )
    events_max_bytes: int = Field(
        256_000_000, gt=0, description="Size of the event stream; when full, mail is deferred."
    )
    mail_max_bytes: int = Field(
        10_000_000_000, gt=0, description="Size of the mail store; when full, mail is deferred."
    )
    stream_replicas: int = Field(1, ge=1, le=5, description="Copies of the streams in a NATS cluster.")

    @property
    def most_memory_bytes(self) -> int:
        """What the service and all processes of its sandbox may take together: the least limit of a container."""
        return MEMORY_WITHOUT_SANDBOX_BYTES + self.max_sandbox_processes * self.sandbox_memory_bytes
