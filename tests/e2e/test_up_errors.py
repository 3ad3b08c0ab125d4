"""`qscan up` that cannot: what is wrong is told, with what to do, and nothing is left running."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest


def up(folder: Path, configuration: str, *options: str) -> "subprocess.CompletedProcess[str]":
    """Start it with this qscan.toml and wait for its end."""
    file = folder / "qscan.toml"
    file.write_text(configuration, encoding="utf-8")
    command = [sys.executable, "-m", "qscan_cli", "up", "--data", str(folder / "data"), "--config", str(file), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)


@pytest.mark.parametrize(
    ("configuration", "line", "expected"),
    [
        ("[unpacker]\n\nmax_detph = 3\n", 3, "unknown setting max_detph in [unpacker]; did you mean max_depth?"),
        ("[spam]\ntimeout_s = '30'\n", 2, "timeout_s in [spam]: Input should be a valid number"),
        ("[av-gatewy]\n", 1, "unknown table [av-gatewy]; did you mean [av-gateway]?"),
        ("[unpacker\n", 1, "not valid TOML"),
    ],
)
def test_a_wrong_file_is_told_before_anything_is_started(tmp_path, configuration, line, expected):
    """With file and line; the exit status is EX_CONFIG."""
    run = up(tmp_path, configuration)
    assert run.returncode == os.EX_CONFIG
    assert run.stderr.startswith(f"{tmp_path}/qscan.toml:{line}: {expected}") or f":{line}: {expected}" in run.stderr
    assert run.stdout == ""
    assert not (tmp_path / "data").exists()


def test_what_only_up_can_know_must_not_be_set(tmp_path):
    """Two truths about one address would be one too many."""
    run = up(tmp_path, "[unpacker]\nhttp_port = 80\n")
    assert run.returncode == os.EX_CONFIG
    assert f"{tmp_path}/qscan.toml:2: `qscan up` sets http_port in [unpacker] itself" in run.stderr
    assert "--http" in run.stderr


def test_what_only_the_service_finds_wrong_is_told_in_its_words(tmp_path):
    """A rule file that is not there: policy says so, everything else is stopped again."""
    run = up(
        tmp_path, '[policy]\nrules_file = "/nowhere/rules.yaml"\n[up]\nspamd = "/nowhere"\n', "--http", "127.0.0.1:0"
    )
    assert run.returncode == os.EX_CONFIG
    assert "policy cannot run with this configuration" in run.stderr
    assert "/nowhere/rules.yaml" in run.stderr
    assert run.stdout == ""


def test_without_clamd_it_says_what_to_install(tmp_path):
    """Everything would be deferred, so it does not start."""
    run = up(tmp_path, '[up]\nclamd = "/nowhere/clamd"\n')
    assert run.returncode == os.EX_UNAVAILABLE
    assert "there is no /nowhere/clamd" in run.stderr
    assert "clamav-daemon" in run.stderr


def test_a_taken_address_is_told(tmp_path):
    """It was asked for, so no other one is taken instead."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        run = up(tmp_path, "", "--http", f"127.0.0.1:{taken.getsockname()[1]}")
    assert run.returncode == os.EX_UNAVAILABLE
    assert "cannot listen on" in run.stderr


def test_a_directory_that_cannot_be_made_is_told(tmp_path):
    """Here because a file is in the way."""
    (tmp_path / "data").touch()
    run = up(tmp_path, "")
    assert run.returncode == os.EX_CANTCREAT
    assert "cannot make the data directory" in run.stderr


def test_a_token_that_others_may_read_is_refused(tmp_path):
    """With the command that corrects it."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "token").write_text("secret\n", encoding="ascii")
    run = up(tmp_path, "")
    assert run.returncode == os.EX_NOPERM
    assert f"chmod 600 {tmp_path}/data/token" in run.stderr
    assert "secret\n" not in run.stderr.replace("the secret in", "")
