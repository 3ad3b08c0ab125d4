"""`qscan scan` against a small intake that answers what it is told to."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from qscan_cli.__main__ import main
from qscan_contracts.ids import ComponentPath, EngineName, FindingId, ScanId, Sha256
from qscan_contracts.intake import (
    ComponentAnswer,
    FindingAnswer,
    RecipientAnswer,
    ReportAnswer,
    ScanAnswer,
    SmtpReply,
    SpamScoreAnswer,
)
from qscan_contracts.vocabulary import ActionKind, Disposition, Origin, Verdict

MESSAGE = b"Subject: x\n\nbody\n"


def answer(disposition: Disposition, verdict: Verdict = Verdict.CLEAN, reason: str = "") -> ScanAnswer:
    """An answer with a part that an engine has looked at."""
    report = ReportAnswer(EngineName("clamd"), "1.4.6", "local+1", "clean", None, None, retryable=False, cached=False)
    return ScanAnswer(
        scan_id=ScanId("S1"),
        verdict=verdict,
        disposition=disposition,
        reason=reason,
        recipients=(RecipientAnswer(0, "b@example.net", disposition, "b@example.net"),),
        smtp=SmtpReply(451, "later (#4.3.0)") if disposition is Disposition.DEFER else None,
        edits=(),
        findings=(FindingAnswer(FindingId("rule.x"), "policy", ComponentPath("1"), ActionKind.LOG, "a detail"),),
        components=(
            ComponentAnswer(
                ComponentPath("1"),
                ComponentPath(""),
                Origin.PART,
                ("a\x1b[31m.txt",),
                "text/plain",
                "",
                4,
                Sha256("0"),
                (report,),
            ),
        ),
        spam=SpamScoreAnswer("spamd", None, None, ()),
        raw_size=len(MESSAGE),
        raw_sha256=Sha256("0"),
        rules_version="1",
        timing_ms={"total": 12.3},
    )


@dataclass
class FakeIntake:
    """Answers each request with the next of `answers` (status and body), and keeps what it was asked."""

    url: str = ""
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    asked: list[tuple[dict[str, list[str]], str, bytes]] = field(default_factory=list)

    def says(self, *dispositions: Disposition) -> None:
        """Answer so."""
        self.answers += [(200, msgspec.json.encode(answer(one))) for one in dispositions]


@pytest.fixture
def intake() -> Iterator[FakeIntake]:
    """A fake on a real socket."""
    fake = FakeIntake()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            parts = urlsplit(self.path)
            assert parts.path == "/v1/scan"
            body = self.rfile.read(int(self.headers["Content-Length"]))
            query = parse_qs(parts.query, keep_blank_values=True)
            fake.asked.append((query, self.headers["Content-Type"], body))
            status, content = fake.answers.pop(0)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield fake
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def message(tmp_path) -> str:
    """A file with a message."""
    file = tmp_path / "message.eml"
    file.write_bytes(MESSAGE)
    return str(file)


@pytest.mark.parametrize(
    ("disposition", "status"),
    [
        (Disposition.DELIVER, 0),
        (Disposition.HOLD, 1),
        (Disposition.QUARANTINE, 1),
        (Disposition.REJECT, 1),
        (Disposition.DISCARD, 1),
        (Disposition.DEFER, 2),
    ],
)
def test_the_exit_status_is_that_of_the_design(intake, message, disposition, status):
    """DESIGN §5: 0 deliver, 1 not delivered, 2 defer."""
    intake.says(disposition)
    assert main(["scan", message, "--url", intake.url]) == status


def test_the_message_is_sent_as_it_is_with_its_envelope(intake, message):
    """Repeated recipients; a message/rfc822 without effects."""
    intake.says(Disposition.DELIVER)
    envelope = ["--mail-from", "a@example.org", "--rcpt-to", "b@example.net", "--rcpt-to", "c@example.net"]
    main(["scan", message, "--url", intake.url, *envelope])
    query, content_type, body = intake.asked[0]
    assert query == {"mail_from": ["a@example.org"], "rcpt_to": ["b@example.net", "c@example.net"]}
    assert content_type == "message/rfc822"
    assert body == MESSAGE


def test_of_several_files_the_highest_status_counts(intake, message):
    """And all of them are asked about."""
    intake.says(Disposition.DEFER, Disposition.QUARANTINE, Disposition.DELIVER)
    assert main(["scan", message, message, message, "--url", intake.url]) == 2
    assert len(intake.asked) == 3


def test_people_are_told_everything(intake, message, capsys):
    """Verdict, disposition, reason, findings, components; nothing that commands the terminal."""
    intake.answers.append((200, msgspec.json.encode(answer(Disposition.DEFER, Verdict.UNSCANNABLE, "engine_failed"))))
    main(["scan", message, "--url", intake.url])
    out = capsys.readouterr().out
    for expected in ("unscannable", "defer", "engine_failed", "451 later", "rule.x", "clamd: clean", "?/?", "12 ms"):
        assert expected in out
    assert "\x1b" not in out


def test_json_is_the_answer_itself_one_line_each(intake, message, capfdbinary):
    """So that it can be piped into another program."""
    intake.says(Disposition.DELIVER, Disposition.QUARANTINE)
    main(["scan", message, message, "--json", "--url", intake.url])
    lines = capfdbinary.readouterr().out.splitlines()
    assert [json.loads(line)["disposition"] for line in lines] == ["deliver", "quarantine"]


def test_people_are_shown_the_tree(intake, message, capsys):
    """`--explain`: with the decision, and without colours where nobody looks; the exit status stays."""
    intake.says(Disposition.QUARANTINE)
    assert main(["scan", message, "--explain", "--url", intake.url]) == 1
    out = capsys.readouterr().out
    assert "disposition  quarantine" in out
    assert '└─ 1  part "a�[31m.txt" text/plain' in out
    assert "· rule.x → log: a detail" in out
    assert "\x1b" not in out


def test_the_tree_as_json_is_one_line_each(intake, message, capfdbinary):
    """`--json --explain`."""
    intake.says(Disposition.DELIVER, Disposition.DEFER)
    assert main(["scan", message, message, "--json", "--explain", "--url", intake.url]) == 2
    lines = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert [line["disposition"] for line in lines] == ["deliver", "defer"]
    assert [line["tree"]["children"][0]["component"]["path"] for line in lines] == ["1", "1"]


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (
            503,
            b'{"title":"Service Unavailable","status":503,"detail":"start NATS"}',
            "503 Service Unavailable: start NATS",
        ),
        (404, b"<html>", "404, and not in qscan's way"),
        (200, b'{"verdict": "lovely"}', "not qscan's"),
        (200, b"<html>", "not qscan's"),
    ],
)
def test_what_is_no_answer_is_not_taken_for_one(intake, message, capsys, status, body, expected):
    """Exit status 3, with what to do."""
    intake.answers.append((status, body))
    assert main(["scan", message, "--url", intake.url]) == 3
    assert expected in capsys.readouterr().err


def test_nobody_there_is_told(message, capsys):
    """Exit status 3."""
    assert main(["scan", message, "--url", "http://127.0.0.1:1"]) == 3
    assert "is qscan running there" in capsys.readouterr().err


def test_a_missing_file_does_not_keep_the_others_from_being_asked_about(intake, message, capsys):
    """Exit status 3 all the same."""
    intake.says(Disposition.DELIVER)
    assert main(["scan", "/nowhere.eml", message, "--url", intake.url]) == 3
    assert "cannot read /nowhere.eml: No such file" in capsys.readouterr().err
    assert len(intake.asked) == 1


def test_the_environment_names_a_qscan(intake, message, monkeypatch):
    """$QSCAN_URL; a proxy in the environment is not asked."""
    monkeypatch.setenv("QSCAN_URL", intake.url)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    intake.says(Disposition.DELIVER)
    assert main(["scan", message]) == 0
