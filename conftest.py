"""What every test of the workspace shares."""

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Async tests run on the loop that the services run on."""
    return "asyncio", {"use_uvloop": True}
