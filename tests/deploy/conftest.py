"""What several tests of the deployment need."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.chart import CASES, Rendered, render, values_of
from tests.deploy.house import ROOT


@pytest.fixture(scope="session")
def made_secrets(tmp_path_factory) -> Path:
    """The folder that deploy/compose-secrets.sh makes, in a copy of deploy/ of the tests' own."""
    deploy = tmp_path_factory.mktemp("compose") / "deploy"
    deploy.mkdir()
    script = Path(shutil.copy(ROOT / "deploy/compose-secrets.sh", deploy))
    subprocess.run(["sh", script, "--no-chown"], check=True, capture_output=True)
    return script.parent / "secrets"


@pytest.fixture(scope="session", params=CASES)
def rendered(request) -> Rendered:
    """The chart with one of its sets of values."""
    return render(values_of(request.param))


@pytest.fixture(scope="session")
def shipped() -> Rendered:
    """The chart with nothing but its defaults."""
    return render({})
