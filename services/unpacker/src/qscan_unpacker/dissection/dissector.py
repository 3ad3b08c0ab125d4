"""The dissector: from the bytes of a message to everything in it (DESIGN §1).

The message is taken apart into entities; each component is looked at for what else is in it: another message, files
wrapped in its text, a container. Containers are opened elsewhere, in a process of their own; `dissect` alone needs
neither that nor another thread, and most messages are done with it.
"""

import math
import re

from qscan_contracts.components import CandidateName, Component
from qscan_contracts.ids import RAW_PATH, Sha256
from qscan_contracts.vocabulary import NameSource, Origin, UnscannedReason
from qscan_unpacker.dissection.budget import Budget, OverBudgetError
from qscan_unpacker.dissection.charsets import PlainerReading, plainer_reading
from qscan_unpacker.dissection.collecting import Collector, Dissection, Found, Place
from qscan_unpacker.dissection.containers import Containers, Opening
from qscan_unpacker.dissection.entities import EntityDissector
from qscan_unpacker.dissection.entity import Entity
from qscan_unpacker.dissection.holding import HeldContent, Holding
from qscan_unpacker.dissection.leaves import MESSAGE_TYPES
from qscan_unpacker.dissection.passwords import MAX_TEXT_CHARACTERS, candidate_passwords
from qscan_unpacker.dissection.walk import Walk
from qscan_unpacker.dissection.wrapped.finding import TooManyFilesError, wrapped_files
from qscan_unpacker.dissection.wrapped.wrapped_file import WrappedFile
from qscan_unpacker.opening.kinds import recognise

_MESSAGE_SUFFIXES = (".eml", ".mht", ".mhtml", ".nws", ".rfc822")
_PAGE_SUFFIXES = (".htm", ".html", ".shtml", ".xht", ".xhtml", ".svg", ".hta")
"""Of what a browser shows."""
_MESSAGE_START = re.compile(
    rb"(?:[!-9;-~]{1,60}:[^\n]{0,998}\n(?:[ \t][^\n]{0,998}\n){0,50}){0,100}?(?:mime-version|content-type):",
    re.IGNORECASE,
)
"""A MIME field among the first fields of a header."""
_NAME_SOURCES = {"uuencode": NameSource.UUENCODE, "yenc": NameSource.YENC, "binhex": NameSource.BINHEX}
_DEFECTS = {
    "uuencode": "uuencode.in_text",
    "yenc": "yenc.in_text",
    "binhex": "binhex.in_text",
    "data_url": "data_url.in_text",
    "base64": "base64.in_text",
}
_TEXTS = (
    "text/",
    "message/",
    "application/xml",
    "application/xhtml",
    "image/svg",
    "application/javascript",
    "application/hta",
)
_PGP_MESSAGE = b"-----BEGIN PGP MESSAGE-----"
"""RFC 9580 §6.2: encrypted, or at least nothing that a scanner can read."""
_PGP_MESSAGE_INSIDE = re.compile(rb"\n" + _PGP_MESSAGE)
_HEAD_BYTES = 8 * 1024


class Dissector:
    """Dissects one message. Its bytes must stay as they are until the result is no longer used."""

    def __init__(
        self,
        raw: bytes | memoryview,
        raw_sha256: Sha256,
        holding: Holding,
        budget: Budget,
        raw_content: HeldContent,
    ) -> None:
        """Dissect `raw`; large decoded content goes to `holding`, and `budget` bounds it all."""
        self._raw, self._content, self._budget = raw, raw_content, budget
        component = Component(RAW_PATH, None, 0, Origin.RAW, len(raw), raw_sha256, detected_type="message/rfc822")
        self.dissection = Dissection([Found(component, raw_content)], readings=[(0, len(raw))])
        self._collector = Collector(self.dissection, holding, budget)
        self._walk = Walk(self._collector, self._explore)
        self._entities = EntityDissector(self._walk)
        self._containers = Containers(self._collector, self._explore)
        self.ran_out_of = ""
        """The limit that ended the dissection, as the id of a defect; ``""`` for none."""

    def dissect(self, at_most_s: float = math.inf) -> Dissection:
        """The components, the raw message first; never fails for what is in a message.

        `at_most_s` is for callers that cannot wait as long as the budget lasts: `ran_out_of` tells whether it was
        enough. Containers stay closed; where there are some, `has_containers` says so and `open_containers` goes on.

        Raises:
            OSError: the disk under the holding is full or broken.
        """
        source = self._walk.source(self._content, RAW_PATH, raw=self._raw)
        self._walk.add([Entity(source, RAW_PATH, RAW_PATH, 0, 0, len(self._raw), is_message=True)])
        with self._budget.counting(at_most_s):
            try:
                self._entities.run()
            except OverBudgetError as error:
                self._ran_out(error)
        self.dissection.sort()
        return self.dissection

    @property
    def has_containers(self) -> bool:
        """Whether there is something for `open_containers` to do."""
        return bool(self._containers) and not self.ran_out_of

    def open_containers(self, opening: Opening) -> None:
        """Open the containers and whatever is in them, down to the budget; the dissection gets the components.

        Raises:
            OSError: the disk under the holding is full or broken.
        """
        passwords = self._passwords()
        with self._budget.counting():
            try:
                while self._containers:
                    self._containers.open_next(opening, passwords)
                    self._entities.run()
            except OverBudgetError as error:
                self._ran_out(error)
        self.dissection.sort()

    def _ran_out(self, error: OverBudgetError) -> None:
        self.ran_out_of = error.limit
        self._walk.give_up()
        self._collector.note(error.limit, RAW_PATH, 0)
        self._collector.report(RAW_PATH, UnscannedReason.OVER_BUDGET, error.limit)

    # ---------------------------------------------------------------------------------------- what is in a component

    def _explore(self, found: Found, charset: str = "", *, is_decoded: bool = False) -> None:
        """Look into a component; `is_decoded`: from a charset that hides its letters. Raises OverBudgetError."""
        component, content = found.component, found.content
        if not content.size:
            return
        view = content.view()
        names = [name.text for name in component.names]
        head = bytes(view[:_HEAD_BYTES])
        self._plainer(found, view, plainer_reading(view, charset, is_text=_is_text(component), is_decoded=is_decoded))
        if _is_message(component, names, head):
            path, depth = component.path, component.depth + 1
            # A part that is no message to whoever believes its header.
            further = component.origin not in {Origin.MEMBER, Origin.DECODED}
            source = self._walk.source(content, path)
            self._walk.add([Entity(source, path, path, depth, 0, content.size, is_message=True, further=further)])
        # The inside of a message has been walked, text by text.
        if _may_be_text(component, head) and not _is_walked(component):
            if head.startswith(_PGP_MESSAGE) or _PGP_MESSAGE_INSIDE.search(view) is not None:
                self._collector.report(component.path, UnscannedReason.ENCRYPTED, "PGP message")
            try:
                for wrapped in wrapped_files(view):
                    self._unwrap(found, wrapped)
            except TooManyFilesError:
                raise OverBudgetError("budget.components") from None
        kinds = recognise(view, declared=component.content_type, names=names)
        if kinds:
            self._containers.add(found, kinds)

    def _plainer(self, found: Found, view: memoryview, reading: PlainerReading | None) -> None:
        if reading is None:
            return
        component = found.component
        place = Place(component.path, component.path, component.depth + 1, Origin.DECODED, component.content_type)
        plainer = self._collector.another(reading.decode(view), place)
        if plainer is not None:
            self._explore(plainer, is_decoded=reading.is_last)

    def _unwrap(self, found: Found, wrapped: WrappedFile) -> None:
        """A file that is encoded in a text."""
        collector, component = self._collector, found.component
        literal = _is_literal(component)
        offset = wrapped.offset + (component.offset or 0 if literal else 0)
        source = _NAME_SOURCES.get(wrapped.kind, NameSource.CONTENT_TYPE_NAME)
        place = Place(
            component.path,
            component.path,
            component.depth + 1,
            Origin.DECODED,
            names=tuple(CandidateName(name, source) for name in wrapped.names),
            offset=offset if literal else None,
            encoded_size=wrapped.length if literal else None,
        )
        inside = collector.another(wrapped.pieces, place)
        if inside is not None:
            within = RAW_PATH if literal else component.path
            collector.note(_DEFECTS[wrapped.kind], component.path, offset, wrapped.length, within=within)
            if not wrapped.complete:
                collector.note("wrapped.damaged", component.path, offset, wrapped.length, within=within)
            self._explore(inside)

    def _passwords(self) -> tuple[str, ...]:
        texts = [field.value.decode("utf-8", errors="replace") for field in self.dissection.top.all(b"subject")]
        texts += [
            found.content.read(0, MAX_TEXT_CHARACTERS).decode("utf-8", errors="replace")
            for found in self.dissection.found
            if found.component.content_type in {"text/plain", "text/html", ""}
            and found.component.origin is not Origin.RAW
        ]
        return candidate_passwords(texts, self._budget.limits.max_password_attempts)


def _is_text(component: Component) -> bool:
    """Whether a reader, or the program that opens it by its name, decodes it as a text."""
    if component.content_type.startswith("text/") or component.detected_type in {"text/html", "image/svg+xml"}:
        return True
    return any(name.text.lower().rstrip(". ").endswith(_PAGE_SUFFIXES) for name in component.names)


def _may_be_text(component: Component, head: bytes) -> bool:
    """Whether files may be wrapped in it: whether a reader may take it for a text.

    What stands in the message without an encoding is read line by line by some, whatever it is declared as, and what is
    not declared is a text (RFC 2045 §5.2). Of the rest, what is known to be something else is left to who opens that.
    """
    if (component.origin is Origin.PART and not component.content_type) or _is_literal(component):
        return True
    if component.content_type.startswith(_TEXTS) or component.detected_type.startswith(_TEXTS):
        return True
    return not component.detected_type and b"\0" not in head


def _is_literal(component: Component) -> bool:
    """Whether its bytes stand in the raw message as they are."""
    return component.offset is not None and component.encoded_size == component.size


def _is_walked(component: Component) -> bool:
    """Whether it is a message that is walked anyway, or another decoding of one: then a defect says so."""
    return component.content_type.encode() in MESSAGE_TYPES


def _is_message(component: Component, names: list[str], head: bytes) -> bool:
    """Whether a component that is not declared as a message is one all the same: by its name, or by how it begins."""
    if _is_walked(component):
        return False
    return any(name.lower().endswith(_MESSAGE_SUFFIXES) for name in names) or _MESSAGE_START.match(head) is not None
