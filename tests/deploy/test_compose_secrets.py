"""deploy/compose-secrets.sh, run in a copy of the tests' own."""

import os
import re
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from qscan_kit.settings import read_secret
from tests.deploy.house import ROOT, SERVICES


@pytest.fixture
def run(tmp_path):
    """Runs the script in an empty deploy/, as whoever runs the tests."""
    folder = tmp_path / "deploy"
    folder.mkdir()
    script = shutil.copy(ROOT / "deploy/compose-secrets.sh", folder)

    def run(*arguments, **options):
        return subprocess.run(["sh", script, *arguments], capture_output=True, text=True, check=False, **options)

    return run


@pytest.fixture
def secrets(tmp_path):
    """Where they are made."""
    return tmp_path / "deploy/secrets"


def _contents(folder):
    return {file.name: file.read_text() for file in folder.iterdir()}


def test_everything_is_made_for_its_owner_only(run, secrets):
    """Folder 0700, files 0600, and the token is one that the unpacker takes."""
    made = run("--no-chown")
    assert made.returncode == 0, made.stderr
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in secrets.iterdir()} == {0o600}
    assert set(_contents(secrets)) == {"nats.env", "token", *(f"{service}.env" for service in SERVICES)}
    assert re.fullmatch(r"q[0-9a-f]{64}", read_secret(secrets / "token"))
    for value in re.findall(r"=(.*)", _contents(secrets)["nats.env"]):
        assert re.fullmatch(r"q[0-9a-f]{64}", value)
    assert not any(secret in made.stdout + made.stderr for secret in _contents(secrets).values())


def test_second_run_changes_nothing(run, secrets):
    """Running containers go on."""
    run("--no-chown")
    before = _contents(secrets)
    assert run("--no-chown").returncode == 0
    assert _contents(secrets) == before


def test_missing_is_made_and_the_rest_stays(run, secrets):
    """A deleted token, a lost env file, a service that is new."""
    run("--no-chown")
    before = _contents(secrets)
    (secrets / "token").unlink()
    (secrets / "spam.env").unlink()
    (secrets / "policy.env").unlink()
    kept = [line for line in before["nats.env"].splitlines() if "POLICY" not in line]
    (secrets / "nats.env").write_text("\n".join(kept) + "\n")
    assert run("--no-chown").returncode == 0
    after = _contents(secrets)
    assert after["spam.env"] == before["spam.env"]
    assert after["token"] != before["token"]
    assert set(kept) < set(after["nats.env"].splitlines())
    assert after["policy.env"].removeprefix("QSCAN_POLICY_") in after["nats.env"].replace(
        "NATS_PASSWORD_POLICY", "NATS_PASSWORD"
    )
    assert not list(secrets.glob("*.new"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_token_belongs_to_the_containers_user(run, secrets):
    """The unpacker refuses a token that others can read, so it has to own it; the rest is for who calls Compose."""
    made = run(env=os.environ | {"SUDO_UID": "1234", "SUDO_GID": "1235"})
    assert made.returncode == 0, made.stderr
    owners = {file.name: (file.stat().st_uid, file.stat().st_gid) for file in secrets.iterdir()}
    assert owners.pop("token") == (10001, 10001)
    assert set(owners.values()) == {(1234, 1235)}


def test_ordinary_user_is_told_what_to_do():
    """Nothing is made that the unpacker would refuse."""
    nobody: dict[str, Any] = {"user": 65534, "group": 65534} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory() as folder:  # unlike tmp_path, which is closed to others
        Path(folder).chmod(0o777)
        script = shutil.copy(ROOT / "deploy/compose-secrets.sh", folder)
        refused = subprocess.run(["sh", script], cwd="/", capture_output=True, text=True, check=False, **nobody)
        assert refused.returncode == os.EX_NOPERM
        assert "sudo sh" in refused.stderr
        assert not Path(folder, "secrets").exists()


def test_unknown_argument_is_refused(run, secrets):
    """A misspelt option must not be taken for none."""
    assert run("--nochown").returncode == os.EX_USAGE
    assert not secrets.exists()
