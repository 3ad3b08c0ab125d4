"""Addresses as they stand in the settings."""

import pytest

from qscan_av_gateway.adapters.clamd_address import TcpAddress, UnixAddress, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:/run/clamav/clamd.ctl", UnixAddress("/run/clamav/clamd.ctl")),
        ("tcp:127.0.0.1:3310", TcpAddress("127.0.0.1", 3310)),
        ("tcp:clamav.mail.svc:3310", TcpAddress("clamav.mail.svc", 3310)),
        ("tcp:[::1]:3310", TcpAddress("::1", 3310)),
        ("tcp:[fe80::1%eth0]:1", TcpAddress("fe80::1%eth0", 1)),
    ],
)
def test_reads_and_writes(text, address):
    """An address reads to what it was written from."""
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/run/clamd.sock",
        "unix:clamd.sock",
        "unix:",
        "tcp:",
        "tcp:host",
        "tcp::3310",
        "tcp:[]:3310",
        "tcp:::1:3310",
        "tcp:[host]:3310",
        "tcp:host:",
        "tcp:host:0",
        "tcp:host:65536",
        "tcp:host:-1",
        "tcp:host:٣",
        "http://host:3310",
    ],
)
def test_what_is_no_address_says_what_is(text):
    """The error names the forms that there are."""
    with pytest.raises(ValueError, match=r"unix:/path, tcp:host:port or tcp:\[IPv6 address\]:port"):
        parse_address(text)
