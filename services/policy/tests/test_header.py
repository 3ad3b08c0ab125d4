"""Header fields as rules see them."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qscan_contracts.encoded_words import decode_words
from qscan_policy.domain.header import parse_fields


@pytest.mark.parametrize(
    ("written", "decoded"),
    [
        ("plain", "plain"),
        ("=?UTF-8?Q?Gr=C3=BCn?=", "Grün"),
        ("=?utf-8?q?a_b?=", "a b"),
        ("=?utf-8*en?B?R3LDvG4=?=", "Grün"),
        ("=?utf-8?B?R3LDvG4?=", "Grün"),
        ("=?iso-8859-1?Q?Gr=FCn?= =?iso-8859-1?Q?er?=", "Grüner"),
        ("=?iso-8859-1?Q?Gr=FCn?= und", "Grün und"),
        ("x =?koi8-r?B?8NLJ18XU?= y", "x Привет y"),
        ("=?utf-8?B?!!!?=", ""),
        ("=?utf-8?X?abc?=", "=?utf-8?X?abc?="),
        ("=?unknown-charset?Q?Gr=FCn?=", "Grün"),
        ("=?unicode_escape?Q?=5Cu0041?=", "\\u0041"),
        ("=?utf-8?Q?=FF?=", "ÿ"),
    ],
)
def test_encoded_words_are_decoded(written, decoded):
    """RFC 2047, with the mistakes that mail programs forgive; only charsets of mail are looked up."""
    assert decode_words(written) == decoded


def test_fields_are_unfolded_and_found_by_lower_case_name():
    """Every occurrence is kept, in order; lines that are no field are skipped."""
    fields = parse_fields(b"A: 1\r\n 2\r\nno field\na : 3\nB:\n\t4\n\n")
    assert [value.raw for value in fields["a"]] == [b"1 2", b"3"]
    assert [value.raw for value in fields["b"]] == [b"4"]


@given(st.binary(max_size=300))
def test_any_bytes_can_be_parsed(header):
    """Whatever the header is, there are fields and each can be decoded."""
    for values in parse_fields(header).values():
        for value in values:
            value.decoded.decode("utf-8")


@pytest.mark.parametrize(
    "piece", [b"=?", b"=?a?q?", b"=?utf-8?B?", b"?= =?", b" \t", b"=?utf-8?q?=", b"\r\n ", b"a:\n", b"=?idna?Q?x--"]
)
def test_hostile_headers_take_linear_time(piece):
    """256 kB made of any piece of the syntax are read in well under a second."""
    header = b"Subject: " + piece * (262_144 // len(piece)) + b"\n\n"
    started = time.process_time()
    for values in parse_fields(header).values():
        for value in values:
            assert value.decoded is not None
    assert time.process_time() - started < 1
