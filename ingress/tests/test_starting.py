"""What qscan-ingressd refuses to start with, and the socket that it makes."""

import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from qscan_ingress.adapters.spool import file_system
from qscan_testkit.fake_unpacker import FakeUnpacker
from qscan_testkit.ingress_process import Ingressd

MESSAGE = b"Subject: test\n\nbody\n"


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"spool_dir": "/nonexistent"}, "spool_dir /nonexistent"),
        ({"token_file": "/nonexistent"}, "token_file /nonexistent"),
        ({"socket": "/nonexistent/sock"}, "socket /nonexistent/sock"),
        ({"socket_mode": "999"}, "SOCKET_MODE"),
        ({"unpacker_urls": ""}, "UNPACKER_URLS"),
        ({"deadline_s": "0"}, "DEADLINE_S"),
        ({"max_envelope_bytes": "99999999"}, "MAX_ENVELOPE_BYTES"),
        ({"alive_interval_s": "60"}, "ALIVE_INTERVAL_S"),
        ({"max_connections": "100000000"}, "ulimit -n"),
        ({"spoool_dir": "/tmp"}, "SPOOOL_DIR"),
    ],
)
def test_what_cannot_work_is_said_at_once(
    start_ingressd: Any, unpacker: FakeUnpacker, settings: dict[str, str], text: str
) -> None:
    """It ends with a text that names the setting."""
    with pytest.raises(RuntimeError, match=text):
        start_ingressd(unpacker, **settings)


def test_a_token_that_others_can_read_is_refused(start_ingressd: Any, unpacker: FakeUnpacker, tmp_path: Path) -> None:
    """The text is the command that mends it."""
    (tmp_path / "token").write_text("x")
    (tmp_path / "token").chmod(0o644)
    with pytest.raises(RuntimeError, match="chmod 600"):
        start_ingressd(unpacker)


def test_a_spool_in_memory_must_be_wanted(start_ingressd: Any, unpacker: FakeUnpacker) -> None:
    """Large messages on tmpfs would fill the memory that the spool is to save."""
    folder = Path("/dev/shm")  # only opened without a name
    if not folder.is_dir() or file_system(folder) != "tmpfs":
        pytest.skip("no tmpfs here")
    with pytest.raises(RuntimeError, match="spool_may_be_in_memory"):
        start_ingressd(unpacker, spool_dir=str(folder), spool_may_be_in_memory="false")
    start_ingressd(unpacker, spool_dir=str(folder))


@pytest.mark.parametrize("mode", ["0666", "660"])
def test_the_socket_has_its_mode(start_ingressd: Any, unpacker: FakeUnpacker, mode: str) -> None:
    """As configured, whatever the umask."""
    ingressd: Ingressd = start_ingressd(unpacker, socket_mode=mode)
    assert stat.S_IMODE(ingressd.socket.stat().st_mode) == int(mode, 8)


def test_a_stale_socket_is_replaced(start_ingressd: Any, unpacker: FakeUnpacker) -> None:
    """What a killed ingressd leaves behind keeps nobody from starting."""
    first: Ingressd = start_ingressd(unpacker)
    first.kill()
    assert first.socket.is_socket()
    assert start_ingressd(unpacker).caller().send(MESSAGE).accepted


def test_a_running_one_is_not_replaced(start_ingressd: Any, unpacker: FakeUnpacker) -> None:
    """The second says so and ends; the first goes on."""
    first: Ingressd = start_ingressd(unpacker)
    with pytest.raises(RuntimeError, match="another qscan-ingressd answers"):
        start_ingressd(unpacker)
    assert first.caller().send(MESSAGE).accepted


def test_a_file_in_its_place_is_not_removed(start_ingressd: Any, unpacker: FakeUnpacker, tmp_path: Path) -> None:
    """It is no socket, so it is not ours."""
    (tmp_path / "ingress.sock").write_text("precious")
    with pytest.raises(RuntimeError, match="is no socket"):
        start_ingressd(unpacker)
    assert (tmp_path / "ingress.sock").read_text() == "precious"


def test_wrong_settings_have_the_exit_status_of_sysexits() -> None:
    """78: a supervisor need not try again."""
    ended = subprocess.run(
        [sys.executable, "-m", "qscan_ingress"], env={}, capture_output=True, check=False, timeout=20
    )
    assert ended.returncode == 78
    assert b"TOKEN_FILE" in ended.stderr


def test_a_full_backlog_is_not_a_stale_socket(start_ingressd: Any, unpacker: FakeUnpacker, tmp_path: Path) -> None:
    """Somebody listens there, even if it does not accept at the moment."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(str(tmp_path / "ingress.sock"))
        listening.listen(0)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as waiting:
            waiting.connect(str(tmp_path / "ingress.sock"))
            with pytest.raises(RuntimeError, match="another qscan-ingressd answers"):
                start_ingressd(unpacker)
