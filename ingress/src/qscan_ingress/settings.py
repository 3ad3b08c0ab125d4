"""Settings of the ingress, read from ``QSCAN_INGRESS_*`` and used only in `bootstrap`."""

from pydantic import Field

from qscan_contracts.intake import MAX_ENVELOPE_BYTES
from qscan_kit.settings import AbsolutePath, CommaList, ServiceSettings, environment

_SOCKET_MODE_BASE = 8


class IngressSettings(ServiceSettings):
    """Everything that can be set, with its unit in its name."""

    model_config = environment("ingress")

    socket: AbsolutePath = Field(
        AbsolutePath("/run/qscan/ingress.sock"),
        description="Unix socket for qscan-queue; the variable is the one that qscan-queue reads.",
    )
    socket_mode: str = Field(
        "0666",
        pattern="^0?[0-7]{3}$",
        description="Its permissions, octal. Ordinary users run qmail-inject, so all may connect.",
    )
    listen_backlog: int = Field(1024, gt=0, description="Callers that may wait to be accepted.")
    max_connections: int = Field(500, gt=0, description="Messages in hand at once; more are deferred.")

    unpacker_urls: CommaList = Field(
        ("http://127.0.0.1:8080",),
        min_length=1,
        description="Unpackers. The next one is asked, and stayed with, when one fails.",
    )
    token_file: AbsolutePath = Field(
        description="File (0600) with the token that the unpackers want; read again when it changes."
    )
    unpacker_rounds: int = Field(2, gt=0, description="How often the list of unpackers is gone through.")
    round_pause_s: float = Field(0.2, ge=0, description="Pause before the list is begun again.")
    connect_timeout_s: float = Field(3.0, gt=0, description="Longest wait for a connection to one.")
    keepalive_expiry_s: float = Field(
        3.0, ge=0, description="Idle connections are closed after this; less than the unpacker's."
    )
    max_answer_bytes: int = Field(32 * 1024 * 1024, gt=0, description="Largest answer that is read.")

    spool_dir: AbsolutePath = Field(
        description="Folder for messages that do not fit into memory: a real disk with O_TMPFILE."
    )
    spool_may_be_in_memory: bool = Field(
        default=False, description="Allow a spool_dir on tmpfs, whose pages count as memory."
    )
    memory_spool_max_bytes: int = Field(1024 * 1024, ge=0, description="Messages up to this size are kept in memory.")
    total_memory_max_bytes: int = Field(
        256 * 1024 * 1024,
        gt=0,
        description="Memory for all messages and envelopes in hand; beyond it they go to disk.",
    )
    max_message_bytes: int = Field(100_000_000, gt=0, description="A larger message is rejected unscanned.")
    max_envelope_bytes: int = Field(
        MAX_ENVELOPE_BYTES,
        ge=2,
        le=MAX_ENVELOPE_BYTES,
        description="A larger envelope is deferred; the intake API has the same limit.",
    )

    deadline_s: float = Field(240.0, ge=1, le=3500, description="From the envelope's end to the answer to qscan-queue.")
    introduction_timeout_s: float = Field(
        10.0, gt=0, description="A caller that has connected introduces itself within this."
    )
    alive_interval_s: float = Field(
        5.0, gt=0, le=10, description="How often callers are told that their message is being read."
    )
    reading_timeout_s: float = Field(
        86_400.0, gt=0, description="Longest time for message and envelope, as in qmail-queue."
    )
    drain_timeout_s: float = Field(20.0, ge=0, description="At the end, how long messages in hand may still take.")

    @property
    def socket_mode_bits(self) -> int:
        """`socket_mode` as a number."""
        return int(self.socket_mode, _SOCKET_MODE_BASE)
