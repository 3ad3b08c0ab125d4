"""Whether what a child says can be: the child may be in the hands of whoever sent the message."""

from collections import Counter

from qscan_contracts.defects import CATALOGUE
from qscan_contracts.ids import FindingId
from qscan_unpacker.opening.members import OpenRequest
from qscan_unpacker.sandbox.wire import MAX_NOTES_OF_A_KIND, Begun, Done, Ended, Noted, Piece, Reply, Unopened


class LyingChildError(Exception):
    """No child of ours says this: it is broken, or somebody else has taken it over."""


class Replying:
    """Follows the replies about one container."""

    def __init__(self, request: OpenRequest) -> None:
        """Hold the child to the limits of `request`."""
        self._request = request
        self._members = 0
        self._bytes = 0
        self._member_bytes = 0
        self._notes: Counter[str] = Counter()
        self.in_member = False
        """Whether a member was begun and has not ended."""

    def check(self, reply: Reply) -> None:
        """Take the next reply. Raises LyingChildError."""
        match reply:
            case Piece():
                self._member_bytes += len(reply.data)
                self._bytes += len(reply.data)
                _demand(self.in_member, "bytes outside of a member")
                _demand(self._member_bytes <= self._request.max_member_bytes, "too many bytes of a member")
                _demand(self._bytes <= self._request.max_bytes, "too many bytes")
            case Ended():
                _demand(self.in_member, "the end of no member")
                self.in_member = False
            case Begun():
                self._count_member()
                self.in_member = True
                self._member_bytes = 0
            case Unopened():
                self._count_member()
            case Noted():
                self._outside_member()
                self._notes[reply.id] += 1
                _demand(FindingId(reply.id) in CATALOGUE, "a defect that there is not")
                _demand(self._notes[reply.id] <= MAX_NOTES_OF_A_KIND, "too many defects")
            case Done():
                self._outside_member()

    def _count_member(self) -> None:
        self._outside_member()
        self._members += 1
        _demand(self._members <= self._request.max_members, "too many members")

    def _outside_member(self) -> None:
        _demand(not self.in_member, "a member that does not end")


def _demand(condition: bool, otherwise: str) -> None:  # noqa: FBT001  # reads as a sentence
    if not condition:
        raise LyingChildError(otherwise)
