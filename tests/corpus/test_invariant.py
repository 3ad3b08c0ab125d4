"""The invariant of the fuzzing: it holds for what the dissector makes, and each breach of it is seen."""

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from qscan_contracts.components import CandidateName
from qscan_contracts.ids import ComponentPath, EngineName, FindingId, Sha256
from qscan_contracts.reports import Clean, EngineReport, Unscanned
from qscan_contracts.vocabulary import NameSource, UnscannedReason
from qscan_unpacker.dissection.budget import Budget, Limits
from qscan_unpacker.dissection.collecting import Dissection, Found, Span, SpanKind
from qscan_unpacker.dissection.dissector import Dissector
from qscan_unpacker.dissection.holding import Holding, content_of
from tests.corpus.fuzzing.checking import lost
from tests.corpus.fuzzing.invariant import Range, breaches, gaps, ran_out

RAW = b"""\
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="b"

preamble
--b
Content-Type: text/plain

begin 644 a.txt
#0V%T
`
end
--b
Content-Type: message/rfc822

Subject: inner

inside
--b
Content-Transfer-Encoding: base64

aGVsbG8=
--b--
"""


@pytest.fixture
def dissection() -> Iterator[Dissection]:
    """Of `RAW`, as the dissector makes it."""
    with held(RAW) as (dissection, _):
        yield dissection


class held:  # noqa: N801  # a context manager that reads as a word
    """A dissection, as long as its contents are held."""

    def __init__(self, raw: bytes, limits: Limits | None = None) -> None:
        self._raw, self._limits = raw, limits or Limits()
        self._holding = Holding(Path(tempfile.gettempdir()))

    def __enter__(self) -> tuple[Dissection, Limits]:
        content, sha256 = content_of(self._raw)
        dissector = Dissector(self._raw, sha256, self._holding, Budget(self._limits, lambda: 0.0), content)
        return dissector.dissect(), self._limits

    def __exit__(self, *_: object) -> None:
        self._holding.__exit__()


def seen(dissection: Dissection, raw: bytes = RAW, limits: Limits | None = None) -> list[str]:
    """The breaches."""
    limits = limits or Limits()
    return breaches(dissection, raw, max_depth=limits.max_depth, max_components=limits.max_components)


def index(dissection: Dissection, path: str) -> int:
    """Where the component is in the list of what was found."""
    return [one.component.path for one in dissection.found].index(ComponentPath(path))


def change(dissection: Dissection, path: str, /, **fields: object) -> None:
    """Another component at `path`."""
    at = index(dissection, path)
    found = dissection.found[at]
    dissection.found[at] = replace(found, component=msgspec.structs.replace(found.component, **fields))


def test_it_holds_for_an_ordinary_message(dissection: Dissection) -> None:
    """The message has a preamble, a file wrapped in a text, a message and an encoded part."""
    assert {str(one.component.origin) for one in dissection.found} >= {"raw", "part", "preamble", "decoded"}
    assert len(dissection.readings) > 1
    assert seen(dissection) == []


def without_span(dissection: Dissection) -> None:
    """A delimiter is nowhere."""
    dissection.spans.remove(next(one for one in dissection.spans if one.kind is SpanKind.DELIMITER))


def without_component(dissection: Dissection) -> None:
    """A part is nowhere."""
    del dissection.found[index(dissection, "3")]


def without_inside(dissection: Dissection) -> None:
    """Nothing of the message in the message is found."""
    dissection.found = [one for one in dissection.found if one.component.parent != "2"]


def overlapping(dissection: Dissection) -> None:
    """A span over content."""
    part = dissection.found[index(dissection, "3")].component
    assert part.offset is not None
    dissection.spans.append(Span(SpanKind.BLANK, part.offset, part.offset + 1, 0))


def beyond(dissection: Dissection) -> None:
    """A span behind the end of its reading."""
    dissection.spans.append(Span(SpanKind.BLANK, len(RAW), len(RAW) + 1, 0))


def reading_beyond(dissection: Dissection) -> None:
    """A reading of what is not there."""
    dissection.readings.append((0, len(RAW) + 1))


def unknown_reading(dissection: Dissection) -> None:
    """A span of a reading that there is not."""
    dissection.spans.append(Span(SpanKind.BLANK, 0, 1, 99))


def half_main_reading(dissection: Dissection) -> None:
    """The main reading is of a part of the message only."""
    dissection.readings[0] = (0, 10)


def same_path(dissection: Dissection) -> None:
    """Two components in one place."""
    change(dissection, "3", path=ComponentPath("1"))


def stray(dissection: Dissection) -> None:
    """A component that is not below its parent."""
    change(dissection, "3", parent=ComponentPath("1"))


def flat(dissection: Dissection) -> None:
    """A child as deep as its parent."""
    change(dissection, "1.1", depth=dissection.found[index(dissection, "1")].component.depth)


def too_deep(dissection: Dissection) -> None:
    """Deeper than allowed."""
    change(dissection, "3", depth=Limits().max_depth + 1)


def too_shallow(dissection: Dissection) -> None:
    """Less deep than its path says."""
    change(dissection, "3", depth=0)


def no_raw_message(dissection: Dissection) -> None:
    """The raw message is not the first."""
    dissection.found.reverse()


def wrong_size(dissection: Dissection) -> None:
    """Not as many bytes as are held."""
    change(dissection, "0", size=1)


def wrong_digest(dissection: Dissection) -> None:
    """Not that of the bytes."""
    change(dissection, "0", sha256=Sha256(hashlib.sha256(b"").hexdigest()))


def decoded_elsewhere(dissection: Dissection) -> None:
    """A file that is wrapped in a text stands outside of it."""
    change(dissection, "1.1", offset=0)


def unknown_defect(dissection: Dissection) -> None:
    """An id that nothing explains."""
    change_defect(dissection, id=FindingId("no.such.id"))


def defect_beyond(dissection: Dissection) -> None:
    """A place behind the end."""
    change_defect(dissection, offset=len(RAW), length=1)


def change_defect(dissection: Dissection, **fields: object) -> None:
    """Another first defect."""
    dissection.defects[0] = msgspec.structs.replace(dissection.defects[0], **fields)


def silent_loss(dissection: Dissection) -> None:
    """A component that could not be had, and no report."""
    part = dissection.found.pop(index(dissection, "3")).component
    dissection.unopened.append(msgspec.structs.replace(part, sha256=Sha256("")))


def reported(path: str, outcome: Clean | Unscanned) -> Callable[[Dissection], None]:
    """A report."""

    def add(dissection: Dissection) -> None:
        dissection.reports.append(EngineReport(ComponentPath(path), EngineName("unpacker"), "", "", outcome))

    return add


def half_a_character(dissection: Dissection) -> None:
    """A name that cannot be written as UTF-8."""
    change(dissection, "3", names=(CandidateName("\ud800.exe", NameSource.MEMBER),))


BREACHES = [
    (without_span, "is in nothing"),
    (without_component, "is in nothing"),
    (without_inside, "no reading of the message 2"),
    (overlapping, "overlaps"),
    (beyond, "is not in reading 0"),
    (reading_beyond, "the message has"),
    (unknown_reading, "which there is not"),
    (half_main_reading, "not of the whole message"),
    (same_path, "two components have the path"),
    (stray, "is not below its parent"),
    (flat, "its parent"),
    (too_deep, "50 is allowed"),
    (too_shallow, "has depth 0"),
    (no_raw_message, "not the raw message"),
    (wrong_size, "and says 1"),
    (wrong_digest, "digest"),
    (decoded_elsewhere, "which is elsewhere"),
    (unknown_defect, "not in the catalogue"),
    (defect_beyond, "the message has"),
    (silent_loss, "no report says so"),
    (reported("9", Unscanned.because(UnscannedReason.BOMB)), "which there is not"),
    (reported("1", Clean()), "the unpacker reports"),
    (reported("1", Unscanned.because(UnscannedReason.OVER_BUDGET, "budget.ratio")), "no defect names the limit"),
    (half_a_character, "cannot be encoded"),
]


@pytest.mark.parametrize(("breach", "said"), BREACHES, ids=[getattr(one, "__name__", "report") for one, _ in BREACHES])
def test_each_breach_is_seen(dissection: Dissection, breach: Callable[[Dissection], None], said: str) -> None:
    """A dissection that is right but for one thing."""
    breach(dissection)
    assert any(said in one for one in seen(dissection)), seen(dissection)


def test_a_defect_covers_what_is_in_no_component(dissection: Dissection) -> None:
    """Its place counts where it is in the raw message."""
    part = dissection.found.pop(index(dissection, "3")).component
    change_defect(dissection, offset=part.offset, length=part.encoded_size)
    assert seen(dissection) == []


def test_nothing_need_be_covered_where_the_budget_ran_out() -> None:
    """The limit is named, and a report says that not everything was looked at."""
    limits = Limits(max_components=2)
    with held(RAW, limits) as (dissection, _):
        assert ran_out(dissection)
        assert len(dissection.found) < 3
        assert seen(dissection, limits=limits) == []
        too_many = replace(limits, max_components=0)
        dissection.found.append(Found(dissection.found[0].component, dissection.found[0].content))
        assert any("0 are allowed" in one for one in seen(dissection, limits=too_many))


def test_what_is_lost_in_a_message_in_a_message_is_seen(dissection: Dissection) -> None:
    """The message by itself is dissected, too, and what comes of it must be there."""
    assert list(lost(dissection, Limits())) == []
    dissection.found = [one for one in dissection.found if one.component.parent != "2"]
    assert list(lost(dissection, Limits())) == ["component 1 of the message 2 is found there alone"]


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ([], [(0, 9)]),
        ([(0, 9)], []),
        ([(3, 5), (0, 3), (5, 9)], []),
        ([(1, 3), (2, 4), (6, 7)], [(0, 1), (4, 6), (7, 9)]),
        ([(0, 8), (2, 3), (9, 12)], [(8, 9)]),
    ],
)
def test_gaps(ranges: list[tuple[int, int]], expected: list[tuple[int, int]]) -> None:
    """Ranges come in any order and may overlap; what is behind the end does not count."""
    found = gaps([Range(start, end, "") for start, end in ranges], 0, 9)
    assert [(gap.start, gap.end) for gap in found] == expected
