"""What an opener gives, taken as the sandbox takes it: each member read to its end before the next event."""

from hypothesis import strategies as st

from qscan_unpacker.opening.members import Member, Noted, Opener, OpenRequest, Unopened, UnreadableError


class Opened:
    """All that came out of one container.

    Attributes:
        members: names, content as far as it could be read, and whether a password was needed.
        broken: what ended the reading of members before their end.
        ended: what ended the reading of the container before its end.
    """

    def __init__(
        self,
        opener: Opener,
        data: bytes,
        *,
        passwords: tuple[str, ...] = (),
        max_members: int = 1000,
        max_member_bytes: int = 10**8,
        max_bytes: int = 10**9,
        names: tuple[str, ...] = (),
    ) -> None:
        self.members: list[tuple[tuple[str, ...], bytes, bool]] = []
        self.unopened: list[Unopened] = []
        self.notes: list[str] = []
        self.broken: list[UnreadableError] = []
        self.ended: UnreadableError | None = None
        request = OpenRequest("", passwords, max_members, max_member_bytes, max_bytes, names)
        try:
            for event in opener(memoryview(data), request):
                match event:
                    case Noted():
                        self.notes.append(event.id)
                    case Unopened():
                        self.unopened.append(event)
                    case Member():
                        self.members.append((event.names, self._content(event), event.encrypted))
        except UnreadableError as error:
            self.ended = error

    def _content(self, member: Member) -> bytes:
        content = bytearray()
        try:
            for piece in member.pieces:
                content += piece
        except UnreadableError as error:
            self.broken.append(error)
        return bytes(content)

    def __getitem__(self, name: str) -> bytes:
        """The content of the first member of that name."""
        return next(content for names, content, _ in self.members if name in names)

    def names_of(self, content: bytes) -> tuple[str, ...]:
        """The names of the first member with that content."""
        return next(names for names, found, _ in self.members if found == content)

    @property
    def contents(self) -> list[bytes]:
        """The contents of all members, in their order."""
        return [content for _, content, _ in self.members]

    @property
    def is_whole(self) -> bool:
        """Whether everything was read, and nothing noted."""
        return not (self.unopened or self.notes or self.broken or self.ended)


def mutations(seeds: list[bytes]) -> st.SearchStrategy[bytes]:
    """Files with a few bytes overwritten, put in or cut out, or the end cut off."""
    edits = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 8), st.binary(max_size=4)), max_size=8)

    def changed(seed: bytes, edits: list[tuple[int, int, bytes]], cut: int | None) -> bytes:
        data = bytearray(seed)
        for at, size, value in edits:
            place = at % (len(data) or 1)
            data[place : place + (size or len(value))] = value
        return bytes(data[:cut])

    return st.builds(changed, st.sampled_from(seeds), edits, st.none() | st.integers(0, 9000))
