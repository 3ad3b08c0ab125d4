"""Opens TNEF, Outlook's winmail.dat (MS-OXTNEF): attachments, nested messages and bodies.

A reader of our own: tnefparse 1.4 (LGPL) copies the rest of the file for each attribute, recurses along nested messages
and fails as a whole where a sender's name is not what it expects. Checksums are not looked at: no reader stops there.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening.allowance import pieces_of, within
from qscan_unpacker.opening.code_pages import readings, utf16
from qscan_unpacker.opening.compressed_rtf import decompress
from qscan_unpacker.opening.mapi import STRING8, UNICODE, Property, properties
from qscan_unpacker.opening.members import Event, Member, Noted, OpenRequest, Unopened, UnreadableError

MAX_ATTRIBUTES: Final = 200_000
"""In one stream. A message with ten attachments has a hundred."""

_SIGNATURE: Final = bytes.fromhex("789f3e22")
_FIRST_ATTRIBUTE_AT: Final = 6
_HEADER_BYTES: Final = 9
_CHECKSUM_BYTES: Final = 2
_MAX_NAME_BYTES: Final = 4096
_INTERFACE_ID_BYTES: Final = 16
_INTERFACE_ID_END: Final = bytes.fromhex("0000c000000000000046")
"""How the ids of OLE's interfaces end, which stand before an embedded message or storage."""


class _Level(IntEnum):
    MESSAGE = 1
    ATTACHMENT = 2


class _Attribute(IntEnum):
    """The attributes that matter here (MS-OXTNEF 2.1.3.2)."""

    BODY = 0x800C
    DATA = 0x800F
    TITLE = 0x8010
    META_FILE = 0x8011
    TRANSPORT_NAME = 0x9001
    RENDERING = 0x9002
    """Comes first of those of an attachment."""
    MESSAGE_PROPERTIES = 0x9003
    PROPERTIES = 0x9005
    CODE_PAGE = 0x9007


class _Id(IntEnum):
    """The MAPI properties that matter here (MS-OXPROPS)."""

    BODY = 0x1000
    COMPRESSED_RTF = 0x1009
    HTML = 0x1013
    DISPLAY_NAME = 0x3001
    ATTACHMENT = 0x3701
    SHORT_NAME = 0x3704
    LONG_NAME = 0x3707
    RENDERING = 0x3709
    TRANSPORT_NAME = 0x370C


_NAMES: Final = frozenset({_Id.DISPLAY_NAME, _Id.SHORT_NAME, _Id.LONG_NAME, _Id.TRANSPORT_NAME})
_CONTENTS: Final = frozenset({_Id.ATTACHMENT, _Id.RENDERING})


def open_tnef(data: memoryview, request: OpenRequest) -> Iterator[Event]:
    """Open a TNEF stream (see `Opener`)."""
    return within(request, _Stream().events(data))


@dataclass
class _Attachment:
    """What was seen of an attachment so far."""

    names: list[str] = field(default_factory=list)
    contents: list[memoryview] = field(default_factory=list)
    unread: list[Unopened] = field(default_factory=list)

    def events(self) -> Iterator[Event]:
        names = tuple(dict.fromkeys(filter(None, self.names)))
        for content in self.contents:
            yield Member(names, pieces_of(content))
        for each in self.unread:
            yield Unopened(names, each.size, each.reason, each.detail)


class _Stream:
    """A stream while it is read: the code page and the attachment that the place is in."""

    def __init__(self) -> None:
        self._code_page = 0
        self._attachment = _Attachment()
        self._notes: list[Noted] = []

    def events(self, data: memoryview) -> Iterator[Event]:
        if data[: len(_SIGNATURE)] != _SIGNATURE:
            raise UnreadableError(UnscannedReason.NOT_UNPACKABLE, "no signature of TNEF")
        for level, attribute, value in self._attributes(data):
            if level == _Level.MESSAGE:
                yield from self._of_message(attribute, value)
            else:
                yield from self._of_attachment(attribute, value)
        yield from self._attachment.events()
        yield from self._notes

    def _attributes(self, data: memoryview) -> Iterator[tuple[int, int, memoryview]]:
        """Yield level, id and value of each. An attribute cut short is given as far as it is there."""
        at = _FIRST_ATTRIBUTE_AT
        for _ in range(MAX_ATTRIBUTES):
            if at + _HEADER_BYTES > len(data) or data[at] not in (_Level.MESSAGE, _Level.ATTACHMENT):
                if at < len(data):
                    self._notes.append(Noted("archive.surrounded", at, len(data) - at))
                return
            start = at + _HEADER_BYTES
            size = int.from_bytes(data[at + 5 : start], "little")
            if start + size > len(data):
                self._notes.append(Noted("archive.size_wrong", at, len(data) - at))
            yield data[at], int.from_bytes(data[at + 1 : at + 3], "little"), data[start : start + size]
            at = start + size + _CHECKSUM_BYTES
        raise UnreadableError(UnscannedReason.OVER_BUDGET, f"TNEF with over {MAX_ATTRIBUTES} attributes")

    def _of_message(self, attribute: int, value: memoryview) -> Iterator[Event]:
        match attribute:
            case _Attribute.CODE_PAGE:
                self._code_page = int.from_bytes(value[:4], "little")
            case _Attribute.BODY:
                yield Member(("body.txt",), pieces_of(value))
            case _Attribute.MESSAGE_PROPERTIES | _Attribute.PROPERTIES:
                for each in self._properties(value):
                    yield from (each,) if isinstance(each, Unopened) else _body(each)
            case _:
                pass

    def _of_attachment(self, attribute: int, value: memoryview) -> Iterator[Event]:
        match attribute:
            case _Attribute.RENDERING:
                yield from self._attachment.events()
                self._attachment = _Attachment()
            case _Attribute.DATA | _Attribute.META_FILE:
                self._attachment.contents.append(value)
            case _Attribute.TITLE | _Attribute.TRANSPORT_NAME:
                self._attachment.names += readings(bytes(value[:_MAX_NAME_BYTES]), self._code_page)
            case _Attribute.PROPERTIES | _Attribute.MESSAGE_PROPERTIES:
                for each in self._properties(value):
                    self._of_attachment_property(each)
            case _:
                pass

    def _of_attachment_property(self, each: Property | Unopened) -> None:
        if isinstance(each, Unopened):
            self._attachment.unread.append(each)
        elif each.id in _NAMES:
            name = bytes(each.value[:_MAX_NAME_BYTES])
            if each.type == UNICODE:
                self._attachment.names.append(utf16(name))
            elif each.type == STRING8:
                self._attachment.names += readings(name, self._code_page)
        elif each.id in _CONTENTS:
            self._attachment.contents.append(_without_interface_id(each.value))

    @staticmethod
    def _properties(value: memoryview) -> Iterator[Property | Unopened]:
        """Yield properties; what cannot be read of the list is named, and the attributes behind it go on."""
        try:
            yield from properties(value)
        except UnreadableError as error:
            yield Unopened((), len(value), error.reason, error.detail)


def _body(found: Property) -> Iterator[Event]:
    match found.id:
        case _Id.BODY:
            yield Member(("body.txt",), pieces_of(found.value))
        case _Id.HTML:
            yield Member(("body.html",), pieces_of(found.value))
        case _Id.COMPRESSED_RTF:
            yield Member(("body.rtf",), decompress(found.value))
        case _:
            pass


def _without_interface_id(value: memoryview) -> memoryview:
    """Take away the id before an embedded object: behind it a nested message is TNEF again."""
    if value[6:_INTERFACE_ID_BYTES] == _INTERFACE_ID_END:
        return value[_INTERFACE_ID_BYTES:]
    return value
