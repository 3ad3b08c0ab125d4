"""The configuration of nats-server is accepted by the real server and holds exactly the rights of the table."""

import subprocess
import sysconfig
from pathlib import Path

import pytest

from qscan_contracts.rights import RIGHTS
from qscan_contracts.subjects import Service
from qscan_kit.nats_config import FromEnvironment, Peers, new_password, render

NATS_SERVER = Path(sysconfig.get_path("scripts"), "nats-server")


def passwords() -> dict[Service, str | FromEnvironment]:
    """A password for everybody."""
    return {service: new_password() for service in Service}


@pytest.mark.parametrize("store_dir", ["/srv/js", '/srv/with "quotes" and \\ and spaces', "/srv/größe"])
def test_the_real_server_accepts_the_configuration(tmp_path, store_dir):
    """Whatever the path of the store, also with monitoring on an IPv6 address."""
    file = tmp_path / "nats.conf"
    file.write_text(render(passwords(), store_dir=Path(store_dir), host="::1", http_port=8222), encoding="utf-8")
    checked = subprocess.run([NATS_SERVER, "-t", "-c", file], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_the_real_server_accepts_a_cluster_and_passwords_from_its_environment(tmp_path):
    """As compose and Helm do: no secret in the file, three servers that know each other."""
    file = tmp_path / "nats.conf"
    peers = Peers("nats-0", "qscan", "0.0.0.0:6222", ("nats://nats-0:6222", "nats://nats-1:6222"))
    names = {service: FromEnvironment(f"NATS_PASSWORD_{service.name}") for service in Service}
    file.write_text(render(names, store_dir=Path("/srv/js"), peers=peers), encoding="utf-8")
    environment = {name.variable: new_password() for name in names.values()}
    checked = subprocess.run([NATS_SERVER, "-t", "-c", file], env=environment, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert all(secret not in file.read_text() for secret in environment.values())


def test_every_service_needs_a_password():
    """A user without a password would be open to everybody, so there is no such configuration."""
    incomplete = passwords()
    del incomplete[Service.SPAM]
    with pytest.raises(ValueError, match="spam"):
        render(incomplete, store_dir=Path("/srv/js"))


def test_nobody_is_given_an_empty_list_of_rights():
    """NATS takes an empty list of allowed subjects for all subjects."""
    assert all(rights.publish and rights.subscribe for rights in RIGHTS.values())
    assert set(RIGHTS) == set(Service)


def test_an_acknowledged_write_is_on_disk():
    """DESIGN §6: sync_interval is always on every server."""
    assert "  sync_interval: always\n" in render(passwords(), store_dir=Path("/srv/js"))
