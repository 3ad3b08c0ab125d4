"""What must become of each message, with the rules as shipped. Pure: an outcome in, a list of complaints out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from msgspec import UnsetType

from qscan_cli.selftest.messages import SelftestMessage
from qscan_cli.selftest.quarantine import Quarantined
from qscan_cli.selftest.queue_caller import EXIT_WITHOUT_QMAIL_QUEUE, QueueAnswer
from qscan_contracts.intake import ComponentAnswer, ReportAnswer, ScanAnswer
from qscan_contracts.vocabulary import Disposition, Verdict

RAW = ""
_RULE_FINDING = "rule."


@dataclass(frozen=True)
class Outcome:
    """What became of a message.

    `recorded` is what the recorder got, `quarantined` what is in the maildirs. What could not be looked at, because
    there is no recorder or the data directory is elsewhere, is not complained about.
    """

    message: SelftestMessage
    queue: QueueAnswer
    answer: ScanAnswer
    recorder_was_read: bool
    recorded: bytes | None
    quarantine_was_read: bool
    quarantined: Quarantined | None


def complaints(outcome: Outcome) -> list[str]:
    """What is not as it must be; empty when all is well."""
    check = _CHECKS[outcome.message.key]
    return [*_queue(outcome.queue), *check(outcome)]


def signatures(answer: ScanAnswer) -> tuple[str, ...]:
    """Each engine with its version and that of its signatures, as it was when it scanned."""
    found = (f"{one.engine} {one.engine_version}, signatures {one.signatures_version}" for _, one in _reports(answer))
    return tuple(dict.fromkeys(found))


def _queue(queue: QueueAnswer) -> Iterator[str]:
    if queue.status == EXIT_WITHOUT_QMAIL_QUEUE:
        yield "qscan-queue cannot execute qmail-queue: set QSCAN_QMAIL_QUEUE, or use --recorder DIR"
    elif queue.status != 0:
        yield f"qscan-queue ended with exit status {queue.status} {queue.text}".rstrip()


def _clean(outcome: Outcome) -> Iterator[str]:
    yield from _decided(outcome.answer, Verdict.CLEAN, Disposition.DELIVER)
    yield from _all_engines_say_clean(outcome.answer)
    yield from _only_delivered(outcome)
    if outcome.recorded is not None and outcome.recorded != outcome.message.content:
        yield "it was delivered, but not byte for byte as it was sent"


def _by_name(outcome: Outcome) -> Iterator[str]:
    yield from _decided(outcome.answer, Verdict.POLICY, Disposition.QUARANTINE)
    if not any(one.id.startswith(_RULE_FINDING) for one in outcome.answer.findings):
        yield "no rule has found its attachment by name and size"
    yield from _all_engines_say_clean(outcome.answer)
    yield from _only_quarantined(outcome, "policy")


def _virus(outcome: Outcome) -> Iterator[str]:
    yield from _decided(outcome.answer, Verdict.VIRUS, Disposition.QUARANTINE)
    hits = [(one, report) for one, report in _reports(outcome.answer) if report.outcome == "detected"]
    if not any(one.path == RAW for one, _ in hits):
        yield "no engine has found the virus in the raw message"
    if not any(outcome.message.key in one.names for one, _ in hits):
        yield "no engine has found the virus in the attached file"
    for _, report in hits:
        if not report.signature_name or not report.signatures_version:
            yield f"{report.engine} does not tell which signature of which version it was"
    yield from _only_quarantined(outcome, "viruses")


def _spam(outcome: Outcome) -> Iterator[str]:
    if outcome.answer.spam is None or outcome.answer.spam.score is None:
        yield (
            "the spam filter gave no score; is it installed and running? "
            "(Debian: apt-get install --no-install-recommends spamassassin spamd)"
        )
    yield from _decided(outcome.answer, Verdict.SPAM, Disposition.DELIVER)
    yield from _only_delivered(outcome)
    if outcome.recorded is not None:
        header, _, body = outcome.recorded.partition(b"\n\n")
        sent_header, _, sent_body = outcome.message.content.partition(b"\n\n")
        fields = header.split(b"\n")
        if not any(line.startswith(b"X-Spam-Status: Yes") for line in fields):
            yield "it was delivered without X-Spam-Status: Yes"
        if _subject(sent_header) == _subject(header) or not _subject(header).endswith(_subject(sent_header)):
            yield "it was delivered without a tag in front of its subject"
        if body != sent_body:
            yield "its body was changed"


_CHECKS: dict[str, Callable[[Outcome], Iterator[str]]] = {
    "clean": _clean,
    "Eicar.com": _by_name,
    "sneaky.txt": _virus,
    "GTUBE": _spam,
}


def _decided(answer: ScanAnswer, verdict: Verdict, disposition: Disposition) -> Iterator[str]:
    if (answer.verdict, answer.disposition) != (verdict, disposition):
        yield f"expected {verdict}, {disposition}; it is {answer.verdict}, {answer.disposition}"


def _reports(answer: ScanAnswer) -> list[tuple[ComponentAnswer, ReportAnswer]]:
    if isinstance(answer.components, UnsetType):
        return []
    return [(one, report) for one in answer.components for report in one.reports]


def _all_engines_say_clean(answer: ScanAnswer) -> Iterator[str]:
    reports = _reports(answer)
    if not reports:
        yield "no engine was asked"
    for one, report in reports:
        if report.outcome != "clean":
            yield f"{report.engine} says {report.outcome} of component {one.path or 'raw'}; it is harmless"


def _only_delivered(outcome: Outcome) -> Iterator[str]:
    if outcome.recorder_was_read and outcome.recorded is None:
        yield "it did not arrive at the recorder"
    if outcome.quarantined is not None:
        yield f"it is in the quarantine ({outcome.quarantined.maildir})"


def _only_quarantined(outcome: Outcome, maildir: str) -> Iterator[str]:
    if outcome.recorded is not None:
        yield "it WAS DELIVERED"
    if not outcome.quarantine_was_read:
        return
    if outcome.quarantined is None:
        yield "it is not in the quarantine"
    elif outcome.quarantined.maildir != maildir:
        yield f"it is in the quarantine's {outcome.quarantined.maildir}, not in {maildir}"
    elif not outcome.quarantined.content.endswith(outcome.message.content):
        yield "it is in the quarantine, but not as it was sent"


def _subject(header: bytes) -> bytes:
    return next((line.partition(b":")[2].strip() for line in header.split(b"\n") if line.startswith(b"Subject:")), b"")
