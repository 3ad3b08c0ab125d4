"""A real spamd, started as `qscan up` starts it."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from qscan_spam.spamd_command import command
from qscan_testkit.polling import poll_until

PROGRAM = Path("/usr/sbin/spamd")
START_TIMEOUT_S = 30


@pytest.fixture
def anyio_backend() -> str:
    """The services run on asyncio."""
    return "asyncio"


@dataclass(frozen=True)
class RealSpamd:
    """Where it listens, and how long it took to answer its first PING."""

    address: str
    start_s: float


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(path))
            connection.sendall(b"PING SPAMC/1.5\r\n\r\n")
            return b"PONG" in connection.recv(64)
        except OSError:
            return False


@pytest.fixture(scope="session")
def real_spamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealSpamd]:
    """SpamAssassin with local tests only, with the options of `qscan_spam.spamd_command`."""
    if not PROGRAM.exists():
        pytest.fail("no spamd: install spamd (Debian 12: spamassassin), or run `make setup`")
    folder = tmp_path_factory.mktemp("spamd")
    state = folder / "state"
    state.mkdir()
    as_root = os.geteuid() == 0
    if as_root:
        shutil.chown(state, "nobody")
    arguments = command(
        str(folder / "socket"),
        state_dir=state,
        max_children=2,
        local_tests_only=True,
        run_as="nobody" if as_root else None,
        program=PROGRAM,
    )
    started = time.monotonic()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stderr=log)
    try:
        poll_until(lambda: process.poll() is not None or _answers(folder / "socket"), START_TIMEOUT_S)
        assert process.poll() is None, (folder / "log").read_text()
        yield RealSpamd(str(folder / "socket"), time.monotonic() - started)
    finally:
        process.terminate()
        process.wait(10)
