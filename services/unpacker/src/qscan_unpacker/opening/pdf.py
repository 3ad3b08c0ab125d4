"""Opens PDF: the files that are embedded in it, whoever refers to them and however.

Library: pikepdf 10 (MPL-2.0, kept up), which is qpdf. pypdf 7 (BSD-3-Clause, kept up) recovers about as much of damaged
files, a little more of some, but takes five to thirteen times as long for the objects of a large document. Pillow and
lxml, which pikepdf wants installed, are not loaded. What qpdf cannot read, and what its table of objects leaves out, is
looked for in the bytes: a stream is always literal in the file.
"""

import io
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import pikepdf
from pikepdf import settings

from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening.allowance import pieces_of, within
from qscan_unpacker.opening.members import Event, Member, OpenRequest, UnreadableError
from qscan_unpacker.opening.pdf_filters import decoded, named_in

MAX_DECODED_BYTES: Final = 128 * 1024 * 1024
"""Of one stream that the library decodes: tables and compressed objects, and files with predictors."""
MAX_NESTING: Final = 100
MAX_OBJECTS: Final = 500_000
"""In one document: about five seconds, and most of the sandbox's memory. A book has a hundred thousand."""
MAX_LOOKS: Final = 500_000
"""At arrays and dictionaries inside of objects that mention a file, in one document."""
MAX_WARNINGS: Final = 10_000
"""Of the library, which then gives up: an ordinary damaged file has a few."""

MAX_LITERALS: Final = 100_000
"""Marks of embedded files that are looked at in the bytes."""

_LIBRARY_ERRORS: Final = (pikepdf.PikepdfError, ValueError, RuntimeError)
"""Names that are not UTF-8 are ValueErrors, and what qpdf has no error for may be a RuntimeError."""

_OVERLAP: Final = 4
"""How many times the file's size may be read from it: what means no harm shares no bytes."""
_DIRECT: Final = (0, 0)
"""The number of an object that has none, because it is inside another."""
_FILE_KEYS: Final = ("/UF", "/F", "/Unix", "/DOS", "/Mac")
_MAX_NAME_CHARS: Final = 1024
_LITERAL: Final = re.compile(rb"/EmbeddedFile(?![A-Za-z0-9])")
_MAX_DICTIONARY_BYTES: Final = 4096
_OBJECT_NUMBER: Final = re.compile(rb"[0-9]{1,10}\s{1,8}[0-9]{1,5}\s{1,8}\Z")
_NUMBER_BYTES: Final = 32
_LINE_END: Final = re.compile(rb"(?:\r\n|\n|\r)\Z")
_STREAM: Final = re.compile(rb"stream(\r\n|\n|\r)")

logging.getLogger("pikepdf").addHandler(logging.NullHandler())  # Otherwise its warnings go to standard error.
settings.set_qpdf_limits(
    doc_max_warnings=MAX_WARNINGS,
    parser_max_nesting=MAX_NESTING,
    flate_max_memory=MAX_DECODED_BYTES,
    png_max_memory=MAX_DECODED_BYTES,
    tiff_max_memory=MAX_DECODED_BYTES,
    run_length_max_memory=MAX_DECODED_BYTES,
)

# AES-256 makes qpdf open /dev/urandom and keep it. It must have done so before the sandbox lets nothing be opened.
pikepdf.new().save(io.BytesIO(), encryption=pikepdf.Encryption(owner="", user="", R=6))


def open_pdf(data: memoryview, request: OpenRequest) -> Iterator[Event]:
    """Open a PDF document (see `Opener`)."""
    return within(request, _events(data, request))


def _events(data: memoryview, request: OpenRequest) -> Iterator[Event]:
    try:
        document, password = _opened(data, request.passwords)
    except _LIBRARY_ERRORS as error:
        yield from _literal_files(data, frozenset())
        unsupported = "encryption" in str(error)
        reason = UnscannedReason.ENCRYPTED if unsupported else UnscannedReason.NOT_UNPACKABLE
        raise UnreadableError(reason, f"PDF: {type(error).__name__}") from None
    with document:
        encrypted = bool(password)
        if document.is_encrypted:
            yield Member(request.names, _in_clear(document), encrypted=encrypted)
        files = _Files(_OVERLAP * len(data))
        problem = files.collect(document)
        yield from files.events(encrypted=encrypted)
        if not document.is_encrypted:
            yield from _literal_files(data, frozenset(_offsets(document, files)))
        if problem is not None:
            raise problem


def _opened(data: memoryview, passwords: tuple[str, ...]) -> tuple[pikepdf.Pdf, str]:
    """Open with the first password that fits; the empty one is what most encrypted documents open with.

    Raises:
        UnreadableError: `encrypted`: none fits.
        PikepdfError: no PDF, or one too broken.
    """
    for password in ("", *passwords):
        try:
            document = pikepdf.open(io.BytesIO(data), password=password, inherit_page_attributes=False)
        except pikepdf.PasswordError:
            continue
        return document, password
    raise UnreadableError(UnscannedReason.ENCRYPTED, "PDF: no password fits")


def _in_clear(document: pikepdf.Pdf) -> Iterator[bytes]:
    """Yield the document without its encryption: scanners that cannot undo it would see nothing of it."""
    clear = io.BytesIO()
    try:
        document.save(clear, encryption=False, fix_metadata_version=False, static_id=True)
    except _LIBRARY_ERRORS as error:
        raise UnreadableError(UnscannedReason.NOT_UNPACKABLE, f"PDF: {type(error).__name__}") from None
    yield from pieces_of(clear.getbuffer())


def _damaged(error: Exception) -> UnreadableError:
    return UnreadableError(UnscannedReason.NOT_UNPACKABLE, f"PDF: {type(error).__name__}")


class _TooManyError(Exception):
    """There is more to look at than any document has."""


@dataclass
class _Files:
    """The embedded files of a document: streams by their number, and the names that refer to each."""

    bytes_left: int
    """To be read from the file, before filters: streams that share their bytes are read as often as they are."""
    looks_left: int = field(default_factory=lambda: MAX_LOOKS)
    streams: dict[tuple[int, int], pikepdf.Object] = field(default_factory=dict)
    names: dict[tuple[int, int], list[str]] = field(default_factory=dict)
    keys: dict[tuple[int, int], str] = field(default_factory=dict)
    """Names in name trees, by the number of the file specification."""
    specifications: list[tuple[tuple[int, int], pikepdf.Object]] = field(default_factory=list)

    def collect(self, document: pikepdf.Pdf) -> UnreadableError | None:
        """Look through all objects; returns what kept it from some of them, None where nothing did."""
        problem = None
        try:
            if len(document.get_xref_table()) > MAX_OBJECTS:
                return UnreadableError(UnscannedReason.OVER_BUDGET, f"PDF: over {MAX_OBJECTS} objects")
            for found in document.objects:
                try:
                    self._look_at(found)
                except _TooManyError:
                    detail = f"PDF: over {MAX_LOOKS} arrays and dictionaries that may be of files"
                    return UnreadableError(UnscannedReason.OVER_BUDGET, detail)
                except _LIBRARY_ERRORS as error:
                    problem = _damaged(error)
        except _LIBRARY_ERRORS as error:
            problem = _damaged(error)
        return problem

    def _look_at(self, found: pikepdf.Object) -> None:
        """Look through an object and all that is directly in it."""
        if isinstance(found, pikepdf.Stream):
            if found.stream_dict.get("/Type") == pikepdf.Name.EmbeddedFile:
                self.streams[found.objgen] = found
            found = found.stream_dict
        elif not isinstance(found, pikepdf.Dictionary | pikepdf.Array):
            return
        written = found.unparse(resolved=True)  # Much faster than a look at each key from here.
        if b"/EF" in written or b"/Names" in written:
            self._look_into(found)

    def _look_into(self, found: pikepdf.Object) -> None:
        self._look_at_one(found, found.objgen)
        open_containers = [_children(found)]
        while open_containers:
            child = next(open_containers[-1], None)
            if child is None:
                open_containers.pop()
                continue
            self.looks_left -= 1
            if self.looks_left < 0:
                raise _TooManyError
            self._look_at_one(child, _DIRECT)
            open_containers.append(_children(child))

    def _look_at_one(self, found: pikepdf.Object, number: tuple[int, int]) -> None:
        if isinstance(found, pikepdf.Dictionary):
            if isinstance(found.get("/EF"), pikepdf.Dictionary):
                self.specifications.append((number, found))
            if isinstance(tree := found.get("/Names"), pikepdf.Array):
                self._read_names(tree)

    def _read_names(self, tree: pikepdf.Array) -> None:
        entries = list(tree)
        for key, specification in zip(entries[::2], entries[1::2], strict=False):
            if isinstance(key, pikepdf.String) and isinstance(specification, pikepdf.Dictionary):
                self.keys[specification.objgen] = _text(key)

    def events(self, *, encrypted: bool) -> Iterator[Event]:
        for number, specification in self.specifications:
            names = [_text(name) for key in _FILE_KEYS if isinstance(name := specification.get(key), pikepdf.String)]
            if number != _DIRECT and number in self.keys:
                names.append(self.keys[number])
            for stream in specification.EF.values():
                if isinstance(stream, pikepdf.Stream):
                    self.streams[stream.objgen] = stream
                    self.names.setdefault(stream.objgen, []).extend(names)
        for number, stream in self.streams.items():
            names = self.names.get(number, [])
            yield Member(tuple(dict.fromkeys(filter(None, names))), self._content(stream), encrypted=encrypted)

    def _content(self, stream: pikepdf.Object) -> Iterator[bytes]:
        """Yield what an embedded stream holds."""
        try:
            raw = stream.read_raw_bytes()
            self.bytes_left -= len(raw)
            if self.bytes_left < 0:
                raise UnreadableError(UnscannedReason.OVER_BUDGET, "budget.bytes")
            if _has_parameters(stream):
                yield from pieces_of(stream.read_bytes())
            else:
                yield from decoded(raw, _filters(stream))
        except _LIBRARY_ERRORS as error:
            raise UnreadableError(UnscannedReason.NOT_UNPACKABLE, f"PDF stream: {type(error).__name__}") from None


def _children(container: pikepdf.Object) -> Iterator[pikepdf.Object]:
    """Yield the arrays and dictionaries that are directly in one."""
    children = container.values() if isinstance(container, pikepdf.Dictionary) else container
    for child in children:
        if isinstance(child, pikepdf.Dictionary | pikepdf.Array) and not child.is_indirect:
            yield child


def _filters(stream: pikepdf.Object) -> list[str]:
    value = stream.stream_dict.get("/Filter")
    names = list(value) if isinstance(value, pikepdf.Array) else [value]
    return [name.unparse().decode("ascii", "replace") for name in names if isinstance(name, pikepdf.Name)]


def _has_parameters(stream: pikepdf.Object) -> bool:
    """Whether a filter has parameters that change what comes out, as predictors do."""
    value = stream.stream_dict.get("/DecodeParms")
    each = list(value) if isinstance(value, pikepdf.Array) else [value]
    return any(isinstance(one, pikepdf.Dictionary) and ("/Predictor" in one or "/EarlyChange" in one) for one in each)


def _text(string: pikepdf.Object) -> str:
    """Decode a text string (ISO 32000-2 §7.9.2.2); bytes in no encoding that it allows are taken for Latin-1."""
    raw = bytes(string)[: 2 * _MAX_NAME_CHARS]
    if raw.startswith(b"\xfe\xff"):
        return raw[2:].decode("utf-16-be", "replace")
    if raw.startswith(b"\xff\xfe"):
        return raw[2:].decode("utf-16-le", "replace")
    try:
        return raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _offsets(document: pikepdf.Pdf, files: _Files) -> Iterator[int]:
    """Yield where the streams that were given begin."""
    table = document.get_xref_table()
    for number in files.streams:
        entry = table.get(number)
        if entry is not None and entry.offset is not None:
            yield entry.offset


def _literal_files(data: memoryview, known: frozenset[int]) -> Iterator[Event]:
    """Yield embedded streams that no table leads to: of earlier revisions, and of files that are too broken.

    Args:
        data: all of the file.
        known: where streams begin that have been given, from the file's start or from that of its PDF.
    """
    raw = bytes(data)
    shift = max(0, raw.find(b"%PDF-"))
    at = 0
    for _ in range(MAX_LITERALS):
        mark = _LITERAL.search(raw, at)
        if mark is None:
            return
        at = mark.end()
        head = raw.rfind(b"obj", max(0, mark.start() - _MAX_DICTIONARY_BYTES), mark.start())
        number = _OBJECT_NUMBER.search(raw[max(0, head - _NUMBER_BYTES) : max(0, head)])
        stream = _STREAM.search(raw, at, at + _MAX_DICTIONARY_BYTES)
        if number is None or stream is None:
            continue
        end = raw.find(b"endstream", stream.end())
        end = len(raw) if end < 0 else end
        at = end
        start = max(0, head - _NUMBER_BYTES) + number.start()
        if not known & {start, start - shift}:
            content = _LINE_END.sub(b"", raw[stream.end() : end], count=1)
            yield Member((), decoded(content, named_in(raw[head : stream.start()])))
    raise UnreadableError(UnscannedReason.OVER_BUDGET, f"PDF: over {MAX_LITERALS} marks of embedded files")
