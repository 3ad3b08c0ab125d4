"""Texts from hostile messages cannot leave their line, and addresses read back."""

from hypothesis import given
from hypothesis import strategies as st

from qscan_contracts.envelope import address_from_text, address_to_text
from qscan_contracts.texts import address_token, one_line


@given(text=st.text(), max_characters=st.integers(1, 100))
def test_one_line_is_one_printable_line(text, max_characters):
    """Whatever comes in."""
    line = one_line(text, max_characters)
    assert line.isprintable()
    assert len(line) <= max_characters
    assert line == line.strip()


def test_one_line_keeps_what_people_can_read():
    """And takes line ends, bells and marks of direction away."""
    assert one_line("Grüße\r\nBcc: x@example.org\x07 \u202egpj.exe", 100) == "Grüße Bcc: x@example.org gpj.exe"
    assert one_line("a" * 11, 10) == "a" * 9 + "…"


@given(address=st.binary(max_size=60))
def test_an_address_reads_back_from_its_token(address):
    """Any bytes but NUL may be an address to qmail; even that would do no harm here."""
    token = address_token(address_to_text(address))
    assert token.isascii()
    assert token.isprintable()
    assert not set(" ,<>") & set(token)
    assert address_from_text(token) == address


def test_an_ordinary_address_is_its_own_token():
    """So that people can read it."""
    assert address_token("user+tag=x@example.org") == "user+tag=x@example.org"
    assert address_token("größe@example.org") == r"gr\xc3\xb6\xc3\x9fe@example.org"
