"""An opener as a plain generator of what is there, held to the limits of its request."""

from collections.abc import Iterable, Iterator

from qscan_unpacker.opening.members import PIECE_BYTES, Event, Member, Noted, OpenRequest
from qscan_unpacker.opening.metering import Meter


def within(request: OpenRequest, events: Iterable[Event]) -> Iterator[Event]:
    """Pass events on until a limit of the request is reached.

    Raises:
        UnreadableError: `over_budget` (see `Meter`): too many bytes of one member end that member only, the other
            limits end the container.
    """
    meter = Meter(request)
    for event in events:
        if not isinstance(event, Noted):
            meter.count_member()
        if isinstance(event, Member):
            yield Member(event.names, meter.metered(event.pieces), encrypted=event.encrypted)
        else:
            yield event


def pieces_of(content: bytes | memoryview) -> Iterator[bytes]:
    """Cut content that is already in memory."""
    for start in range(0, len(content), PIECE_BYTES):
        yield bytes(content[start : start + PIECE_BYTES])
