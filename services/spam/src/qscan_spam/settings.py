"""Settings of spam (`QSCAN_SPAM_*`)."""

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field
from pydantic_settings import SettingsConfigDict

from qscan_kit.settings import ServiceSettings, environment
from qscan_spam.address import Address


def _address(text: str) -> str:
    return str(Address.parse(text))


class SpamSettings(ServiceSettings):
    """What spam is told."""

    model_config: ClassVar[SettingsConfigDict] = environment("spam")

    address: Annotated[str, AfterValidator(_address)] = Field(
        "127.0.0.1:783", description="Where spamd listens: the absolute path of a unix socket, or host:port."
    )
    max_message_bytes: int = Field(256_000, ge=1, description="Larger messages are not given to spamd: ?/?.")
    timeout_s: float = Field(30.0, gt=0, le=300, description="What one message may take at spamd.")
    connect_timeout_s: float = Field(3.0, gt=0, le=60, description="What connecting to spamd may take.")
    max_in_flight: int = Field(
        5, ge=1, description="Messages at spamd at a time, over all replicas not more than its --max-children."
    )
    max_waiting: int = Field(20, ge=0, description="Messages that wait for a place; more are answered «busy».")
    max_wait_s: float = Field(10.0, ge=0, le=300, description="How long a message waits for a place: then ?/?.")
    user_from_recipient: bool = Field(
        default=False,
        description="Give spamd the recipient as User, where there is exactly one (needs its user config).",
    )
