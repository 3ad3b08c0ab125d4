"""What all tests of policy share."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """The services run on asyncio."""
    return "asyncio"
