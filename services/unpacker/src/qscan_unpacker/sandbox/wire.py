"""What service and child say to each other: MessagePack behind four bytes of length, on a stream socket.

The child may be in the hands of whoever sent the message, so everything here has a bound, and what breaks one is no
frame. Whether a well-formed frame makes sense where it stands is asked in `checking.py`.
"""

import os
import socket
from collections.abc import Callable
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from qscan_contracts.texts import one_line
from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening.members import OpenRequest

MAX_FRAME_BYTES = 1024 * 1024
"""More than a piece, and more than all names of a member at their longest."""
MAX_NAMES = 32
"""Of one member: there are not that many ways to state a name, so the others are repetitions."""
MAX_NAME_CHARACTERS = 1024
"""A longer name loses its middle: rules look at its beginning and at its end."""
MAX_NOTES_OF_A_KIND = 20
"""Of one container; those behind them say nothing new and are dropped."""
MAX_DETAIL_CHARACTERS = 200
MAX_WHERE_CHARACTERS = 1000
MAX_NUMBER = 2**63 - 1

_LENGTH_BYTES: Final = 4

_Number = Annotated[int, Meta(ge=0, le=MAX_NUMBER)]
_Names = Annotated[tuple[Annotated[str, Meta(max_length=MAX_NAME_CHARACTERS)], ...], Meta(max_length=MAX_NAMES)]
# One line of printable text, so that it may go into a log and into a report.
_Detail = Annotated[str, Meta(max_length=MAX_DETAIL_CHARACTERS)]
# Written by our code out of the names of modules and functions.
_Where = Annotated[str, Meta(max_length=MAX_WHERE_CHARACTERS, pattern=r"\A[\w .:<>,-]*\Z")]


class Order(Struct, frozen=True, array_like=True):
    """To the child: open the container in the descriptor that comes along.

    Attributes:
        start: where in the file it begins.
        length: how many bytes it has.
    """

    request: OpenRequest
    start: int
    length: int


class Begun(Struct, frozen=True, array_like=True, tag=1):
    """A member begins; pieces follow, and one `Ended`."""

    names: _Names
    encrypted: bool = False


class Piece(Struct, frozen=True, array_like=True, tag=2):
    """The next bytes of the member that was begun last; never empty."""

    data: Annotated[memoryview, Meta(min_length=1)]


class Ended(Struct, frozen=True, array_like=True, tag=3):
    """The member has no more bytes; `reason` says why there should have been more."""

    reason: UnscannedReason | None = None
    detail: _Detail = ""


class Unopened(Struct, frozen=True, array_like=True, tag=4):
    """A member without content. `size`: what the container states, in bytes; 0 where unknown."""

    names: _Names
    size: _Number
    reason: UnscannedReason
    detail: _Detail = ""


class Noted(Struct, frozen=True, array_like=True, tag=5):
    """A defect of the container; `offset` counts from its start."""

    id: Annotated[str, Meta(max_length=MAX_DETAIL_CHARACTERS)]
    offset: _Number = 0
    length: _Number = 0
    detail: _Detail = ""


class Done(Struct, frozen=True, array_like=True, tag=6):
    """The last reply: the container was read to its end, or why not.

    `where` is for the log: the places in the code that an unexpected exception went through.
    """

    reason: UnscannedReason | None = None
    detail: _Detail = ""
    where: _Where = ""


Reply = Begun | Piece | Ended | Unopened | Noted | Done


class BrokenFrameError(Exception):
    """The other side ended in the middle of a frame, or sent something that is none."""


class Replies:
    """Encodes and writes replies, on the child's side."""

    def __init__(self, channel: socket.socket) -> None:
        """Write to `channel`, which blocks."""
        self._descriptor = channel.fileno()
        self._encoder = msgspec.msgpack.Encoder()
        self._buffer = bytearray()

    def write(self, reply: Reply) -> None:
        """Send one reply. Raises OSError when the service has gone."""
        self._encoder.encode_into(reply, self._buffer, _LENGTH_BYTES)
        self._buffer[:_LENGTH_BYTES] = _length(len(self._buffer) - _LENGTH_BYTES)
        with memoryview(self._buffer) as left:
            sent = 0
            while sent < len(left):
                sent += os.write(self._descriptor, left[sent:])


_reply_decoder: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)
_order_decoder = msgspec.msgpack.Decoder(Order)


def read_reply(receive_into: Callable[[memoryview], int]) -> Reply | None:
    """The next reply, or nothing when the child ended between two frames.

    Args:
        receive_into: fills some of a buffer and says how much; 0 at the end. What it raises is passed on.

    Raises:
        BrokenFrameError: that was no reply.
    """
    body = _read_frame(receive_into)
    if body is None:
        return None
    try:
        reply = _reply_decoder.decode(body)
    except (ValueError, RecursionError) as error:
        raise BrokenFrameError(type(error).__name__) from None
    if not getattr(reply, "detail", "").isprintable():
        raise BrokenFrameError("control characters")
    return reply


def _read_frame(receive_into: Callable[[memoryview], int]) -> memoryview | None:
    prefix = memoryview(bytearray(_LENGTH_BYTES))
    got = _fill(prefix, receive_into)
    if got == 0:
        return None
    length = int.from_bytes(prefix, "big")
    if got < _LENGTH_BYTES or not 0 < length <= MAX_FRAME_BYTES:
        raise BrokenFrameError("length")
    body = memoryview(bytearray(length))
    if _fill(body, receive_into) < length:
        raise BrokenFrameError("cut off")
    return body


def _fill(buffer: memoryview, receive_into: Callable[[memoryview], int]) -> int:
    got = 0
    while got < len(buffer):
        received = receive_into(buffer[got:])
        if received == 0:
            break
        got += received
    return got


def send_order(channel: socket.socket, order: Order, descriptor: int) -> None:
    """Send an order with the descriptor of its container. Raises OSError when the child has gone."""
    body = msgspec.msgpack.encode(order)
    frame = _length(len(body)) + body
    sent = socket.send_fds(channel, [frame], [descriptor])
    channel.sendall(frame[sent:])


def receive_order(channel: socket.socket) -> tuple[Order, int] | None:
    """The next order and its descriptor, the receiver's to close; nothing when the service needs no more.

    Raises:
        BrokenFrameError: the service died in the middle, or sends what is no order: a bug of ours.
    """
    prefix, descriptors, _, _ = socket.recv_fds(channel, _LENGTH_BYTES, 1)
    if not prefix:
        return None
    if len(prefix) < _LENGTH_BYTES or len(descriptors) != 1:
        raise BrokenFrameError("no order with one descriptor")
    body = memoryview(bytearray(int.from_bytes(prefix, "big")))
    if _fill(body, channel.recv_into) < len(body):
        raise BrokenFrameError("cut off")
    return _order_decoder.decode(body), descriptors[0]


def bounded_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names as they may travel: so many, so long, and text that can be written as UTF-8."""
    return tuple(_bounded_name(name) for name in names[:MAX_NAMES])


def _bounded_name(name: str) -> str:
    if len(name) > MAX_NAME_CHARACTERS:
        half = MAX_NAME_CHARACTERS // 2
        name = name[:half] + name[-half:]
    # A lone surrogate stands for a byte or a half character that no reader can show.
    return name.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def bounded_detail(text: str) -> str:
    """A detail as it may travel."""
    return one_line(_bounded_name(text), MAX_DETAIL_CHARACTERS)


def _length(count: int) -> bytes:
    return count.to_bytes(_LENGTH_BYTES, "big")
