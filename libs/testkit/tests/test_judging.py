"""The judge of the chaos tests must see each of the faults that it is there for."""

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from qscan_testkit.journal import Answered, Journal, Kind, Sent
from qscan_testkit.judging import Judge, Judgement
from qscan_testkit.mail_load import EICAR, envelope_of, message
from qscan_testkit.recording import RecordingQmailQueue

LONGEST_WAIT_S = 5.0


class Scene:
    """A journal, a recorder's folder and a quarantine, filled by hand."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder / "journal")
        self.recorded = folder / "recorded"
        self.recorded.mkdir()
        self.quarantine = folder / "quarantine"
        recorder = RecordingQmailQueue(folder / "program", self.recorded)
        self.judge = Judge(self.journal, recorder, self.quarantine, longest_wait_s=LONGEST_WAIT_S)
        self._count = 0

    def send(self, kind: Kind, token: str) -> bytes:
        """A message is under way."""
        content = message(kind, token, 2000, random.Random(token))
        self.journal.write(Sent(token, kind, len(content), hashlib.sha256(content).hexdigest()))
        return content

    def answer(self, token: str, exit_code: int | None, text: str = "", waited_s: float = 0.1) -> None:
        """Its sender is told something."""
        self.journal.write(Answered(token, exit_code, text, waited_s))

    def deliver(self, token: str, content: bytes) -> None:
        """The recorder gets it."""
        self._count += 1
        folder = self.recorded / f"{self._count}.1"
        folder.mkdir()
        (folder / "message").write_bytes(content)
        (folder / "envelope").write_bytes(envelope_of(token))
        (folder / "facts").write_bytes(b"argc 1\0")

    def keep(self, content: bytes, name: str = "one", folder: str = "new") -> None:
        """The quarantine gets it."""
        path = self.quarantine / "viruses" / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"X-Quarantined: by a test\n" + content)

    def judgement(self) -> Judgement:
        """What the judge says now."""
        return self.judge.look()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """An empty scene."""
    scene = Scene(tmp_path)
    with scene.journal:
        yield scene


def test_a_good_ending_is_found_good(scene: Scene) -> None:
    """One delivered, one kept, one refused: nothing to object to."""
    scene.deliver("a", scene.send(Kind.CLEAN, "a"))
    scene.answer("a", 0)
    scene.keep(scene.send(Kind.VIRUS, "b"))
    scene.answer("b", 0)
    scene.send(Kind.POLICY, "c")
    scene.answer("c", 71, "Zlater")
    judgement = scene.judgement()
    assert (judgement.broken, judgement.missing, judgement.unanswered) == ([], [], 0)
    assert (judgement.accepted["clean"], judgement.accepted["virus"], judgement.failed) == (1, 1, 1)


def test_a_lost_message_is_seen(scene: Scene) -> None:
    """Accepted, and nowhere."""
    scene.send(Kind.CLEAN, "a")
    scene.answer("a", 0)
    (broken,) = scene.judgement().broken
    assert "lost" in broken


def test_an_accepted_payload_that_is_not_kept_yet_is_missing(scene: Scene) -> None:
    """The archiver may be on its way, so this is judged at the end; a file in tmp is not there yet."""
    content = scene.send(Kind.VIRUS, "a")
    scene.answer("a", 0)
    scene.keep(content, folder="tmp")
    assert scene.judgement().missing
    scene.keep(content)
    assert not scene.judgement().missing


@pytest.mark.parametrize("exit_code", [0, 71, None])
def test_a_delivered_payload_is_seen(scene: Scene, exit_code: int | None) -> None:
    """Whatever its sender was told."""
    content = scene.send(Kind.VIRUS, "a")
    scene.deliver("a", content)
    scene.keep(content)
    scene.answer("a", exit_code)
    assert any("has a payload and was delivered" in line for line in scene.judgement().broken)


def test_an_altered_message_is_seen(scene: Scene) -> None:
    """A byte is missing, at the recorder and in the quarantine."""
    scene.deliver("a", scene.send(Kind.CLEAN, "a")[:-1])
    scene.answer("a", 0)
    scene.keep(scene.send(Kind.VIRUS, "b")[:-1])
    scene.answer("b", 0)
    broken = scene.judgement().broken
    assert any("delivered altered" in line for line in broken)
    assert any("does not end with the original" in line for line in broken)


def test_another_envelope_is_seen(scene: Scene) -> None:
    """The message is right, its recipient is not."""
    content = scene.send(Kind.CLEAN, "a")
    scene.deliver("b", content)
    scene.answer("a", 0)
    (broken,) = scene.judgement().broken
    assert "another envelope" in broken


def test_doubles_are_seen(scene: Scene) -> None:
    """Delivered twice, and kept twice."""
    content = scene.send(Kind.CLEAN, "a")
    scene.deliver("a", content)
    scene.deliver("a", content)
    scene.answer("a", 0)
    kept = scene.send(Kind.POLICY, "b")
    scene.keep(kept, "one")
    scene.keep(kept, "two")
    scene.answer("b", 0)
    assert len(scene.judgement().broken) == 2


def test_a_clean_message_in_the_quarantine_is_seen(scene: Scene) -> None:
    """Accepted by the archiver's mistake, say."""
    content = scene.send(Kind.CLEAN, "a")
    scene.deliver("a", content)
    scene.keep(content)
    scene.answer("a", 0)
    (broken,) = scene.judgement().broken
    assert "has no payload" in broken


def test_a_late_answer_and_none_are_seen(scene: Scene) -> None:
    """One comes too late, one never; one is under way."""
    for token in "abc":
        scene.send(Kind.VIRUS, token)
    scene.answer("a", 71, "Zlater", waited_s=LONGEST_WAIT_S + 1)
    scene.answer("b", None, "no end of the program after 10 s")
    judgement = scene.judgement()
    assert len(judgement.broken) == 2
    assert judgement.unanswered == 1


def test_a_failure_that_had_its_effect_is_counted(scene: Scene) -> None:
    """The sender sends it again, so it is no fault, but it is to be known."""
    scene.deliver("a", scene.send(Kind.CLEAN, "a"))
    scene.answer("a", 71, "Zlater")
    scene.keep(scene.send(Kind.VIRUS, "b"))
    scene.answer("b", -9, "Zqq crashed (#4.3.0)")
    judgement = scene.judgement()
    assert (judgement.broken, judgement.failed_but_delivered, judgement.failed_but_kept) == ([], 1, 1)


def test_a_stray_message_is_seen(scene: Scene) -> None:
    """Nobody sent it."""
    scene.deliver("a", message(Kind.CLEAN, "a", 500, random.Random(1)))
    (broken,) = scene.judgement().broken
    assert "never sent" in broken


def test_a_notice_that_quotes_a_message_is_none_of_it(scene: Scene) -> None:
    """Its own header has no mark."""
    scene.deliver("n", b"Subject: notice\n\n" + scene.send(Kind.VIRUS, "a"))
    scene.answer("a", 71, "Zlater")
    assert not scene.judgement().broken


def test_the_journal_outlives_its_writer(tmp_path: Path) -> None:
    """What was written is read by another one."""
    entries: list[Sent | Answered] = [
        Sent("a", Kind.VIRUS, 3, "00"),
        Answered("a", -9, "Zcrashed", 1.5),
        Answered("b", None, "", 2.0),
    ]
    with Journal(tmp_path / "journal") as journal:
        for entry in entries:
            journal.write(entry)
    with Journal(tmp_path / "journal") as journal:
        assert list(journal.entries()) == entries


@pytest.mark.parametrize(("kind", "payload"), [(Kind.CLEAN, False), (Kind.VIRUS, True), (Kind.POLICY, True)])
def test_kinds(kind: Kind, payload: bool) -> None:
    """Only what has a payload must be kept; the payload is not readable in the source of the message."""
    assert kind.has_payload is payload
    assert EICAR not in message(kind, "a", 2000, random.Random(1))
