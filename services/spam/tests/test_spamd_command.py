"""The argument list of a spamd of our own."""

from pathlib import Path

import pytest

from qscan_spam.spamd_command import MAX_SOCKET_PATH_BYTES, command


def test_a_socket_is_for_its_owner_only():
    """Whoever may connect may read what mail scores, and fill the children."""
    arguments = command("/run/x/spamd.sock", state_dir=Path("/var/x"), run_as="nobody")
    assert "--socketpath=/run/x/spamd.sock" in arguments
    assert "--socketmode=0600" in arguments
    assert "--username=nobody" in arguments
    assert "--local" not in arguments


def test_a_port_is_listened_to_as_written():
    """The same text as in the setting `address`, IPv6 included."""
    arguments = command("[::1]:7783", state_dir=Path("/var/x"), local_tests_only=True, timeout_s=7, max_children=3)
    assert "--listen=[::1]:7783" in arguments
    assert {"--local", "--timeout-child=7", "--max-children=3"} <= set(arguments)
    assert not any(argument.startswith(("--username", "--socket")) for argument in arguments)


def test_a_path_that_the_system_would_cut_is_refused():
    """`sun_path` is 108 bytes with its NUL; spamd would listen somewhere else or not at all."""
    command("/" + "x" * (MAX_SOCKET_PATH_BYTES - 1), state_dir=Path("/var/x"))
    with pytest.raises(ValueError, match="shorter directory"):
        command("/" + "x" * MAX_SOCKET_PATH_BYTES, state_dir=Path("/var/x"))
