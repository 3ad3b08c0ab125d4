"""The query parameters of ``POST /v1/scan`` (DESIGN §4)."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from qscan_contracts.intake import FramedEnvelope
from qscan_contracts.vocabulary import Effects, SpamFilter

MAX_RECIPIENTS = 1_000


class ScanQuery(BaseModel):
    """For people and tools: the envelope of a raw message. With a framed one only `detail` counts."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    mail_from: str = Field("", description="The sender of the envelope; empty for a bounce.")
    rcpt_to: tuple[str, ...] = Field((), max_length=MAX_RECIPIENTS, description="A recipient; may be repeated.")
    client_ip: str | None = Field(None, description="Address of the SMTP client.")
    client_host: str | None = Field(None, description="Host name of the SMTP client.")
    relay_client: bool = Field(default=False, description="The client may relay: skips the spam filter.")
    spam_filter: SpamFilter = Field(SpamFilter.AUTO, description="Whether the spam filter is asked.")
    auth_user: str | None = Field(None, description="The user as whom the client authenticated.")
    effects: Effects = Field(Effects.NONE, description="full: also quarantine, notices and logs; needs the token.")
    detail: Literal["full", "decision"] = Field("full", description="decision: leave the components out.")

    def envelope(self) -> FramedEnvelope:
        """The same as a framed request would say it."""
        return FramedEnvelope(
            mail_from=self.mail_from,
            rcpt_to=self.rcpt_to,
            client_ip=self.client_ip,
            client_host=self.client_host,
            relay_client=self.relay_client,
            spam_filter=self.spam_filter,
            auth_user=self.auth_user,
            effects=self.effects,
        )
