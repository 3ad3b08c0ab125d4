"""The command line itself."""

import subprocess
import sys

import pytest

from qscan_cli.__main__ import main

SLOW_TO_IMPORT = {"pydantic", "httpx", "nats", "qscan_kit", "msgspec", "asyncio", "opentelemetry"}


def test_help_is_quick():
    """What a command needs is imported when it is run."""
    script = "import sys; from qscan_cli.__main__ import _parser; _parser(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not SLOW_TO_IMPORT & set(loaded)


@pytest.mark.parametrize("command", ["up", "scan", "selftest", "demo", "doctor", "config check", "config show"])
def test_every_command_explains_itself(command, capsys):
    """`--help` ends with status 0."""
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), "--help"])
    assert ended.value.code == 0
    assert "usage: qscan" in capsys.readouterr().out


def test_a_wrong_configuration_is_told_with_file_and_line(tmp_path, capsys):
    """On standard error, as compilers do it; the exit status is EX_CONFIG."""
    file = tmp_path / "qscan.toml"
    file.write_text("[unpacker]\nmax_detph = 3\n", encoding="utf-8")
    assert main(["config", "check", "--config", str(file)]) == 78
    told = capsys.readouterr()
    assert told.out == ""
    assert f"{file}:2: unknown setting max_detph in [unpacker]; did you mean max_depth?" in told.err


def test_a_right_configuration_is_said_to_be_right(tmp_path, capsys):
    """With its name."""
    file = tmp_path / "qscan.toml"
    file.write_text("[unpacker]\nmax_depth = 3\n", encoding="utf-8")
    assert main(["config", "check", "--config", str(file)]) == 0
    assert capsys.readouterr().out == f"{file}: ok\n"


def test_a_reader_that_has_seen_enough_is_no_error():
    """`qscan config show | head` says nothing about broken pipes."""
    command = f"{sys.executable} -m qscan_cli config show --defaults | head -n 1"
    run = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)
    assert run.stderr == ""
    assert run.stdout.startswith("# qscan.toml")
