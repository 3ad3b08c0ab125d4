"""Frames between service and child: what breaks a bound is no frame."""

import os
import socket
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening.members import OpenRequest
from qscan_unpacker.sandbox import wire

REPLIES: list[wire.Reply] = [
    wire.Begun(("a", "ü"), encrypted=True),
    wire.Piece(memoryview(b"bytes")),
    wire.Ended(),
    wire.Ended(UnscannedReason.ENCRYPTED, "no password"),
    wire.Unopened(("n",), 7, UnscannedReason.NOT_UNPACKABLE, "why"),
    wire.Noted("archive.overlap", 1, 2, "detail"),
    wire.Done(),
    wire.Done(UnscannedReason.UNPACKER_FAILED, "KeyError", "zip.py:7 members"),
]


def read_all(sent: bytes) -> list[wire.Reply]:
    """All replies in what a child has sent. Raises BrokenFrameError."""
    left = memoryview(sent)

    def receive_into(buffer: memoryview) -> int:
        nonlocal left
        # In parts of three bytes, as a socket may give them.
        count = min(len(buffer), len(left), 3)
        buffer[:count] = left[:count]
        left = left[count:]
        return count

    found = []
    while (reply := wire.read_reply(receive_into)) is not None:
        found.append(reply)
    return found


def frame(body: bytes) -> bytes:
    """A frame around any bytes."""
    return struct.pack(">I", len(body)) + body


def test_replies_arrive_as_they_were_sent() -> None:
    """Each kind of reply, through a socket."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        writer = wire.Replies(theirs)
        for reply in REPLIES:
            writer.write(reply)
        assert read_all(ours.recv(10_000)) == REPLIES


def test_an_order_arrives_with_its_descriptor() -> None:
    """The descriptor is the receiver's own; an order may be longer than one packet of a socket."""
    order = wire.Order(OpenRequest("zip", ("p" * 50_000,), 1, 2, 3, ("name",)), 4, 5)
    ours, theirs = socket.socketpair()
    reading, writing = os.pipe()
    with ours, theirs:
        wire.send_order(ours, order, writing)
        received = wire.receive_order(theirs)
        assert received is not None
        assert received[0] == order
        os.write(received[1], b"x")
        assert os.read(reading, 1) == b"x"
        ours.close()
        assert wire.receive_order(theirs) is None
        for descriptor in (reading, writing, received[1]):
            os.close(descriptor)


@pytest.mark.parametrize(
    "sent",
    [
        b"\0\0\0",
        b"\0\0\0\0",
        b"\0\0\0\x05\x91",
        struct.pack(">I", wire.MAX_FRAME_BYTES + 1) + bytes(wire.MAX_FRAME_BYTES + 1),
        frame(b"\xc1"),
        frame(b"\x91\x63"),
        frame(b"\x91" * 1_000_000),
        frame(msgspec.msgpack.encode(wire.Done()) + b"x"),
        frame(msgspec.msgpack.encode(wire.Piece(memoryview(b"")))),
        frame(msgspec.msgpack.encode(wire.Begun(("n",) * (wire.MAX_NAMES + 1)))),
        frame(msgspec.msgpack.encode(wire.Begun(("n" * (wire.MAX_NAME_CHARACTERS + 1),)))),
        frame(msgspec.msgpack.encode(wire.Unopened((), -1, UnscannedReason.BOMB))),
        frame(msgspec.msgpack.encode([3, "no reason that there is", ""])),
        frame(msgspec.msgpack.encode(wire.Done(None, "d" * (wire.MAX_DETAIL_CHARACTERS + 1)))),
        frame(msgspec.msgpack.encode(wire.Ended(None, "two\nlines"))),
        frame(msgspec.msgpack.encode(wire.Done(None, "", "new\nline in the log"))),
    ],
    ids=range(16),
)
def test_what_breaks_a_bound_is_no_frame(sent: bytes) -> None:
    """Lengths, types, counts, texts with control characters, rubbish behind a value."""
    with pytest.raises(wire.BrokenFrameError):
        read_all(sent)


@given(st.binary(max_size=200))
def test_any_bytes_are_replies_or_broken(sent: bytes) -> None:
    """Nothing else can come of what a child sends."""
    try:
        read_all(sent)
    except wire.BrokenFrameError:
        return
    assert not sent


@given(st.binary(min_size=1, max_size=200))
def test_any_body_is_a_reply_or_broken(body: bytes) -> None:
    """Also inside a frame that is as long as it says."""
    try:
        replies = read_all(frame(body))
    except wire.BrokenFrameError:
        return
    assert len(replies) == 1


@given(st.lists(st.text(st.characters(), max_size=3_000), max_size=100), st.text(st.characters(), max_size=1_000))
def test_any_names_and_details_can_travel(names: list[str], detail: str) -> None:
    """Whatever an opener makes of an archive's bytes: it is cut and mended, and then arrives as it was sent."""
    names.append("lone \udc80\ud800 surrogates")
    bounded = wire.bounded_names(tuple(names))
    reply = wire.Unopened(bounded, 0, UnscannedReason.NOT_UNPACKABLE, wire.bounded_detail(detail + "\n\udcff"))
    assert read_all(frame(msgspec.msgpack.encode(reply))) == [reply]


def test_a_long_name_keeps_its_beginning_and_its_end() -> None:
    """Rules look at extensions, so an extension survives the cut."""
    (name,) = wire.bounded_names(("begin" + "x" * 10_000 + ".exe",))
    assert len(name) == wire.MAX_NAME_CHARACTERS
    assert name.startswith("begin")
    assert name.endswith(".exe")
