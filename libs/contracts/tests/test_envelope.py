"""Envelope addresses are arbitrary bytes to qmail, and text to JSON: nothing is lost on the way."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qscan_contracts.envelope import Envelope, address_from_text, address_to_text

TRICKY = st.lists(st.sampled_from([b"\\", b"x", b"ff", b"\xff", b"\\x41", b"a@b", "ü".encode(), b"\xc3", b"\0"])).map(
    b"".join
)


@given(address=st.binary() | TRICKY)
def test_every_address_reads_back(address):
    """Over JSON, too."""
    text = address_to_text(address)
    assert address_from_text(text) == address
    assert address_from_text(json.loads(json.dumps(text))) == address
    assert address_from_text(msgspec.json.decode(msgspec.json.encode(text), type=str)) == address


@given(one=TRICKY, other=TRICKY)
def test_two_addresses_never_become_one_text(one, other):
    """Or a rule for one recipient would be taken for another's."""
    assert (address_to_text(one) == address_to_text(other)) == (one == other)


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (b"ann@example.org", "ann@example.org"),
        (b"", ""),
        (b"#@[]", "#@[]"),
        ("käthe@exämple.org".encode(), "käthe@exämple.org"),
        (b"k\xe4the@example.org", r"k\xe4the@example.org"),
        (rb"do\main@example.org", r"do\\main@example.org"),
        (rb"\xe4@example.org", r"\\xe4@example.org"),
        (b"\xed\xa0\x80", r"\xed\xa0\x80"),
    ],
    ids=ascii,
)
def test_readable_where_it_is_utf_8(address, text):
    """RFC 6531 addresses as they are, other bytes escaped, a surrogate written as UTF-8 among them."""
    assert address_to_text(address) == text


@given(text=st.text(st.characters(codec="utf-8")))
def test_any_text_becomes_some_address(text):
    """Also one that no `address_to_text` made, such as a person's query parameter."""
    address = address_from_text(text)
    assert address_from_text(address_to_text(address)) == address


def test_absent_is_not_empty():
    """`None` was not told; an empty one was told and is empty. Both stay so over the wire."""
    assert msgspec.json.encode(Envelope()) == b"{}"
    empty = msgspec.json.decode(b'{"auth_user": "", "client_ip": null}', type=Envelope)
    assert (empty.auth_user, empty.client_ip, empty.remote_info) == ("", None, None)
    assert msgspec.json.encode(empty) == b'{"auth_user":""}'


@pytest.mark.parametrize("number", [-1, 2**32, 10**30])
def test_a_uid_that_cannot_be_is_refused(number):
    """JSON could hold it, the bus could not."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json.dumps({"uid": number}), type=Envelope)
