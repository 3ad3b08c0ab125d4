"""What a child makes of what an opener gives, and what the service believes of what a child says. Without a process."""

from collections import Counter
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening.members import PIECE_BYTES, Event, OpenRequest
from qscan_unpacker.sandbox import wire
from qscan_unpacker.sandbox.checking import LyingChildError, Replying
from qscan_unpacker.sandbox.child import replies
from qscan_unpacker.sandbox.wire import Begun, Done, Ended, Noted, Piece, Reply, Unopened
from services.unpacker.tests.sandbox_doubles import OPENERS

OVER_BUDGET = UnscannedReason.OVER_BUDGET


def request(kind: str = "echo", **limits: int) -> OpenRequest:
    """A request with narrow limits."""
    return replace(OpenRequest(kind, (), max_members=10, max_member_bytes=1_000_000, max_bytes=3_000_000), **limits)


def said(kind: str, content: bytes = b"content", **limits: int) -> list[Reply]:
    """All that a child says of a container; the service believes every word of it."""
    asked = request(kind, **limits)
    found = []
    replying = Replying(asked)
    for reply in replies(OPENERS.get(kind), memoryview(content), asked):
        replying.check(reply)
        found.append(Piece(memoryview(bytes(reply.data))) if isinstance(reply, Piece) else reply)
    return found


def test_every_kind_of_event_is_passed_on() -> None:
    """Members with their pieces and their ends, what cannot be opened, defects, and why it ended."""
    assert said("everything") == [
        Noted("archive.overlap", 7, 5, "two at once"),
        Begun(("first.txt", "FIRST.TXT"), encrypted=True),
        Piece(memoryview(b"abc")),
        Ended(),
        Unopened(("locked.bin",), 99, UnscannedReason.ENCRYPTED, "no password fits"),
        Begun(("broken.txt",)),
        Piece(memoryview(b"half")),
        Ended(UnscannedReason.NOT_UNPACKABLE, "cut off"),
        Done(UnscannedReason.NOT_UNPACKABLE, "rubbish behind it"),
    ]


def test_pieces_are_cut_to_the_right_size() -> None:
    """However an opener cuts them, few frames are needed and none is too long."""
    content = bytes(range(256)) * 9_000
    pieces = [reply.data for reply in said("echo", content, max_member_bytes=3_000_000) if isinstance(reply, Piece)]
    assert b"".join(pieces) == content
    assert len(pieces) <= len(content) / PIECE_BYTES
    assert max(map(len, pieces)) < wire.MAX_FRAME_BYTES / 2


def test_a_member_ends_at_its_limit_and_the_next_one_follows() -> None:
    """The bytes up to the limit are kept."""
    found = said("endless_bytes", max_member_bytes=250_001)
    assert sum(len(reply.data) for reply in found if isinstance(reply, Piece)) == 250_001 + len(b"next")
    assert Ended(OVER_BUDGET, "budget.component_bytes") in found
    assert found[-1] == Done()


def test_a_container_ends_at_its_limit() -> None:
    """Of bytes of all members together."""
    found = said("endless_bytes", max_bytes=250_001)
    assert sum(len(reply.data) for reply in found if isinstance(reply, Piece)) == 250_001
    assert found[-2:] == [Ended(OVER_BUDGET, "budget.bytes"), Done(OVER_BUDGET, "budget.bytes")]


@pytest.mark.parametrize("limit", ["max_bytes", "max_member_bytes"])
def test_what_just_fits_is_complete(limit: str) -> None:
    """A limit is what may be reached, not what may not."""
    assert said("echo", b"12345", **{limit: 5})[-2:] == [Ended(), Done()]
    assert said("echo", b"123456", **{limit: 5})[-2] != Ended()


def test_a_container_ends_at_its_number_of_members() -> None:
    """The last one of them is complete."""
    found = said("endless_members", max_members=3)
    assert found == [Begun(("again",)), Piece(memoryview(b"x")), Ended()] * 3 + [Done(OVER_BUDGET, "budget.components")]


def test_the_same_defect_is_not_told_for_ever() -> None:
    """The first ones stand for the rest."""
    kinds = Counter(type(reply) for reply in said("many_notes"))
    assert kinds == {Noted: wire.MAX_NOTES_OF_A_KIND, Done: 1}


def test_texts_are_made_safe() -> None:
    """Names and details of an opener cannot break frames, logs or terminals."""
    unopened, _ = said("strange_texts")
    assert isinstance(unopened, Unopened)
    assert unopened.names[0] == "\ufffd\ufffdx"
    assert unopened.names[1].endswith(".exe")
    assert len(unopened.names) == wire.MAX_NAMES
    assert unopened.size == 0
    assert unopened.detail.isprintable()
    assert len(unopened.detail) <= wire.MAX_DETAIL_CHARACTERS


def test_a_bug_of_an_opener_ends_the_member_and_the_container() -> None:
    """It is told by its kind and its place; its text may quote the mail and is not passed on."""
    found = said("raises")
    failed = UnscannedReason.UNPACKER_FAILED
    assert found[:3] == [Begun(("a",)), Ended(failed, "KeyError"), found[-1]]
    done = found[-1]
    assert isinstance(done, Done)
    assert (done.reason, done.detail) == (failed, "KeyError")
    assert "sandbox_doubles.py" in done.where
    assert "secret" not in str(found)


def test_a_defect_that_is_in_no_catalogue_is_a_bug() -> None:
    """So that it is seen in the opener's own tests."""
    (done,) = said("unknown_note")
    assert isinstance(done, Done)
    assert (done.reason, done.detail) == (UnscannedReason.UNPACKER_FAILED, "LookupError")


def test_a_kind_without_an_opener_is_not_unpackable() -> None:
    """Whoever recognises it need not know whether there is an opener."""
    (done,) = said("no such kind")
    assert isinstance(done, Done)
    assert done.reason is UnscannedReason.NOT_UNPACKABLE


def test_an_opener_out_of_memory_is_over_budget() -> None:
    """What native code runs out of too, as far as it says so."""

    def greedy(_content: memoryview, _request: OpenRequest) -> Iterator[Event]:
        raise MemoryError

    assert list(replies(greedy, memoryview(b""), request())) == [Done(OVER_BUDGET, "budget.memory")]


@pytest.mark.parametrize(
    "lie",
    [
        [Piece(memoryview(b"x"))],
        [Ended()],
        [Begun(("a",)), Ended(), Piece(memoryview(b"x"))],
        [Begun(("a",)), Begun(("b",))],
        [Begun(("a",)), Done()],
        [Begun(("a",)), Noted("archive.overlap")],
        [Begun(("a",)), Unopened((), 0, UnscannedReason.BOMB)],
        [Begun(("a",)), Piece(memoryview(bytes(1_000_001)))],
        [Begun(("a",)), *[Piece(memoryview(bytes(500_001)))] * 2],
        [Begun(("a",)), Piece(memoryview(bytes(1_000_000))), Ended()] * 4,
        [Begun(("a",)), Ended()] * 11,
        [Unopened((), 0, UnscannedReason.BOMB)] * 11,
        [Noted("archive.nonsense")],
        [Noted("archive.overlap")] * (wire.MAX_NOTES_OF_A_KIND + 1),
    ],
    ids=range(14),
)
def test_what_no_child_of_ours_says_is_a_lie(lie: list[Reply]) -> None:
    """Order, counts, bytes and names of defects are checked, not believed."""
    replying = Replying(request())

    def check_all() -> None:
        for reply in lie:
            replying.check(reply)

    with pytest.raises(LyingChildError):
        check_all()
