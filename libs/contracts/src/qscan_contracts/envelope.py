"""The envelope (RFC 5321) and what the MTA knows of the client."""

import re
from typing import Annotated

from msgspec import Meta, Struct

from qscan_contracts.vocabulary import SpamFilter


def address_to_text(address: bytes) -> str:
    r"""An envelope address as text that JSON can carry.

    Addresses are arbitrary bytes to qmail. What is UTF-8 (RFC 6531) stays readable; any other byte becomes
    ``\xNN`` and a backslash is doubled, so that the text reads back to the same bytes.
    """
    return address.replace(b"\\", b"\\\\").decode("utf-8", errors="backslashreplace")


_ESCAPE = re.compile(rb"\\(\\|x[0-9a-f]{2})")


def address_from_text(text: str) -> bytes:
    """The bytes that `address_to_text` made `text` of."""

    def unescape(match: re.Match[bytes]) -> bytes:
        escaped = match[1]
        return b"\\" if escaped == b"\\" else bytes([int(escaped[1:], 16)])

    return _ESCAPE.sub(unescape, text.encode("utf-8", errors="surrogateescape"))


ProcessNumber = Annotated[int, Meta(ge=0, le=2**32 - 1)]
"""A uid or pid. Bounded, as JSON holds larger numbers than MessagePack can carry on."""


class Envelope(Struct, frozen=True, omit_defaults=True):
    """The envelope as the sender gave it. Absent differs from empty: ``None`` was not told.

    Attributes:
        mail_from: the reverse path; ``""`` for a bounce, ``#@[]`` for qmail's double bounce.
        rcpt_to: the forward paths, in order; may be empty.
        relay_client: the client may relay (RELAYCLIENT is set).
    """

    mail_from: str = ""
    rcpt_to: tuple[str, ...] = ()
    client_ip: str | None = None
    client_host: str | None = None
    relay_client: bool = False
    spam_filter: SpamFilter = SpamFilter.AUTO
    auth_user: str | None = None
    remote_info: str | None = None
    server_host: str | None = None
    server_ip: str | None = None
    protocol: str | None = None
    uid: ProcessNumber | None = None
    pid: ProcessNumber | None = None
