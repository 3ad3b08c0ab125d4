"""Which components are scanned, and how they travel (DESIGN §6)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qscan_contracts.components import Component
from qscan_contracts.defects import defect
from qscan_contracts.envelope import Envelope
from qscan_contracts.ids import RAW_PATH, ComponentPath, EngineName, Sha256
from qscan_contracts.reports import EngineReport, Unscanned
from qscan_contracts.scanning import MAX_INLINE_BYTES, MAX_REQUEST_BYTES, MAX_REQUEST_COMPONENTS
from qscan_contracts.vocabulary import Origin, SpamFilter, UnscannedReason
from qscan_unpacker.dissection.collecting import Dissection, Found
from qscan_unpacker.dissection.holding import MemoryContent
from qscan_unpacker.fan_out import batches, to_scan, wants_spam_filter


def found(size: int, path: str = "1") -> Found:
    """A component of that size."""
    component = Component(ComponentPath(path), RAW_PATH, 1, Origin.PART, size, Sha256("0" * 64))
    return Found(component, MemoryContent(memoryview(bytes(size))))


@given(st.lists(st.sampled_from([0, 1, 4_000, 100_000, MAX_INLINE_BYTES, MAX_INLINE_BYTES + 1, 600_000]), max_size=200))
def test_every_component_travels_once_and_no_request_is_too_large(sizes: list[int]) -> None:
    """A large one alone, small ones together up to the limits, in any order."""
    components = [found(size, str(number)) for number, size in enumerate(sizes)]
    made = list(batches(components))
    travelled = sorted(int(one.component.path) for batch in made for one in batch)
    assert travelled == list(range(len(sizes)))
    for batch in made:
        assert 0 < len(batch) <= MAX_REQUEST_COMPONENTS
        inline = [one.content.size for one in batch if one.content.size <= MAX_INLINE_BYTES]
        assert sum(inline) < MAX_REQUEST_BYTES
        assert len(batch) == len(inline) or len(batch) == 1


def test_small_components_travel_together() -> None:
    """An ordinary message costs one round trip."""
    assert len(list(batches([found(5_000) for _ in range(MAX_REQUEST_COMPONENTS)]))) == 1


def dissection(*others: Found) -> Dissection:
    """A raw message and what was found in it."""
    return Dissection([found(10, ""), *others])


def test_raw_message_is_left_out_only_where_its_parts_cover_it() -> None:
    """Without redundant scanning: not where content can hide, nor where something was not looked at."""
    covered = dissection(found(1))
    assert to_scan(covered, raw=True) == covered.found
    assert to_scan(covered, raw=False) == covered.found[1:]
    assert to_scan(dissection(), raw=False) == dissection().found
    harmless, hiding = dissection(found(1)), dissection(found(1))
    harmless.defects.append(defect("mime.boundary.never_closed", RAW_PATH, offset=0))
    hiding.defects.append(defect("mime.boundary.duplicate", RAW_PATH, offset=0))
    assert len(to_scan(harmless, raw=False)) == 1
    assert len(to_scan(hiding, raw=False)) == 2
    unfinished = dissection(found(1))
    outcome = Unscanned.because(UnscannedReason.OVER_BUDGET)
    unfinished.reports.append(EngineReport(RAW_PATH, EngineName("unpacker"), "", "", outcome))
    assert len(to_scan(unfinished, raw=False)) == 2


@pytest.mark.parametrize(
    ("spam_filter", "relay_client", "wanted"),
    [
        (SpamFilter.AUTO, False, True),
        (SpamFilter.AUTO, True, False),
        (SpamFilter.ON, True, True),
        (SpamFilter.ON, False, True),
        (SpamFilter.OFF, True, False),
        (SpamFilter.OFF, False, False),
    ],
)
def test_spam_filter_is_skipped_for_relay_clients(spam_filter: SpamFilter, relay_client: bool, wanted: bool) -> None:
    """Unless they ask for it (facts §1.4)."""
    assert wants_spam_filter(Envelope(spam_filter=spam_filter, relay_client=relay_client)) is wanted
