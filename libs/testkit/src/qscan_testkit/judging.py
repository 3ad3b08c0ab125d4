"""Judges qscan by a client's journal: what was promised is there, what must not be delivered was not (DESIGN §1).

- answered with success: delivered to the recorder, or, with a payload, in the quarantine, byte for byte;
- with a payload: never at the recorder, whatever was answered;
- answered with failure: may be anywhere nevertheless, since a process can die after its work and before its word; those
  are counted. The sender sends them again;
- nothing is there twice, nothing is altered, everybody is answered in time.
"""

import hashlib
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from qscan_testkit.journal import Answered, Journal, Sent
from qscan_testkit.mail_load import MARK_FIELD, envelope_of
from qscan_testkit.polling import poll_until
from qscan_testkit.recording import RecordedMessage, RecordingQmailQueue

_TOKEN = re.compile(rb"^%b: (?P<token>\S+)\r?$" % MARK_FIELD.encode(), re.MULTILINE)
_LONGEST_HEADER_BYTES = 64 * 1024


@dataclass
class Judgement:
    """What the journal, the recorder and the quarantine say together.

    Attributes:
        missing: accepted with a payload, and not (yet) in the quarantine.
        broken: what must never be, one line each.
        failed_but_delivered: answered with failure, and at the recorder.
        failed_but_kept: answered with failure, and in the quarantine.
        answers: how often which text was answered; success is the empty text.
    """

    sent: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    missing: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    failed_but_delivered: int = 0
    failed_but_kept: int = 0
    unanswered: int = 0
    longest_wait_s: float = 0.0

    @property
    def failed(self) -> int:
        """How many were answered with failure."""
        return self.sent.total() - self.accepted.total() - self.unanswered


@dataclass(frozen=True)
class _Kept:
    path: Path
    content: bytes


class Judge:
    """Looks at everything as often as wanted; files that it has read are not read again."""

    def __init__(
        self, journal: Journal, recorder: RecordingQmailQueue, quarantine: Path, *, longest_wait_s: float
    ) -> None:
        """Every answer must come within `longest_wait_s` of the envelope's end. `quarantine` holds the maildirs."""
        self._journal, self._recorder, self._quarantine = journal, recorder, quarantine
        self._longest_wait_s = longest_wait_s
        self._seen: set[str] = set()
        self._delivered: dict[str, list[RecordedMessage]] = {}
        self._kept: dict[str, list[_Kept]] = {}

    def settled(self, timeout_s: float) -> Judgement:
        """The judgement when nothing is missing any more, or after `timeout_s`; for when nobody sends any more."""
        with suppress(TimeoutError):
            poll_until(lambda: not self.look().missing, timeout_s, pause_s=0.25)
        return self.look()

    def look(self) -> Judgement:
        """The judgement as things are now; not exact while somebody sends."""
        self._read()
        sent: dict[str, Sent] = {}
        answered: dict[str, Answered] = {}
        for entry in self._journal.entries():
            if isinstance(entry, Sent):
                sent[entry.token] = entry
            else:
                answered[entry.token] = entry
        judgement = Judgement(Counter(entry.kind.value for entry in sent.values()))
        for token, message in sent.items():
            self._judge(judgement, message, answered.get(token))
        strangers = sorted((set(self._delivered) | set(self._kept)) - set(sent))
        judgement.broken += [f"{token}: is there and was never sent" for token in strangers]
        return judgement

    def _judge(self, judgement: Judgement, sent: Sent, answered: Answered | None) -> None:
        token = sent.token
        delivered, kept = self._delivered.get(token, []), self._kept.get(token, [])
        if answered is None or answered.exit_code is None:
            judgement.unanswered += answered is None
            if answered is not None:
                judgement.broken.append(f"{token}: {answered.text}")
        if answered is not None:
            judgement.answers[answered.text] += 1
            judgement.longest_wait_s = max(judgement.longest_wait_s, answered.waited_s)
            if answered.waited_s > self._longest_wait_s:
                judgement.broken.append(
                    f"{token}: answered after {answered.waited_s:.1f} s, the limit is {self._longest_wait_s:g} s"
                )
        if answered is not None and answered.accepted:
            judgement.accepted[sent.kind.value] += 1
            if sent.kind.has_payload and not kept:
                judgement.missing.append(f"{token} ({sent.kind}): accepted and not in the quarantine")
            if not sent.kind.has_payload and not delivered:
                judgement.broken.append(f"{token}: accepted and not at the recorder: lost")
        else:
            judgement.failed_but_delivered += bool(delivered)
            judgement.failed_but_kept += bool(kept)
        if sent.kind.has_payload and delivered:
            judgement.broken.append(f"{token} ({sent.kind}): has a payload and was delivered")
        if not sent.kind.has_payload and kept:
            judgement.broken.append(f"{token}: has no payload and is in the quarantine")
        judgement.broken += [f"{token}: {problem}" for problem in _problems(sent, delivered, kept)]

    def _read(self) -> None:
        for recorded in self._recorder.messages(skipping=self._seen):
            self._seen.add(recorded.name)
            token = _token(recorded.message.partition(b"\n\n")[0] + b"\n")
            if token is not None:  # else a notice
                self._delivered.setdefault(token, []).append(recorded)
        for path in self._quarantine.glob("*/*/*"):
            # Files in `tmp` are unfinished, and `cur` is for those who look.
            if path.parent.name != "new" or str(path) in self._seen:
                continue
            self._seen.add(str(path))
            content = path.read_bytes()
            token = _token(content[:_LONGEST_HEADER_BYTES])
            self._kept.setdefault(token or f"without a token: {path.name}", []).append(_Kept(path, content))


def _problems(sent: Sent, delivered: list[RecordedMessage], kept: list[_Kept]) -> list[str]:
    problems = []
    if len(delivered) > 1:
        problems.append(f"was delivered {len(delivered)} times")
    if len(kept) > 1:
        problems.append(f"is in the quarantine {len(kept)} times: {', '.join(one.path.name for one in kept)}")
    for message in delivered:
        if hashlib.sha256(message.message).hexdigest() != sent.sha256:
            problems.append(f"was delivered altered, {len(message.message)} bytes instead of {sent.size}")
        if message.envelope != envelope_of(sent.token):
            problems.append(f"was delivered with another envelope: {message.envelope!r}")
    return problems + [
        f"does not end with the original in {one.path.name}, {len(one.content)} bytes"
        for one in kept
        if hashlib.sha256(one.content[-sent.size :]).hexdigest() != sent.sha256
    ]


def _token(head: bytes) -> str | None:
    found = _TOKEN.search(head)
    return None if found is None else found["token"].decode("ascii", errors="replace")
