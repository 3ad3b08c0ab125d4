"""The files that follow from the code are of use to the programs that read them.

That the committed ones are those is told in tests/contract.
"""

import subprocess

import pytest

from qscan_cli.configuration.tables import SERVICE_CLASSES
from qscan_contracts.subjects import Service
from qscan_kit.nats_config import new_password
from qscan_testkit.nats_server import program
from tests.deploy.house import ROOT, SERVICES, names_set, settings
from tools import deploy_files
from tools.deploy_files import offered, password_variable


def test_nats_server_accepts_its_configuration(tmp_path):
    """The real server reads the file, and takes the passwords from its environment."""
    file = tmp_path / "nats-server.conf"
    file.write_text(deploy_files.nats_server_conf().replace('"/data"', f'"{tmp_path}"'), "utf-8")
    environ = {password_variable(service): new_password() for service in Service}
    checked = subprocess.run([program(), "-t", "-c", file], env=environ, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    without_one = dict(list(environ.items())[1:])
    refused = subprocess.run(
        [program(), "-t", "-c", file], env=without_one, capture_output=True, text=True, check=False
    )
    assert refused.returncode != 0


def test_freshclam_accepts_its_configuration():
    """The real freshclam reads the file; a word that it does not know is an error to it."""
    file = ROOT / "deploy/clamd/freshclam.conf"
    read = subprocess.run(
        ["freshclam", f"--config-file={file}", "--version"], capture_output=True, text=True, check=False
    )
    assert read.returncode == 0, read.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_example_environment_is_the_defaults(service, tmp_path):
    """With all lines of .env.example taken into use nothing changes, and every setting that is offered is there."""
    lines = deploy_files.env_example().splitlines()
    pairs = (line.removeprefix("#").split("=", 1) for line in lines if line.startswith("#QSCAN_"))
    everything = dict(pairs)
    environ = {name: value for name, value in everything.items() if value}
    assert names_set(service, everything) == set(offered(service))
    needed = {name: str(tmp_path) for name in _without_default(service)}
    assert settings(service, environ | needed) == settings(service, needed)


def _without_default(service):
    own = f"QSCAN_{service.upper().replace('-', '_')}_"
    fields = SERVICE_CLASSES[service].model_fields
    return [f"{own}{name.upper()}" for name, field in fields.items() if field.is_required()]
