import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qscan_contracts.envelope import address_from_text
from qscan_contracts.ids import SCAN_ID_PATTERN
from qscan_contracts.vocabulary import SpamFilter
from qscan_ingress.domain.introduction import MAGIC, NotAnIntroductionError, parse
from qscan_ingress.domain.scan_ids import RANDOM_BYTES, scan_id

values = st.binary(max_size=50).map(lambda value: value.replace(b"\0", b"0"))


@given(st.dictionaries(st.sampled_from(["TCPREMOTEIP", "TCPREMOTEHOST", "RELAYCLIENT", "PROTO"]), values))
def test_variables_arrive_as_they_were(variables: dict[str, bytes]) -> None:
    """Any bytes, and absent differs from empty."""
    packet = MAGIC + b"".join(b"%b=%b\0" % (name.encode(), value) for name, value in variables.items())
    introduction = parse(packet)
    assert dict(introduction.variables) == variables
    assert introduction.relay_client == ("RELAYCLIENT" in variables)
    for name, value in variables.items():
        assert address_from_text(introduction.text(name) or "") == value
    assert introduction.text("TCPLOCALIP") is None


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (MAGIC, SpamFilter.AUTO),
        (MAGIC + b"QS_SPAMASSASSIN=on\0", SpamFilter.ON),
        (MAGIC + b"QS_SPAMASSASSIN=ON\0", SpamFilter.ON),
        (MAGIC + b"QS_SPAMASSASSIN=off\0", SpamFilter.AUTO),
        (MAGIC + b"QS_SPAMASSASSIN=\0", SpamFilter.AUTO),
    ],
)
def test_the_spam_filter_can_be_forced(packet: bytes, expected: SpamFilter) -> None:
    """QS_SPAMASSASSIN=on is the only value that means something."""
    assert parse(packet).spam_filter is expected


def test_the_first_of_two_counts() -> None:
    """As for getenv(3), so that a second one cannot smuggle in another value."""
    assert parse(MAGIC + b"PROTO=TCP\0PROTO=X\0").text("PROTO") == "TCP"


@pytest.mark.parametrize("packet", [b"", b"qscan2\0", b"qscan1", MAGIC + b"A=1", MAGIC + b"\0", MAGIC + b"A\0"])
def test_anything_else_is_no_introduction(packet: bytes) -> None:
    """Another version, a cut packet or a stranger's is refused."""
    with pytest.raises(NotAnIntroductionError):
        parse(packet)


def test_values_are_not_printed() -> None:
    """They are remote data and may be personal."""
    assert "secret" not in repr(parse(MAGIC + b"TCPREMOTEINFO=secret\0"))


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**48 - 1), st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES))
def test_scan_ids_sort_by_time(one_ms: int, other_ms: int, random: bytes) -> None:
    """26 safe characters, in the order of their times."""
    one, other = scan_id(one_ms, random), scan_id(other_ms, random)
    assert re.fullmatch(SCAN_ID_PATTERN, one)
    assert len(one) == 26
    assert (one < other) == (one_ms < other_ms)


def test_scan_ids_differ_by_their_random_part() -> None:
    """Two messages of one millisecond have two ids."""
    assert scan_id(1, bytes(RANDOM_BYTES)) != scan_id(1, bytes(RANDOM_BYTES - 1) + b"\1")
