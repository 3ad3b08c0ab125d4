"""What selftest complains about: nothing when all is well, and every single thing that is not."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from qscan_cli.selftest.expectations import Outcome, complaints
from qscan_cli.selftest.messages import EICAR, GTUBE, ZEROS, messages
from qscan_cli.selftest.quarantine import Quarantined
from qscan_cli.selftest.queue_caller import QueueAnswer
from qscan_contracts.ids import ComponentPath, EngineName, FindingId, ScanId, Sha256
from qscan_contracts.intake import ComponentAnswer, FindingAnswer, ReportAnswer, ScanAnswer, SpamScoreAnswer
from qscan_contracts.vocabulary import ActionKind, Disposition, Origin, Verdict

CLEAN, BY_NAME, VIRUS, SPAM = messages("a@example.org", "b@example.net")


def report(signature: str | None = None, version: str = "local+1") -> ReportAnswer:
    """What clamd says: clean, or a signature's name."""
    outcome = "clean" if signature is None else "detected"
    return ReportAnswer(EngineName("clamd"), "1.4.6", version, outcome, signature, None, retryable=False, cached=False)


def component(path: str, name: str, one: ReportAnswer) -> ComponentAnswer:
    """A component with one report."""
    names = (name,) if name else ()
    return ComponentAnswer(ComponentPath(path), None, Origin.PART, names, "", "", 1, Sha256("0"), (one,))


def answer(verdict: Verdict, disposition: Disposition, *components: ComponentAnswer) -> ScanAnswer:
    """An answer; a rule finding and a score go with those verdicts."""
    rule = FindingAnswer(FindingId("rule.eicar-test-file"), "policy", ComponentPath("2"), ActionKind.QUARANTINE, "")
    return ScanAnswer(
        scan_id=ScanId("S"),
        verdict=verdict,
        disposition=disposition,
        reason="",
        recipients=(),
        smtp=None,
        edits=(),
        findings=(rule,) if verdict is Verdict.POLICY else (),
        components=components,
        spam=SpamScoreAnswer("spamd", 1000.0, 5.0, ()),
        raw_size=1,
        raw_sha256=Sha256("0"),
        rules_version="1",
        timing_ms={},
    )


SENT = QueueAnswer(0, "", 10.0)
TAGGED = SPAM.content.replace(b"Subject: ", b"Subject: [SPAM] ")


def outcome(message, answered, recorded=None, maildir=None) -> Outcome:
    """An outcome with a recorder and a quarantine that were both looked into."""
    kept = None if maildir is None else Quarantined(maildir, Path("x"), b"X-Qscan: ours\n" + message.content)
    return Outcome(message, SENT, answered, True, recorded, True, kept)


GOOD = {
    "clean": outcome(
        CLEAN, answer(Verdict.CLEAN, Disposition.DELIVER, component("", "", report())), recorded=CLEAN.content
    ),
    "Eicar.com": outcome(
        BY_NAME, answer(Verdict.POLICY, Disposition.QUARANTINE, component("", "", report())), maildir="policy"
    ),
    "sneaky.txt": outcome(
        VIRUS,
        answer(
            Verdict.VIRUS,
            Disposition.QUARANTINE,
            component("", "", report("Eicar")),
            component("2", "sneaky.txt", report("Eicar")),
        ),
        maildir="viruses",
    ),
    "GTUBE": outcome(
        SPAM,
        answer(Verdict.SPAM, Disposition.DELIVER, component("", "", report())),
        recorded=b"X-Spam-Status: Yes, hits=1000.0 required=5.0\n" + TAGGED,
    ),
}


@pytest.mark.parametrize("key", GOOD)
def test_nothing_is_complained_about_when_all_is_well(key):
    """Each message has its own ways to go wrong; see below."""
    assert complaints(GOOD[key]) == []


def changed(key: str, **changes: object) -> Outcome:
    """A good outcome with one thing wrong."""
    return replace(GOOD[key], **changes)  # type: ignore[arg-type]


def answered(key: str, **changes: object) -> Outcome:
    """A good outcome with one thing wrong in the answer."""
    return changed(key, answer=msgspec.structs.replace(GOOD[key].answer, **changes))


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (changed("clean", queue=QueueAnswer(71, "Zlater", 1.0)), "exit status 71 Zlater"),
        (changed("clean", queue=QueueAnswer(120, "", 1.0)), "QSCAN_QMAIL_QUEUE"),
        (answered("clean", verdict=Verdict.SPAM), "expected clean, deliver; it is spam, deliver"),
        (answered("clean", components=(component("", "", report("X")),)), "clamd says detected of component raw"),
        (answered("clean", components=()), "no engine was asked"),
        (answered("clean", components=msgspec.UNSET), "no engine was asked"),
        (changed("clean", recorded=None), "did not arrive"),
        (changed("clean", recorded=CLEAN.content[:-1]), "not byte for byte"),
        (changed("clean", quarantined=GOOD["Eicar.com"].quarantined), "it is in the quarantine (policy)"),
        (answered("Eicar.com", verdict=Verdict.VIRUS), "expected policy, quarantine"),
        (answered("Eicar.com", findings=()), "no rule has found"),
        (answered("Eicar.com", components=(component("2", "", report("X")),)), "clamd says detected of component 2"),
        (changed("Eicar.com", recorded=BY_NAME.content), "WAS DELIVERED"),
        (changed("Eicar.com", quarantined=None), "it is not in the quarantine"),
        (changed("Eicar.com", quarantined=GOOD["sneaky.txt"].quarantined), "quarantine's viruses, not in policy"),
        (
            changed("Eicar.com", quarantined=Quarantined("policy", Path("x"), BY_NAME.content + b"!")),
            "not as it was sent",
        ),
        (
            answered("sneaky.txt", components=(component("2", "sneaky.txt", report("Eicar")),)),
            "no engine has found the virus in the raw message",
        ),
        (
            answered("sneaky.txt", components=(component("", "", report("Eicar")),)),
            "no engine has found the virus in the attached file",
        ),
        (
            answered(
                "sneaky.txt",
                components=(component("", "", report("E", "")), component("2", "sneaky.txt", report("E"))),
            ),
            "does not tell which signature",
        ),
        (changed("sneaky.txt", recorded=VIRUS.content), "WAS DELIVERED"),
        (answered("GTUBE", spam=None), "the spam filter gave no score"),
        (changed("GTUBE", recorded=TAGGED), "without X-Spam-Status: Yes"),
        (changed("GTUBE", recorded=b"X-Spam-Status: Yes\n" + SPAM.content), "without a tag"),
        (changed("GTUBE", recorded=b"X-Spam-Status: Yes\n" + TAGGED + b"!"), "its body was changed"),
    ],
)
def test_each_thing_that_is_wrong_is_complained_about(wrong, expected):
    """One thing wrong, one complaint at least."""
    assert any(expected in complaint for complaint in complaints(wrong))


def test_what_cannot_be_looked_at_is_not_complained_about():
    """Without a recorder, and with the data directory on another machine."""
    for key, good in GOOD.items():
        blind = replace(good, recorder_was_read=False, recorded=None, quarantine_was_read=False, quarantined=None)
        assert complaints(blind) == [], key


def test_the_messages_are_what_they_claim_to_be():
    """New each time; the test strings are whole only in the messages."""
    again = messages("a@example.org", "b@example.net")
    assert not {one.message_id for one in again} & {one.message_id for one in (CLEAN, BY_NAME, VIRUS, SPAM)}
    assert len(EICAR) == len(ZEROS) == 68
    assert GTUBE.encode() in SPAM.content
    for one in again:
        assert one.message_id.encode() in one.content
        assert b"\r" not in one.content


def test_no_source_file_holds_a_test_string():
    """A scanner on the developer's machine would quarantine it."""
    for file in (Path(__file__).parents[1]).rglob("*.py"):
        content = file.read_bytes()
        assert EICAR not in content, file
        assert GTUBE.encode() not in content, file
