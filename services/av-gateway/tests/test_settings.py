"""Settings that cannot work are refused with a word on what to write."""

import pytest

from qscan_av_gateway.clamd_config import ClamdLimits
from qscan_av_gateway.settings import AvGatewaySettings
from qscan_kit.errors import SettingsError
from qscan_kit.settings import load

PREFIX = "QSCAN_AV_GATEWAY_"


@pytest.fixture
def load_with(monkeypatch):
    """Reads the settings from an environment of some variables."""

    def load_them(**values: str) -> AvGatewaySettings:
        environ = {f"{PREFIX}{name.upper()}": value for name, value in values.items()}
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        return load(AvGatewaySettings, environ)

    return load_them


def test_addresses(load_with):
    """Several, with commas."""
    settings = load_with(clamd_addresses="unix:/run/a.sock, tcp:[::1]:3310,tcp:clamav:3310")
    assert settings.clamd_addresses == ("unix:/run/a.sock", "tcp:[::1]:3310", "tcp:clamav:3310")


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"clamd_addresses": ""}, "at least one clamd"),
        ({"clamd_addresses": "/run/clamd.sock"}, "unix:/path"),
        ({"clamd_addresses": "unix:/a,unix:/a"}, "each one once"),
        ({"connect_timeout_s": "200"}, "attempt_timeout_s"),
        ({"max_connections": "0"}, "MAX_CONNECTIONS"),
        ({"clamd_adresses": "unix:/a"}, "unknown setting"),
    ],
)
def test_what_cannot_work(load_with, values, word):
    """The text names the setting or what to write into it."""
    with pytest.raises(SettingsError, match=word):
        load_with(**values)


def test_the_defaults_fit_the_clamd_conf_that_we_write():
    """What we send is below clamd's limits, and it gives up before we do."""
    settings, limits = AvGatewaySettings(), ClamdLimits()
    assert settings.max_scan_bytes < limits.stream_max_bytes
    assert limits.stream_max_bytes <= limits.max_file_bytes
    assert limits.max_file_bytes >= limits.max_scan_bytes, "see ClamdLimits"
    assert limits.pcre_max_file_bytes >= limits.max_file_bytes
    assert settings.attempt_timeout_s * 1000 > limits.max_scan_time_ms
    assert settings.max_connections < limits.max_threads <= limits.max_queue / 2
    assert settings.send_timeout_s <= limits.read_timeout_s
