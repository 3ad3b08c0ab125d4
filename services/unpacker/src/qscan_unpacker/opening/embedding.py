r"""What OLE 1 puts around an embedded file: the object header (MS-OLEDS 2.2.5) and the packager's package.

The package is what a user gets who drags a file into a document. Microsoft does not describe it; its layout is known
from the readers that exist: label, original path, temporary path, content, and the same names once more in UTF-16.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from qscan_unpacker.opening.code_pages import readings, utf16

_LINKED_OBJECT: Final = 1
_EMBEDDED_OBJECT: Final = 2
_PACKAGE_STREAM: Final = 2
_MAX_NAME_BYTES: Final = 4096


@dataclass(frozen=True)
class Package:
    """An embedded file: every name that the package gives it, and its content."""

    names: tuple[str, ...]
    content: memoryview


@dataclass(frozen=True)
class Ole1Object:
    """An OLE 1 object: `names` are what it links to or was made from; `native` is empty for a link."""

    class_name: str
    names: tuple[str, ...]
    native: memoryview


class _Ended(Exception):  # noqa: N818 -- no error: the caller takes what it has
    """The bytes end where more were stated."""


class _Cursor:
    """Reads from the front. Lengths are checked, content that is cut short is given as far as it is there."""

    def __init__(self, data: memoryview) -> None:
        self.data, self.at = data, 0

    def number(self, size: int) -> int:
        if self.at + size > len(self.data):
            raise _Ended
        self.at += size
        return int.from_bytes(self.data[self.at - size : self.at], "little")

    def content(self, size: int) -> memoryview:
        start = self.at
        self.at = min(start + size, len(self.data))
        return self.data[start : self.at]

    def name(self) -> bytes:
        """Read a name that ends in NUL."""
        name, nul, _ = bytes(self.data[self.at : self.at + _MAX_NAME_BYTES]).partition(b"\0")
        if not nul:
            raise _Ended
        self.at += len(name) + 1
        return name

    def counted(self, unit: int = 1) -> bytes:
        """Read a name behind its length."""
        size = self.number(4) * unit
        if size > _MAX_NAME_BYTES:
            raise _Ended
        return bytes(self.content(size))


def packages(data: memoryview) -> list[Package]:
    """Read a package; empty where this is none.

    The temporary path has a length and a NUL at its end. Where the two disagree there are two readings of what
    follows.

    Args:
        data: from the number that says «stream» on: behind the size in an Ole10Native stream, the native data of an
            OLE 1 object.
    """
    found = (_package(data, by_length=by_length) for by_length in (True, False))
    return list({(bytes(each.content[:16]), len(each.content)): each for each in found if each}.values())


def _package(data: memoryview, *, by_length: bool) -> Package | None:
    cursor = _Cursor(data)
    try:
        if cursor.number(2) != _PACKAGE_STREAM:
            return None
        names = [cursor.name(), cursor.name()]
        cursor.number(4)  # how it is embedded
        if by_length:
            names.append(cursor.counted())
        else:
            cursor.number(4)
            names.append(cursor.name())
        content = cursor.content(cursor.number(4))
    except _Ended:
        return None
    texts = [text for name in names for text in readings(name)]
    with suppress(_Ended):  # Older packagers write no UTF-16.
        texts += [utf16(cursor.counted(unit=2)) for _ in range(3)]
    return Package(tuple(dict.fromkeys(filter(None, texts))), content)


def ole1_object(data: memoryview) -> Ole1Object | None:
    """Read an OLE 1 object; None where this is none."""
    cursor = _Cursor(data)
    try:
        cursor.number(4)  # the version: any number does for the readers in use
        kind = cursor.number(4)
        if kind not in {_LINKED_OBJECT, _EMBEDDED_OBJECT}:
            return None
        class_name, topic, item = (cursor.counted() for _ in range(3))
        names = [topic, item]
        native = data[:0]
        if kind == _LINKED_OBJECT:
            names.append(cursor.counted())  # the network's name of the file
        else:
            native = cursor.content(cursor.number(4))
    except _Ended:
        return None
    texts = tuple(dict.fromkeys(text for name in names for text in readings(name)))
    return Ole1Object("".join(readings(class_name)[:1]), texts, native)
