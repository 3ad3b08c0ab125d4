"""Nothing personal is told: not in the log, not in a trace, not in a metric (STYLE 5.12)."""

import base64
import json
import re

import pytest

from tests.telemetry.conftest import BAD_ENVELOPES, MAILS, PERSONAL, Told

SERVICES = ["unpacker", "policy", "spam", "archiver", "notifier"]


def quotes_mail(text: str) -> list[str]:
    """Where a text holds something personal: as it is, in base64 or in hexadecimal."""
    private = PERSONAL.encode()
    forms = {PERSONAL, private.hex()}
    # base64 of the word alone is only found at one of three places; its middle is the same wherever it begins.
    forms |= {base64.b64encode(b"\0" * shift + private).decode()[4:-4] for shift in range(3)}
    pattern = "|".join(re.escape(form) for form in forms)
    return [
        text[max(0, found.start() - 100) : found.end() + 100] for found in re.finditer(pattern, text, re.IGNORECASE)
    ]


def test_quotes_are_found():
    """The search itself works."""
    for shift in range(5):
        encoded = base64.b64encode(b"x" * shift + PERSONAL.encode() + b" and more").decode()
        assert quotes_mail(f"error: {encoded}")
    assert quotes_mail(PERSONAL.upper())
    assert quotes_mail(PERSONAL.encode().hex())
    assert not quotes_mail("nothing")


def test_every_mail_was_scanned(told: Told):
    """Or the other tests would look at nothing: all are answered, and each of the ways through the system was gone."""
    assert [status for status, _ in told.answers] == [200] * (len(MAILS) + 1)
    dispositions = {name: answer["disposition"] for name, (_, answer) in zip(MAILS, told.answers, strict=False)}
    assert dispositions["clean"] == dispositions["encrypted"] == "deliver"
    assert dispositions["virus"] == dispositions["blocked by name"] == "quarantine"
    assert dispositions["engine failed"] == dispositions["gateway with a bug"] == "defer"


def test_the_mails_hold_something_personal():
    """All but the empty one, and every bad request."""
    assert all(PERSONAL.encode() in message for name, message in MAILS.items() if name != "empty")
    assert all(PERSONAL.encode() in envelope for envelope in BAD_ENVELOPES)


@pytest.mark.parametrize("service", SERVICES)
def test_no_log_quotes_a_mail(told: Told, service: str):
    """At the most talkative level."""
    assert told.logs[service]
    assert quotes_mail(told.logs[service]) == []


@pytest.mark.parametrize("service", SERVICES)
def test_the_log_is_json(told: Told, service: str):
    """One event per line, from the first to the last, with what every line has."""
    for line in told.logs[service].splitlines():
        assert {"event", "level", "timestamp", "service"} <= set(json.loads(line)), line
        assert json.loads(line)["service"] == service


@pytest.mark.parametrize("service", SERVICES)
def test_nothing_failed_in_an_unforeseen_way(told: Told, service: str):
    """No traceback, whatever the mail; and an end in order."""
    assert "exception" not in told.logs[service]
    assert told.exit_statuses[service] == 0


def test_no_trace_quotes_a_mail(told: Told):
    """Names and attributes of all spans."""
    assert told.spans
    assert quotes_mail(json.dumps(told.spans)) == []


def test_no_metric_quotes_a_mail(told: Told):
    """No label of any."""
    assert told.samples
    assert quotes_mail(repr(told.samples)) == []


def test_one_line_for_each_message(told: Told):
    """With its scan id, by which the rest is found."""
    lines = [json.loads(line) for line in told.logs["unpacker"].splitlines()]
    scan_ids = [line["scan_id"] for line in lines if line["event"] == "message"]
    assert sorted(scan_ids) == sorted(answer["scan_id"] for _, answer in told.answers)
