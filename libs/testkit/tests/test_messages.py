"""The messages for tests are what they say."""

import email
import email.policy
import hashlib

import pytest

from qscan_testkit import messages


def test_the_test_strings_are_the_real_ones():
    """By their published digests, as they must not be written out here either."""
    assert hashlib.md5(messages.EICAR.encode(), usedforsecurity=False).hexdigest() == "44d88612fea8a8f36de82e1278abb02f"
    assert len(messages.GTUBE) == 68
    assert messages.EICAR_FILE_BYTES == 68


@pytest.mark.parametrize("newline", [messages.LF, messages.CRLF])
@pytest.mark.parametrize("build", [messages.clean, messages.eicar_by_name, messages.eicar, messages.gtube])
def test_every_message_has_one_kind_of_line_end_and_is_always_the_same(build, newline):
    """So that a test can say what must arrive."""
    raw = build(newline)
    assert raw.count(b"\r\n") == (raw.count(b"\n") if newline is messages.CRLF else 0)
    assert raw == build(newline)


def test_the_attachments_are_what_rules_and_engines_look_for():
    """By name and size the one, by content the other."""
    by_name = list(email.message_from_bytes(messages.eicar_by_name(), policy=email.policy.default).iter_attachments())
    assert [(part.get_filename(), part.get_content()) for part in by_name] == [("Eicar.com", b"0" * 68)]
    virus = list(email.message_from_bytes(messages.eicar(), policy=email.policy.default).iter_attachments())
    assert [(part.get_filename(), part.get_content()) for part in virus] == [("sneaky.txt", messages.EICAR.encode())]
    assert messages.GTUBE.encode() in messages.gtube()
