"""clamd stopped: every message is deferred with a text that says so, and it is back by itself (issue 2)."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qscan_testkit.mail_load import EICAR
from qscan_testkit.polling import poll_until
from qscan_testkit.queue_answers import QueueResult
from qscan_testkit.running_system import RunningSystem

MakeSystem = Callable[..., RunningSystem]

CLAMD = Path("/usr/sbin/clamd")
BACK_WITHIN_S = 20.0
MESSAGES = {
    "clean": b"Subject: clean\n\nhello\n",
    "virus": b"Subject: virus\n\n" + EICAR + b"\n",
    "one with a part": b"Subject: part\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\ntext\n--b--\n",
}


@pytest.fixture(scope="module")
def ban(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """While this file exists, clamd cannot be started."""
    return tmp_path_factory.mktemp("clamd") / "ban"


@pytest.fixture(scope="module")
def system(make_system: MakeSystem, ban: Path) -> Iterator[RunningSystem]:
    """A system whose clamd can be kept from coming back, and whose gateway is soon out of patience."""
    program = ban.with_name("clamd")
    program.write_text(f'#!/bin/sh\n[ -e {ban} ] && {{ echo banned; exit 1; }}\nexec {CLAMD} "$@"\n')
    program.chmod(0o755)
    patience = {
        "attempt_timeout_s": 3,
        "send_timeout_s": 2,
        "connect_timeout_s": 1,
        "control_timeout_s": 1,
        "proof_timeout_s": 5,
        "poll_every_s": 1,
    }
    system = make_system({"up": {"clamd": str(program)}, "av-gateway": patience})
    with system:
        yield system


def assert_deferred_for_want_of_clamd(result: QueueResult) -> None:
    """The sender keeps the message, and is told that it is the virus scanner's fault."""
    assert result.smtp.startswith("451 virus scanner"), result.smtp
    assert result.smtp.endswith("(#4.3.0)")


def assert_all_deferred(system: RunningSystem, rounds: int) -> None:
    """Every message, again and again, and nothing of it is delivered or kept."""
    before = system.recorder.count()
    for _ in range(rounds):
        for message in MESSAGES.values():
            assert_deferred_for_want_of_clamd(system.caller().send(message))
    assert system.recorder.count() == before


def accepts(system: RunningSystem) -> bool:
    """Whether a clean message is delivered."""
    return system.caller().send(MESSAGES["clean"]).accepted


@pytest.mark.timeout(120)
@pytest.mark.real_clamd
def test_while_clamd_is_dead_all_mail_is_deferred(system: RunningSystem, ban: Path) -> None:
    """Killed, and not to be started again; as soon as it can be, mail flows by itself."""
    assert accepts(system)
    starts = system.starts("clamd")
    ban.touch()
    try:
        system.signal("clamd", signal.SIGKILL).close()
        poll_until(lambda: not accepts(system))
        assert_all_deferred(system, rounds=2)
        poll_until(lambda: system.starts("clamd") > starts + 1)
        assert_all_deferred(system, rounds=1)
        assert not system.is_ready("av-gateway")
    finally:
        ban.unlink()
    poll_until(lambda: accepts(system), BACK_WITHIN_S)
    poll_until(lambda: system.is_ready("av-gateway"), BACK_WITHIN_S)


@pytest.mark.timeout(120)
@pytest.mark.real_clamd
def test_while_clamd_hangs_all_mail_is_deferred(system: RunningSystem) -> None:
    """SIGSTOP: it takes connections and says nothing; the first message finds that out, the others are told at once."""
    assert accepts(system)
    with system.signal("clamd", signal.SIGSTOP):
        assert_all_deferred(system, rounds=2)
    poll_until(lambda: accepts(system), BACK_WITHIN_S)


@pytest.mark.timeout(60)
@pytest.mark.real_clamd
def test_what_a_rule_settles_needs_no_clamd(system: RunningSystem, ban: Path) -> None:
    """A message that is quarantined whatever clamd would say is not deferred (DESIGN §7's exception)."""
    name_and_size = (
        b"Subject: policy\nContent-Type: multipart/mixed; boundary=b\n\n--b\n"
        b"Content-Disposition: attachment; filename=Eicar.com\n\n" + b"0" * 68 + b"\n--b--\n"
    )
    ban.touch()
    try:
        system.signal("clamd", signal.SIGKILL).close()
        poll_until(lambda: not accepts(system))
        assert system.caller().send(name_and_size).accepted
        # Notices may arrive there meanwhile, but not this message.
        assert name_and_size not in [recorded.message for recorded in system.recorder.messages()]
    finally:
        ban.unlink()
    poll_until(lambda: accepts(system), BACK_WITHIN_S)
