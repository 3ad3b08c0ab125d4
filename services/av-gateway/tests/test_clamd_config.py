"""The clamd.conf that qscan writes. That clamd takes it, and what it then does, is tested on the real one."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from qscan_av_gateway.clamd_config import ClamdLimits, render, write_eicar_signatures
from qscan_av_gateway.eicar import EICAR

SIGNATURES = Path("/var/lib/clamav")
SOCKET = Path("/run/qscan/clamd.sock")


def options(text: str) -> dict[str, str]:
    """What the configuration says."""
    return dict(line.split(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))


@pytest.mark.parametrize("switch", ["AlertExceedsMax", "AlertEncrypted", "AlertEncryptedArchive", "AlertEncryptedDoc"])
def test_the_alert_switches_are_on(switch):
    """Without them clamd says OK to what it did not look at."""
    assert options(render(database_directory=SIGNATURES, local_socket=SOCKET))[switch] == "yes"


def test_every_limit_is_written_down():
    """Each one with the value it was given, so that none changes with a release of ClamAV."""
    limits = ClamdLimits(**{one.name: 1_000_000 + number for number, one in enumerate(fields(ClamdLimits))})
    text = render(database_directory=SIGNATURES, local_socket=SOCKET, limits=limits)
    written = re.findall(r"^[A-Za-z0-9]+ (10000\d\d)$", text, re.MULTILINE)
    assert sorted(written) == [str(1_000_000 + number) for number, _ in enumerate(fields(ClamdLimits))]


def test_no_option_twice():
    """The last one would win silently."""
    text = render(database_directory=SIGNATURES, local_socket=SOCKET, tcp_address=("::1", 3310), user="clamav")
    names = [line.split(" ")[0] for line in text.splitlines() if line and not line.startswith("#")]
    assert len(names) == len(set(names))


def test_where_it_listens():
    """A unix socket, TCP over IPv4 or IPv6, or several; nowhere is an error."""
    unix = options(render(database_directory=SIGNATURES, local_socket=SOCKET))
    assert (unix["LocalSocket"], unix["LocalSocketMode"], unix["FixStaleSocket"]) == (str(SOCKET), "660", "yes")
    assert "TCPSocket" not in unix
    tcp = options(render(database_directory=SIGNATURES, tcp_address=("[::1]", 3310)))
    assert (tcp["TCPAddr"], tcp["TCPSocket"]) == ("::1", "3310")
    assert "LocalSocket" not in tcp
    with pytest.raises(ValueError, match="local_socket or a tcp_address"):
        render(database_directory=SIGNATURES)


def test_a_user_only_where_there_is_one_to_become():
    """clamd that is not root cannot become anybody."""
    assert "User" not in options(render(database_directory=SIGNATURES, local_socket=SOCKET))
    assert options(render(database_directory=SIGNATURES, local_socket=SOCKET, user="clamav"))["User"] == "clamav"


@pytest.mark.parametrize("path", ["/a\nUser root", "/a\r", " /a", "/a\0"])
def test_no_value_becomes_another_option(path):
    """A line break in a path is refused."""
    with pytest.raises(ValueError, match=r"clamd\.conf"):
        render(database_directory=Path(path), local_socket=SOCKET)


def test_a_socket_path_that_clamd_would_cut_off():
    """It would listen somewhere else."""
    with pytest.raises(ValueError, match="107"):
        render(database_directory=SIGNATURES, local_socket=Path("/" + "x" * 107))
    render(database_directory=SIGNATURES, local_socket=Path("/" + "x" * 106))


def test_the_signature_directory_of_our_own(tmp_path):
    """One signature, and no file in it or in our source that an engine would report."""
    file = write_eicar_signatures(tmp_path / "signatures")
    assert EICAR not in file.read_bytes()
    assert file.read_text("ascii") == f"Qscan.Test.EICAR:0:*:{EICAR.hex()}\n"
    assert len(EICAR) == 68
    source = Path(__file__).parents[1] / "src" / "qscan_av_gateway"
    assert not [path for path in source.rglob("*.py") if EICAR in path.read_bytes()]
