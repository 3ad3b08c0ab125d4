"""The packet by which qscan-queue introduces itself (ingress/PROTOCOL.md)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from qscan_contracts.envelope import address_to_text
from qscan_contracts.vocabulary import SpamFilter

MAGIC = b"qscan1\0"
_ON = b"on"


class NotAnIntroductionError(Exception):
    """The packet does not come from a qscan-queue of this version."""


@dataclass(frozen=True)
class Introduction:
    """The environment variables of the caller that matter. Absent differs from empty.

    Values are remote data (reverse DNS, ident): arbitrary bytes except NUL. They become text in
    the way that addresses do.
    """

    variables: Mapping[str, bytes] = field(repr=False)

    def text(self, name: str) -> str | None:
        """The value of a variable, or None where it is not set."""
        value = self.variables.get(name)
        return None if value is None else address_to_text(value)

    @property
    def relay_client(self) -> bool:
        """RELAYCLIENT is set; its value, mostly empty, says nothing."""
        return "RELAYCLIENT" in self.variables

    @property
    def spam_filter(self) -> SpamFilter:
        """QS_SPAMASSASSIN=on asks for the spam filter even where the client may relay."""
        asked = self.variables.get("QS_SPAMASSASSIN", b"").lower() == _ON
        return SpamFilter.ON if asked else SpamFilter.AUTO


def parse(packet: bytes) -> Introduction:
    """Read the packet. Of a variable that comes twice the first counts, as for getenv(3).

    Raises:
        NotAnIntroductionError: it is malformed.
    """
    if not packet.startswith(MAGIC) or not packet.endswith(b"\0"):
        raise NotAnIntroductionError
    variables: dict[str, bytes] = {}
    for entry in packet[len(MAGIC) : -1].split(b"\0") if len(packet) > len(MAGIC) else ():
        name, equals, value = entry.partition(b"=")
        if not equals or not name.isascii():
            raise NotAnIntroductionError
        variables.setdefault(name.decode("ascii"), value)
    return Introduction(variables)
