"""What must hold for every dissection, whatever the message is: the invariant that the fuzzing looks for breaches of.

How the ranges count:

- A *reading* is a way to read a range of the raw message. The main one, number 0, is of all of it. A message in a
  message is one leaf of the reading that it is found in, and its inside is a reading of its own.
- In one reading structure (spans) and content (parts, preambles, epilogues) do not overlap and stay in its range.
- The main reading covers the message: each byte is in structure, in content or in a defect. So does some reading of
  each message in a message that is literally there. Other readings need not: what comes out of them as it came out
  before is no component again.
- What is decoded from a component (origin `decoded`) is one more way to read bytes that are counted already, so it
  covers nothing; it lies in the range of what it was decoded from. Members of containers are nowhere in the message.
- Where the budget ran out, there is a defect and a report that name the limit, and nothing need be covered.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from qscan_contracts.components import Component
from qscan_contracts.defects import CATALOGUE, Defect
from qscan_contracts.ids import RAW_PATH, ComponentPath
from qscan_contracts.reports import EngineReport, Unscanned
from qscan_contracts.vocabulary import Origin, UnscannedReason
from qscan_unpacker.dissection.collecting import MAIN_READING, Dissection

_CONTENT = frozenset({Origin.PART, Origin.PREAMBLE, Origin.EPILOGUE})
MESSAGES = frozenset({"message/rfc822", "message/global", "message/news", "message/rfc2822"})


@dataclass(frozen=True, slots=True)
class Range:
    """Bytes of the raw message, and what they are."""

    start: int
    end: int
    what: str


class Structure(msgspec.Struct):
    """What of a dissection travels on the bus, but for the bytes."""

    components: list[Component]
    defects: list[Defect]
    reports: list[EngineReport]


def breaches(dissection: Dissection, raw: bytes, *, max_depth: int, max_components: int) -> list[str]:
    """Each breach of the invariant in one line that says what and where; empty where it holds. Pure.

    Call it while the contents are held.

    Args:
        dissection: finished.
        raw: the message.
        max_depth: the limit of its budget.
        max_components: the same.
    """
    over_budget = ran_out(dissection)
    found = [
        *_ranges(dissection, raw),
        *_tree(dissection, max_depth=max_depth, max_components=max_components),
        *_contents(dissection, raw),
        *_defects(dissection, raw),
        *_reports(dissection),
        *_on_the_bus(dissection),
    ]
    return found if over_budget else [*found, *_coverage(dissection, raw)]


def ran_out(dissection: Dissection) -> bool:
    """Whether the budget of the message ran out, so that there may be content that was not looked at."""
    return any(
        report.path == RAW_PATH
        and isinstance(report.outcome, Unscanned)
        and report.outcome.reason is UnscannedReason.OVER_BUDGET
        for report in dissection.reports
    )


def by_reading(dissection: Dissection) -> dict[int, list[Range]]:
    """Structure and content of each reading, in order of place; empty ranges are left out."""
    ranges: dict[int, list[Range]] = defaultdict(list)
    for span in dissection.spans:
        ranges[span.reading].append(Range(span.start, span.end, span.kind))
    for found in dissection.found:
        component = found.component
        if component.origin in _CONTENT and component.offset is not None and component.encoded_size:
            end = component.offset + component.encoded_size
            ranges[found.reading].append(Range(component.offset, end, f"component {component.path}"))
    for found_ranges in ranges.values():
        found_ranges.sort(key=lambda one: (one.start, one.end))
    return ranges


def _ranges(dissection: Dissection, raw: bytes) -> Iterator[str]:
    """Readings lie in the message; what is in one does not overlap and lies in it."""
    if not dissection.readings or dissection.readings[MAIN_READING] != (0, len(raw)):
        yield f"the main reading is not of the whole message: {dissection.readings[:1]}"
        return
    for number, (start, end) in enumerate(dissection.readings):
        if not 0 <= start <= end <= len(raw):
            yield f"reading {number} is of [{start}, {end}), the message has {len(raw)} bytes"
    for number, ranges in by_reading(dissection).items():
        if not 0 <= number < len(dissection.readings):
            yield f"{ranges[0].what} is in reading {number}, which there is not"
            continue
        start, end = dissection.readings[number]
        at, last = start, "the start of the reading"
        for one in ranges:
            if one.start < start or one.end > end or one.start >= one.end:
                yield f"{one.what} [{one.start}, {one.end}) is not in reading {number} of [{start}, {end})"
            elif one.start < at:
                yield f"{one.what} [{one.start}, {one.end}) overlaps {last} in reading {number}"
            at, last = max(at, one.end), one.what


def _coverage(dissection: Dissection, raw: bytes) -> Iterator[str]:
    """Each byte is somewhere in the main reading, and in one of each message in a message."""
    ranges = by_reading(dissection)
    noted = [
        Range(defect.offset, defect.offset + defect.length, defect.id)
        for defect in dissection.defects
        if defect.within == RAW_PATH and defect.length
    ]
    for gap in gaps([*ranges.get(MAIN_READING, ()), *noted], 0, len(raw)):
        yield f"[{gap.start}, {gap.end}) of the message is in nothing: {raw[gap.start : gap.end][:60]!r}"
    covering: dict[tuple[int, int], list[int]] = defaultdict(list)
    for number, (start, end) in enumerate(dissection.readings):
        if not any(gaps([*ranges.get(number, ()), *noted], start, end)):
            covering[start, end].append(number)
    encoded = {defect.component for defect in dissection.defects if defect.id == "mime.message.encoded"}
    messages = [
        one for one in dissection.found if one.component.content_type in MESSAGES and one.component.path not in encoded
    ]
    readings = [MAIN_READING]
    while readings:
        reading = readings.pop()
        for one in messages:
            component = one.component
            literal = component.origin is Origin.PART and component.encoded_size == component.size > 0
            if one.reading != reading or component.offset is None or not literal:
                continue
            inside = (component.offset, component.offset + component.size)
            numbers = covering.get(inside, [])
            if not numbers:
                yield f"no reading of the message {component.path} [{inside[0]}, {inside[1]}) covers it"
            elif len(numbers) == 1:  # of several, nothing tells which is the main one of that message
                readings += numbers


def gaps(ranges: Iterable[Range], start: int, end: int) -> Iterator[Range]:
    """What of ``[start, end)`` is in none of the ranges."""
    at = start
    for one in sorted(ranges, key=lambda one: one.start):
        if one.start >= end:
            break
        if one.start > at:
            yield Range(at, one.start, "gap")
        at = max(at, one.end)
    if at < end:
        yield Range(at, end, "gap")


def _tree(dissection: Dissection, *, max_depth: int, max_components: int) -> Iterator[str]:
    """Paths are unique, each below its parent, which is a component or an entity; depths grow on the way down."""
    components = [*(one.component for one in dissection.found), *dissection.unopened]
    if not components or components[0].path != RAW_PATH or components[0].origin is not Origin.RAW:
        yield "the first component is not the raw message"
        return
    # The raw message and the entities of a multipart are counted apart from what is in them.
    if len(components) > max_components + 1:
        yield f"{len(components)} components, {max_components} are allowed"
    depths: dict[ComponentPath, int] = {}
    for component in components:
        if component.path in depths:
            yield f"two components have the path {component.path!r}"
        depths[component.path] = component.depth
        if not 0 <= component.depth <= max_depth:
            yield f"{component.path} has depth {component.depth}, {max_depth} is allowed"
    for component in components[1:]:
        if component.parent != component.path.rpartition(".")[0]:
            yield f"{component.path} is not below its parent {component.parent!r}"
        elif component.depth <= depths.get(ComponentPath(component.parent), -1):
            yield f"{component.path} has depth {component.depth}, its parent {depths[component.parent]}"
        elif component.depth < component.path.count(".") + 1:
            yield f"{component.path} has depth {component.depth}"


def _contents(dissection: Dissection, raw: bytes) -> Iterator[str]:
    """Sizes and digests are those of the bytes; what is decoded lies in what it was decoded from."""
    at_path = {one.component.path: one.component for one in dissection.found}
    for found in dissection.found:
        component = found.component
        if component.size != found.content.size:
            yield f"{component.path} has {found.content.size} bytes and says {component.size}"
        if component.sha256 != hashlib.sha256(found.content.view()).hexdigest():
            yield f"the digest of {component.path} is not that of its bytes"
        if component.origin is Origin.RAW or component.offset is None or component.encoded_size is None:
            continue
        end = component.offset + component.encoded_size
        if not 0 <= component.offset <= end <= len(raw):
            yield f"{component.path} is at [{component.offset}, {end}), the message has {len(raw)} bytes"
        around = at_path.get(ComponentPath(component.parent or ""), at_path[RAW_PATH])
        if component.origin is Origin.DECODED and not _lies_in(component, around):
            yield f"{component.path} at [{component.offset}, {end}) is decoded from {around.path!r}, which is elsewhere"


def _lies_in(component: Component, around: Component) -> bool:
    if around.origin is Origin.RAW:
        return True
    if around.offset is None or around.encoded_size is None or component.offset is None:
        return False
    end = component.offset + (component.encoded_size or 0)
    return around.offset <= component.offset <= end <= around.offset + around.encoded_size


def _defects(dissection: Dissection, raw: bytes) -> Iterator[str]:
    """Each defect is in the catalogue, and its place in the message where it is in that.

    A multipart that is decoded as a whole is held and no component, so of places in that nothing is known here.
    """
    for defect in dissection.defects:
        if defect.id not in CATALOGUE:
            yield f"the defect {defect.id} is not in the catalogue"
        end = defect.offset + defect.length
        if not 0 <= defect.offset <= end or (defect.within == RAW_PATH and end > len(raw)):
            yield f"{defect.id} is at [{defect.offset}, {end}) of {defect.within!r}, the message has {len(raw)} bytes"


def _reports(dissection: Dissection) -> Iterator[str]:
    """What could not be had has a report; each report is about a component; a budget that ran out has a name."""
    paths = {component.path for component in dissection.components()}
    reported = {report.path for report in dissection.reports}
    for component in dissection.unopened:
        if component.path not in reported:
            yield f"{component.path} could not be had, and no report says so"
    noted = {str(defect.id) for defect in dissection.defects}
    noted |= {defect.detail for defect in dissection.defects if defect.id == "budget.elements"}
    for report in dissection.reports:
        if report.path not in paths:
            yield f"a report is about {report.path!r}, which there is not"
        if not isinstance(report.outcome, Unscanned):
            yield f"the unpacker reports {report.outcome!r}"
        elif report.outcome.reason is UnscannedReason.OVER_BUDGET and report.outcome.detail not in noted:
            yield f"{report.path!r} is over budget, and no defect names the limit {report.outcome.detail!r}"


def _on_the_bus(dissection: Dissection) -> Iterator[str]:
    """Everything that travels can be written, in MessagePack and in JSON, and comes back the same."""
    structure = Structure(dissection.components(), dissection.defects, dissection.reports)
    try:
        packed, text = msgspec.msgpack.encode(structure), msgspec.json.encode(structure)
    except (UnicodeEncodeError, OverflowError, TypeError) as error:
        yield f"cannot be encoded: {error}"
        return
    if msgspec.msgpack.decode(packed, type=Structure) != structure:
        yield "comes back from MessagePack in another way"
    if msgspec.json.decode(text, type=Structure) != structure:
        yield "comes back from JSON in another way"
