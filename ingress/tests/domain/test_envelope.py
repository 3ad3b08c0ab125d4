import pytest
from hypothesis import given
from hypothesis import strategies as st

from qscan_ingress.domain.envelope import MAX_ADDRESS_BYTES, Envelope, EnvelopeCollector
from qscan_ingress.domain.failures import Failure, MessageFailedError

MAX_BYTES = 100_000
addresses = st.binary(max_size=60).map(lambda address: address.replace(b"\0", b"0"))
envelopes = st.builds(Envelope, addresses, st.lists(addresses, max_size=20).map(tuple))


def collect(received: bytes, *cuts: int, max_bytes: int = MAX_BYTES) -> Envelope:
    """Feed `received` in pieces that end at `cuts`."""
    collector = EnvelopeCollector(max_bytes)
    start = 0
    for cut in (*sorted(cuts), len(received)):
        if not collector.ended:
            collector.feed(received[start:cut])
        start = cut
    return collector.envelope()


def failure(received: bytes, max_bytes: int = MAX_BYTES) -> Failure:
    """How it fails when it is fed at once."""
    with pytest.raises(MessageFailedError) as caught:
        collect(received, max_bytes=max_bytes)
    return caught.value.failure


@given(envelopes, st.lists(st.integers(0, 1500), max_size=5))
def test_an_envelope_survives_writing_and_reading_in_any_pieces(envelope: Envelope, cuts: list[int]) -> None:
    """What is rebuilt for all recipients is the original, byte for byte."""
    written = envelope.for_recipients(envelope.rcpt_to)
    assert collect(written, *(min(cut, len(written)) for cut in cuts)) == envelope


@given(envelopes, st.data())
def test_every_shorter_envelope_is_truncated(envelope: Envelope, data: st.DataObject) -> None:
    """Without its last NUL it is never taken for a whole one, wherever it was cut."""
    written = envelope.for_recipients(envelope.rcpt_to)
    cut = data.draw(st.integers(0, len(written) - 1))
    assert failure(written[:cut]) is Failure.TRUNCATED_ENVELOPE


@given(envelopes, st.binary(max_size=50))
def test_what_follows_the_end_is_ignored(envelope: Envelope, rest: bytes) -> None:
    """qmail-queue does not read past the last NUL either."""
    assert collect(envelope.for_recipients(envelope.rcpt_to) + rest) == envelope


@given(st.binary(max_size=300))
def test_any_bytes_give_an_envelope_or_a_failure(received: bytes) -> None:
    """Nothing else happens, and an envelope is only ever made of bytes that say exactly that."""
    try:
        envelope = collect(received)
    except MessageFailedError:
        return
    assert received.startswith(envelope.for_recipients(envelope.rcpt_to))


@given(envelopes, st.data())
def test_a_subset_has_the_senders_own_bytes(envelope: Envelope, data: st.DataObject) -> None:
    """Rebuilding for some recipients changes nothing but who gets it."""
    chosen = [address for address in envelope.rcpt_to if data.draw(st.booleans())]
    assert collect(envelope.for_recipients(chosen)) == Envelope(envelope.mail_from, tuple(chosen))


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        (b"", Failure.TRUNCATED_ENVELOPE),
        (b"F", Failure.TRUNCATED_ENVELOPE),
        (b"\0\0", Failure.BAD_ENVELOPE),
        (b"Ta\0\0", Failure.BAD_ENVELOPE),
        (b"Fa\0Xb\0\0", Failure.BAD_ENVELOPE),
        (b"Fa\0Xb", Failure.BAD_ENVELOPE),
        (b"Fa\0Tb\0Fc\0\0", Failure.BAD_ENVELOPE),
        (b"F" + b"a" * (MAX_ADDRESS_BYTES + 1) + b"\0\0", Failure.ADDRESS_TOO_LONG),
        (b"F" + b"a" * (MAX_ADDRESS_BYTES + 1), Failure.ADDRESS_TOO_LONG),
        (b"Fa\0T" + b"b" * (MAX_ADDRESS_BYTES + 1) + b"\0\0", Failure.ADDRESS_TOO_LONG),
        (b"Fa\0T" + b"b" * (MAX_ADDRESS_BYTES + 1) + b"\0X\0\0", Failure.ADDRESS_TOO_LONG),
        (b"Fa\0X\0T" + b"b" * (MAX_ADDRESS_BYTES + 1) + b"\0\0", Failure.BAD_ENVELOPE),
    ],
)
def test_the_first_fault_from_the_front_counts(received: bytes, expected: Failure) -> None:
    """The order is that of qmail-queue, which reads byte by byte."""
    assert failure(received) is expected


def test_the_longest_address_is_taken() -> None:
    """1,002 bytes, as qmail-queue takes them, though its manual says 1,000."""
    address = b"a" * MAX_ADDRESS_BYTES
    assert collect(b"F%b\0T%b\0\0" % (address, address)).rcpt_to == (address,)


def test_an_envelope_without_end_is_bounded() -> None:
    """Too many recipients end in a failure, not in all of the memory."""
    assert failure(b"Fa\0" + b"Tb@example.org\0" * 1000, max_bytes=5000) is Failure.ENVELOPE_TOO_LARGE


def test_a_wrong_first_byte_fails_at_once() -> None:
    """Nothing more needs to come before the caller is told."""
    with pytest.raises(MessageFailedError):
        EnvelopeCollector(MAX_BYTES).feed(b"x")


@pytest.mark.parametrize("address", [b"a\0Tb", b"a" * (MAX_ADDRESS_BYTES + 1)])
def test_a_redirect_cannot_break_the_envelope(address: bytes) -> None:
    """An address from an answer that cannot stand in an envelope is refused."""
    with pytest.raises(ValueError, match="cannot stand in an envelope"):
        Envelope(b"a", (b"b",)).for_recipients([address])


def test_addresses_are_not_printed() -> None:
    """Neither a log line nor a traceback shows them."""
    assert "secret" not in repr(Envelope(b"secret@example.org", (b"secret@example.net",)))
