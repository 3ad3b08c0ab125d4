"""Sending the four messages and looking what became of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from qscan_cli.intake_client import IntakeClient
from qscan_cli.selftest import quarantine
from qscan_cli.selftest.account import account
from qscan_cli.selftest.expectations import Outcome, complaints
from qscan_cli.selftest.messages import SelftestMessage, messages
from qscan_cli.selftest.queue_caller import hand_over
from qscan_cli.selftest.recorder import Recorder
from qscan_cli.table import printable, table
from qscan_contracts.vocabulary import Disposition

_QUICK_LOOK_S = 0.0


@dataclass(frozen=True)
class Trial:
    """What is tried. `recorder` and `data` are None where they cannot be looked into."""

    queue_program: Path
    environ: Mapping[str, str]
    url: str
    mail_from: str
    rcpt_to: str
    recorder: Recorder | None
    data: Path | None

    def run(self) -> Iterator[Outcome]:
        """Send one message after the other.

        Raises:
            CommandError: qscan-queue cannot be run.
            NotAskedError: the intake API does not answer.
        """
        with IntakeClient(self.url) as client:
            for message in messages(self.mail_from, self.rcpt_to):
                yield self._send(client, message)

    def _send(self, client: IntakeClient, message: SelftestMessage) -> Outcome:
        queue = hand_over(
            self.queue_program,
            message.content,
            mail_from=self.mail_from,
            rcpt_to=[self.rcpt_to],
            environ=self.environ,
        )
        answer, _ = client.ask(message.content, mail_from=self.mail_from, rcpt_to=[self.rcpt_to])
        # qmail-queue has it before qscan-queue ends; the quarantine gets it afterwards.
        is_delivered = answer.disposition is Disposition.DELIVER
        return Outcome(
            message=message,
            queue=queue,
            answer=answer,
            recorder_was_read=self.recorder is not None,
            recorded=None if self.recorder is None else self.recorder.find(message.message_id),
            quarantine_was_read=self.data is not None,
            quarantined=None
            if self.data is None
            else quarantine.find(
                self.data / "quarantine",
                message.message_id,
                wait_s=_QUICK_LOOK_S if is_delivered else quarantine.WAIT_S,
            ),
        )


def show(outcomes: list[Outcome], program: str) -> tuple[str, bool]:
    """The table, what happened, what is wrong; and whether all is as it must be. `program` gets what is delivered."""
    wrong = {outcome.message.key: complaints(outcome) for outcome in outcomes}
    rows = [
        (
            "FAILED" if wrong[one.message.key] else "ok",
            one.message.key,
            one.answer.verdict.value,
            one.answer.disposition.value,
            printable(one.answer.reason) or "nothing found",
            f"{one.queue.elapsed_ms:.0f}",
            where_it_went(one, program),
        )
        for one in outcomes
    ]
    text = table(("", "message", "verdict", "disposition", "reason", "ms", "where it went"), rows)
    width = max(len(key) for key in wrong)
    accounts = [f"{one.message.key:{width}}  {account(one)}" for one in outcomes if account(one)]
    problems = [f"{key}: {complaint}" for key, texts in wrong.items() for complaint in texts]
    parts = [text, "\n".join(accounts), "\n".join(problems)]
    return "\n\n".join(part for part in parts if part), not problems


def where_it_went(outcome: Outcome, program: str) -> str:
    """In words."""
    places = []
    if outcome.recorded is not None:
        same = outcome.recorded == outcome.message.content
        places.append(f"delivered, {'byte for byte' if same else 'with edits'}")
    elif outcome.queue.status == 0 and outcome.answer.disposition is Disposition.DELIVER:
        places.append("nowhere" if outcome.recorder_was_read else f"delivered to {program}")
    if outcome.quarantined is not None:
        places.append(f"quarantine/{outcome.quarantined.maildir}")
    elif outcome.answer.disposition is Disposition.QUARANTINE and not outcome.quarantine_was_read:
        places.append("quarantine (elsewhere, not looked at)")
    if outcome.queue.status != 0:
        places.append(f"back to the sender ({printable(outcome.queue.text) or f'exit {outcome.queue.status}'})")
    return "; ".join(places) or "nowhere"
