"""What comes out of a container is counted while it comes, whatever the container says of it."""

from collections.abc import Iterable, Iterator
from typing import Final

from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening.members import OpenRequest, UnreadableError

TOO_MANY_MEMBERS: Final = "budget.components"
MEMBER_TOO_LONG: Final = "budget.component_bytes"
TOO_MANY_BYTES: Final = "budget.bytes"
OUT_OF_MEMORY: Final = "budget.memory"


class Meter:
    """Members and bytes of one container, held to the limits of one request."""

    def __init__(self, request: OpenRequest) -> None:
        self.limits = request
        self._members = 0
        self._bytes = 0

    def count_member(self) -> None:
        """Count one, before it is handed out.

        Raises:
            UnreadableError: it is one too many, or the bytes of those before it have used up the container's.
        """
        self._members += 1
        if self._members > self.limits.max_members:
            raise UnreadableError(UnscannedReason.OVER_BUDGET, TOO_MANY_MEMBERS)
        if self._bytes >= self.limits.max_bytes:
            raise UnreadableError(UnscannedReason.OVER_BUDGET, TOO_MANY_BYTES)

    def metered(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The same pieces, up to the limit that is reached first.

        Raises:
            UnreadableError: while it is iterated, behind the last byte that is allowed.
        """
        left = self.limits.max_member_bytes
        for piece in pieces:
            if len(piece) > min(left, self.limits.max_bytes - self._bytes):
                what = MEMBER_TOO_LONG if left <= self.limits.max_bytes - self._bytes else TOO_MANY_BYTES
                kept = piece[: min(left, self.limits.max_bytes - self._bytes)]
                self._bytes += len(kept)
                yield kept
                if what == TOO_MANY_BYTES:
                    self._bytes = self.limits.max_bytes
                raise UnreadableError(UnscannedReason.OVER_BUDGET, what)
            left -= len(piece)
            self._bytes += len(piece)
            yield piece
