"""Control by the PyPI package: what it lacks is added, what it raises is translated."""

import inspect
import time
from datetime import UTC, datetime

import clamd
import pytest

from qscan_av_gateway.adapters.clamd_address import parse_address
from qscan_av_gateway.adapters.clamd_control import ClamdControl, ClamdVersion, ControlError, parse_version
from qscan_testkit.fake_clamd import FakeClamd

pytestmark = pytest.mark.anyio


def control_of(fake: FakeClamd) -> ClamdControl:
    """A control with a short time-out."""
    return ClamdControl(parse_address(fake.address), timeout_s=0.3)


@pytest.mark.parametrize("listens_at", ["unix", "127.0.0.1", "::1"])
async def test_ping_version_and_reload(tmp_path, listens_at):
    """Over a unix socket and over both versions of IP."""
    async with FakeClamd(tmp_path / "clamd.sock" if listens_at == "unix" else listens_at) as fake:
        control = control_of(fake)
        await control.ping()
        version = await control.version()
        await control.reload()
        assert version == ClamdVersion("ClamAV 1.4.6", "27400", datetime(2026, 11, 16, 9, 44, 38, tzinfo=UTC))
        assert (fake.pings, fake.reloads) == (1, 1)


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"PONG",
        b"pong\n",
        b"UNKNOWN COMMAND\n",
        b"Can't allocate memory ERROR\n",
        b"\xff\xfe\n",
        b"PONG" + b"x" * 65_536,
        b"PONG" + b"x" * 65_536 + b"\n",
        None,
    ],
)
async def test_whatever_is_wrong_is_a_control_error(start_fake, reply):
    """Nothing that the package or the socket raises gets past the adapter, and nothing lasts longer than its time."""
    fake = await start_fake(control_replies={b"PING": reply})
    started = time.monotonic()
    with pytest.raises(ControlError) as raised:
        await control_of(fake).ping()
    assert time.monotonic() - started < 5
    assert len(str(raised.value)) < 400


async def test_nobody_listens(start_fake):
    """The error says what the system says."""
    fake = await start_fake()
    await fake.stop()
    with pytest.raises(ControlError, match="refused"):
        await control_of(fake).ping()


async def test_a_socket_that_is_not_there(tmp_path):
    """The same for a missing file."""
    with pytest.raises(ControlError, match="No such file"):
        await ClamdControl(parse_address(f"unix:{tmp_path}/no.sock"), timeout_s=1).ping()


async def test_a_reload_that_is_switched_off(start_fake):
    """From ClamAV 1.5 on it can be."""
    fake = await start_fake(control_replies={b"RELOAD": b"COMMAND UNAVAILABLE\n"})
    with pytest.raises(ControlError, match="EnableReloadCommand"):
        await control_of(fake).reload()


@pytest.mark.parametrize(
    ("reply", "version"),
    [
        ("ClamAV 1.4.6", ClamdVersion("ClamAV 1.4.6", "local")),
        ("ClamAV 1.5.4/27900/nonsense", ClamdVersion("ClamAV 1.5.4", "27900")),
        ("COMMAND UNAVAILABLE", ClamdVersion("ClamAV unknown", "unknown")),
        ("", ClamdVersion("ClamAV unknown", "unknown")),
        ("ClamAV 1.4.6/../etc/passwd", ClamdVersion("ClamAV unknown", "unknown")),
    ],
)
def test_versions(reply, version):
    """With a site's own signatures only, or when clamd does not tell, there is no number."""
    assert parse_version(reply) == version


@pytest.mark.parametrize(
    ("engine", "outdated"),
    [
        ("ClamAV 0.103.12", True),
        ("ClamAV 1.0.9", True),
        ("ClamAV 1.4.5", True),
        ("ClamAV 1.4.6", False),
        ("ClamAV 1.4.10", False),
        ("ClamAV 1.5.3", True),
        ("ClamAV 1.5.4", False),
        ("ClamAV 1.6.0", False),
        ("ClamAV 2.0.0-rc", False),
        ("ClamAV unknown", False),
    ],
)
def test_versions_with_known_holes(engine, outdated):
    """The oldest good one of each line."""
    assert ClamdVersion(engine, "1").is_outdated is outdated


def test_the_package_is_the_one_that_was_read():
    """The adapter replaces two methods that the package calls internal: they must still be called as they were."""
    source = inspect.getsource(clamd.ClamdNetworkSocket._basic_command)  # noqa: SLF001  # that is the point
    assert "self._init_socket()" in source
    assert "self._recv_response()" in source
    assert "self._close_socket()" in source
