"""The disposable child: opens one container after the other until the service needs no more of them."""

import gc
import mmap
import os
import socket
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from types import TracebackType

from qscan_contracts.defects import CATALOGUE
from qscan_contracts.ids import FindingId
from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening import members
from qscan_unpacker.opening.members import PIECE_BYTES, Member, Opener, OpenRequest, UnreadableError
from qscan_unpacker.sandbox import wire
from qscan_unpacker.sandbox.wire import MAX_NOTES_OF_A_KIND, MAX_WHERE_CHARACTERS, bounded_detail, bounded_names


def serve(channel: socket.socket, openers: Mapping[str, Opener]) -> None:
    """Carry out orders until the service closes its end. The caller has confined this process.

    Raises:
        OSError: the service has gone.
    """
    answers = wire.Replies(channel)
    while (received := wire.receive_order(channel)) is not None:
        order, descriptor = received
        for reply in _carry_out(order, descriptor, openers):
            answers.write(reply)
        # What the opener has left in cycles may hold the container.
        gc.collect()


def _carry_out(order: wire.Order, descriptor: int, openers: Mapping[str, Opener]) -> Iterator[wire.Reply]:
    # A map begins at a multiple of the page size.
    before = order.start % mmap.ALLOCATIONGRANULARITY
    content: bytes | mmap.mmap = b""
    try:
        if order.length:
            content = mmap.mmap(
                descriptor,
                before + order.length,
                flags=mmap.MAP_PRIVATE,
                prot=mmap.PROT_READ,
                offset=order.start - before,
            )
    except OSError:
        yield wire.Done(UnscannedReason.OVER_BUDGET, "budget.memory")
        return
    finally:
        os.close(descriptor)
    yield from replies(openers.get(order.request.kind), memoryview(content)[before:], order.request)


def replies(opener: Opener | None, content: memoryview, request: OpenRequest) -> Iterator[wire.Reply]:
    """All that an opener says of a container, kept within what was asked for; ends with `Done` whatever happens."""
    if opener is None:
        yield wire.Done(UnscannedReason.NOT_UNPACKABLE, "nothing here opens this kind")
        return
    try:
        yield from _Opening(request).replies(opener(content, request))
    except UnreadableError as error:
        yield wire.Done(error.reason, bounded_detail(error.detail))
    except MemoryError:
        yield wire.Done(UnscannedReason.OVER_BUDGET, "budget.memory")
    except Exception as error:  # lint: allow-broad-except because openers stand on libraries that raise anything
        yield wire.Done(UnscannedReason.UNPACKER_FAILED, type(error).__name__, _where(error.__traceback__))
    else:
        yield wire.Done()


class _Opening:
    """Counts what comes out of one container; an opener need not do it well."""

    def __init__(self, request: OpenRequest) -> None:
        self._request = request
        self._members = 0
        self._bytes_left = request.max_bytes
        self._ran_out = False
        self._notes: Counter[str] = Counter()

    def replies(self, events: Iterator[members.Event]) -> Iterator[wire.Reply]:
        for event in events:
            match event:
                case members.Noted():
                    yield from self._noted(event)
                case members.Unopened():
                    self._count_member()
                    names, detail = bounded_names(event.names), bounded_detail(event.detail)
                    yield wire.Unopened(names, _number(event.size), event.reason, detail)
                case members.Member():
                    self._count_member()
                    yield wire.Begun(bounded_names(event.names), event.encrypted)
                    yield from self._content(event)

    def _noted(self, event: members.Noted) -> Iterator[wire.Reply]:
        if FindingId(event.id) not in CATALOGUE:
            raise LookupError(event.id)
        self._notes[event.id] += 1
        if self._notes[event.id] <= MAX_NOTES_OF_A_KIND:
            yield wire.Noted(event.id, _number(event.offset), _number(event.length), bounded_detail(event.detail))

    def _count_member(self) -> None:
        self._members += 1
        if self._members > self._request.max_members:
            raise UnreadableError(UnscannedReason.OVER_BUDGET, "budget.components")

    def _content(self, member: Member) -> Iterator[wire.Reply]:
        """Pieces and the end of one member. What ends the container ends the member first."""
        try:
            yield from self._pieces(member)
        except UnreadableError as error:
            yield wire.Ended(error.reason, bounded_detail(error.detail))
        except MemoryError:
            yield wire.Ended(UnscannedReason.OVER_BUDGET, "budget.memory")
            raise
        except Exception as error:
            yield wire.Ended(UnscannedReason.UNPACKER_FAILED, type(error).__name__)
            raise
        else:
            yield wire.Ended()
        if self._ran_out:
            raise UnreadableError(UnscannedReason.OVER_BUDGET, "budget.bytes")

    def _pieces(self, member: Member) -> Iterator[wire.Piece]:
        """The content in pieces of about PIECE_BYTES, however the opener cuts it."""
        gathered = bytearray()
        failure: UnreadableError | None = None
        try:
            for piece in self._within_limits(member.pieces):
                for start in range(0, len(piece), PIECE_BYTES):
                    gathered += piece[start : start + PIECE_BYTES]
                    if len(gathered) >= PIECE_BYTES:
                        yield wire.Piece(memoryview(gathered))
                        gathered = bytearray()
        except UnreadableError as error:
            # What could be read is kept.
            failure = error
        if gathered:
            yield wire.Piece(memoryview(gathered))
        if failure is not None:
            raise failure

    def _within_limits(self, pieces: Iterable[bytes]) -> Iterator[memoryview]:
        """Pieces up to the first limit. Raises UnreadableError there, and where the opener does."""
        member_left = self._request.max_member_bytes
        for piece in pieces:
            view = memoryview(piece)
            left = min(member_left, self._bytes_left)
            yield view[:left]
            member_left -= min(len(view), left)
            self._bytes_left -= min(len(view), left)
            if len(view) > left:
                self._ran_out = self._bytes_left == 0
                limit = "budget.bytes" if self._ran_out else "budget.component_bytes"
                raise UnreadableError(UnscannedReason.OVER_BUDGET, limit)


def _number(stated: int) -> int:
    return min(max(stated, 0), wire.MAX_NUMBER)


def _where(traceback: TracebackType | None) -> str:
    """The innermost places that an exception went through, without anything that it was about."""
    places = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        places.append(f"{PurePath(code.co_filename).name}:{traceback.tb_lineno} {code.co_name}")
        traceback = traceback.tb_next
    return ", ".join(places)[-MAX_WHERE_CHARACTERS:]
