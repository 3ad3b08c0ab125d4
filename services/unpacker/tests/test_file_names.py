"""File names: whatever a header holds, there are names that the bus can carry, and none of the readings is missing."""

from encodings.aliases import aliases

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qscan_unpacker.dissection.file_names import names_of
from qscan_unpacker.dissection.structured import parse_structured

CHARSETS = sorted({*aliases, *aliases.values(), "idna", "punycode", "undefined", "unknown", "utf-8*en", "x" * 300})
ENCODED = st.text(st.characters(codec="utf-8", max_codepoint=300), max_size=12) | st.from_regex(
    r"(=[0-9A-F]{2}|[+/A-Za-z0-9-])*", fullmatch=True
)


def names(value: bytes) -> list[str]:
    """The candidate names of a Content-Disposition field."""
    return names_of(parse_structured(value))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"attachment; filename=a.exe", ["a.exe"]),
        (b'attachment; filename="=?utf-8?q?a=2Eexe?="', ["=?utf-8?q?a=2Eexe?=", "a.exe"]),
        (b'attachment; filename="=?utf-8?b?YS5leGU=?="', ["=?utf-8?b?YS5leGU=?=", "a.exe"]),
        (b"attachment; filename*=utf-8''a%2Eexe", ["a.exe"]),
        (b'attachment; filename*0="a."; filename*1=exe', ["a.exe"]),
        (b"attachment; filename*0*=utf-8''a%2E; filename*1=exe; filename=b.txt", ["b.txt", "a.exe"]),
        (b"attachment; filename=\xe4.exe", ["\ufffd.exe"]),
    ],
)
def test_every_reading_gives_a_name(value, expected):
    """As it stands, RFC 2047, RFC 2231 with and without charset and continuations."""
    assert [name for name in names(value) if name in expected] == expected


@pytest.mark.parametrize("word", ["=?utf-8?b?x?=", "=?unknown?q?a?=", "=?undefined?q?a?=", "=?utf-8?x?a?="])
def test_an_encoded_word_that_cannot_be_read_is_a_name_as_it_stands(word):
    """Besides whatever else somebody could take it for."""
    assert names(f'attachment; filename="{word}"'.encode())[0] == word


@given(charset=st.sampled_from(CHARSETS), encoding=st.sampled_from("bBqQx"), encoded=ENCODED)
@example("utf-7", "q", "+2AA-")
@example("utf-8", "b", "x")
@example("raw_unicode_escape", "q", "=5Cud800")
def test_any_encoded_word_gives_names_that_the_bus_carries(charset, encoding, encoded):
    """In both ways to write one, with any charset that Python knows."""
    word = f"=?{charset}?{encoding}?{encoded}?="
    for value in (f'attachment; filename="{word}"', f"attachment; filename*={charset}''{encoded}"):
        assert msgspec.msgpack.encode(names(value.encode()))


@given(value=st.binary(max_size=80))
def test_any_field_gives_names_that_the_bus_carries(value):
    """Whatever it is."""
    assert msgspec.msgpack.encode(names(b"attachment; filename=" + value))
    assert msgspec.msgpack.encode(names(b"attachment; filename*0*=" + value))
