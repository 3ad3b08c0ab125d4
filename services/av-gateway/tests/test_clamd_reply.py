"""What clamd's replies mean: one reply in the world is clean."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qscan_av_gateway.adapters.clamd_reply import (
    MAX_DETAIL_CHARACTERS,
    MAX_REPLY_BYTES,
    MAX_SIGNATURE_NAME_CHARACTERS,
    parse_reply,
)
from qscan_contracts.reports import Clean, Detected, Unscanned
from qscan_contracts.vocabulary import UnscannedReason

CLEAN = b"stream: OK\0"
WORDS = [b"stream: ", b"OK", b" FOUND", b" ERROR", b"\0", b"\n", b"Heuristics.Encrypted", b"Heuristics.Limits.Exceeded"]
near_misses = st.lists(st.one_of(st.sampled_from(WORDS), st.binary(max_size=4)), max_size=6).map(b"".join)


@given(st.one_of(st.binary(max_size=40), near_misses))
@example(b"")
@example(b"stream: OK")
@example(CLEAN + b"\0")
@example(b"stream: OK\0stream: Evil FOUND\0")
def test_only_one_reply_is_clean(reply):
    """Whatever else clamd or a stranger in its place says."""
    assert isinstance(parse_reply(reply), Clean) == (reply == CLEAN)


@given(st.one_of(st.binary(max_size=6000), near_misses))
def test_every_reply_means_something_safe_to_print(reply):
    """The parser is total, and no word of the vendor gets into a log or a header as it came."""
    match parse_reply(reply):
        case Detected(signature_name):
            assert 0 < len(signature_name) <= MAX_SIGNATURE_NAME_CHARACTERS
            assert signature_name.isascii()
            assert signature_name.isprintable()
        case Unscanned(_, _, detail):
            assert 0 < len(detail) <= MAX_DETAIL_CHARACTERS + 100
            assert detail.isascii()
            assert detail.isprintable()
        case Clean():
            assert reply == CLEAN


@given(st.binary(max_size=MAX_REPLY_BYTES - 20).filter(lambda name: b"\0" not in name))
def test_a_found_is_never_clean_nor_worth_another_try(name):
    """Whatever the name."""
    outcome = parse_reply(b"stream: " + name + b" FOUND\0")
    assert isinstance(outcome, Detected) or (isinstance(outcome, Unscanned) and not outcome.retryable)


@pytest.mark.parametrize(
    ("reply", "name"),
    [
        (b"stream: Win.Test.EICAR_HDB-1 FOUND\0", "Win.Test.EICAR_HDB-1"),
        (b"stream: Eicar(44d88612fea8a8f36de82e1278abb02f:68) FOUND\0", "Eicar"),
        (b"stream: Qscan.Test.EICAR.UNOFFICIAL FOUND\0", "Qscan.Test.EICAR.UNOFFICIAL"),
        (b"stream: a\r\nX-Evil: b FOUND\0", "a__X-Evil: b"),
        (b"stream: \0x FOUND\0"[:8] + b" FOUND\0", "unnamed"),
        (b"stream: Heuristics.Phishing.Email.SpoofedDomain FOUND\0", "Heuristics.Phishing.Email.SpoofedDomain"),
        (b"stream: Heuristics.EncryptedX FOUND\0", "Heuristics.EncryptedX"),
    ],
)
def test_names(reply, name):
    """Names as clamd gives them, with ExtendedDetectionInfo or without."""
    assert parse_reply(reply) == Detected(name)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"", UnscannedReason.ENGINE_CRASHED),
        (b"stream: OK", UnscannedReason.ENGINE_CRASHED),
        (b"stream: Can't allocate memory ERROR\0", UnscannedReason.ENGINE_FAILED),
        (b"INSTREAM size limit exceeded. ERROR\0", UnscannedReason.TOO_BIG),
        (b"stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND\0", UnscannedReason.ENGINE_LIMIT),
        (b"stream: Heuristics.Encrypted.RAR FOUND\0", UnscannedReason.ENCRYPTED),
        (b"UNKNOWN COMMAND\0", UnscannedReason.ENGINE_FAILED),
        (b"stream: OK\0" * 2, UnscannedReason.ENGINE_FAILED),
        (b"\xff" * (MAX_REPLY_BYTES + 1), UnscannedReason.ENGINE_FAILED),
    ],
)
def test_reasons(reply, reason):
    """Every way not to have looked."""
    outcome = parse_reply(reply)
    assert isinstance(outcome, Unscanned)
    assert outcome.reason is reason
