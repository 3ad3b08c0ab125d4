"""Real servers for the tests of two or more members."""

from collections.abc import Iterator

import pytest

from qscan_testkit.nats_server import NatsServer


@pytest.fixture
def nats_server(tmp_path) -> Iterator[NatsServer]:
    """A running nats-server of this test's own, with the users and rights of production."""
    with NatsServer(tmp_path / "nats") as server:
        yield server
