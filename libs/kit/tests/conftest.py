"""A real nats-server for the tests of kit that need one."""

from collections.abc import Iterator

import pytest

from qscan_testkit.nats_server import NatsServer


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """One for all tests that leave it running."""
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        yield server
