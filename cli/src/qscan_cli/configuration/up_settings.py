"""The table ``[up]``: how `qscan up` runs the parts that are not ours, and its children."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from qscan_kit.settings import AbsolutePath, CommaList


class UpSettings(BaseModel):
    """Settings of `qscan up` itself. Options of the command win over them."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    http: str = Field(
        "",
        description="HOST:PORT of the intake API, port 0: any free one. Empty: 127.0.0.1:8080, or a free port of "
        "127.0.0.1 when that is taken.",
    )
    nats_server: AbsolutePath | None = Field(
        None, description="Another nats-server than the one installed with qscan; 2.11 or newer."
    )
    clamd: AbsolutePath = Field(
        Path("/usr/sbin/clamd"),
        description="Started unless [av-gateway] names clamd_addresses, which then are the only ones.",
    )
    clamd_user: str = Field("clamav", description="Whom clamd becomes when qscan up runs as root.")
    signatures_dir: AbsolutePath = Field(
        Path("/var/lib/clamav"),
        description="The site's signatures (freshclam's). While there are none, clamd gets a signature of qscan's own "
        "that knows the EICAR test file only.",
    )
    spamd: AbsolutePath = Field(
        Path("/usr/sbin/spamd"), description="Started if it is there, unless [spam] names an address."
    )
    spamd_user: str = Field(
        "", description="Whom spamd becomes when qscan up runs as root; empty: debian-spamd or nobody."
    )
    spamd_children: int = Field(5, gt=0, description="Messages that spamd looks at side by side.")
    spamd_network_tests: bool = Field(
        default=True, description="Whether spamd may ask the DNS and other services about a mail."
    )
    start_timeout_s: float = Field(
        60.0,
        gt=0,
        description="After this, and again after as long, what is not ready yet is reported with its reason.",
    )
    stop_grace_s: float = Field(25.0, gt=0, description="How long a child may take to end before it is killed.")
    restart_delay_s: float = Field(
        0.5, gt=0, description="Pause before a child that died is started again; it doubles."
    )
    restart_delay_max_s: float = Field(30.0, gt=0, description="The longest such pause.")
    restart_settled_s: float = Field(
        10.0, gt=0, description="A child that has lived this long is restarted with the first pause again."
    )
    log_max_bytes: int = Field(
        20_000_000, gt=0, description="Size at which a child's log is rotated; one old one is kept."
    )
    pass_environment: CommaList = Field(
        (),
        description="Names of variables that the services get from the environment of qscan up, such as a proxy for "
        "spans. TZ, TMPDIR and LD_LIBRARY_PATH are always passed on, everything else is not.",
    )
    trace_files: bool = Field(default=False, description="Write the spans of each service to log/trace/SERVICE.jsonl.")
