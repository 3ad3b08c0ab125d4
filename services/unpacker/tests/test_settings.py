"""Settings that would let mail pass unseen are refused."""

import pytest
from pydantic import ValidationError

from qscan_unpacker.settings import Settings


@pytest.mark.parametrize("roles", ["", ",", " "])
def test_no_engine_at_all_is_refused(roles: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable of a compose file is no wish to have nothing scanned."""
    monkeypatch.setenv("QSCAN_UNPACKER_ENGINE_ROLES", roles)
    with pytest.raises(ValidationError, match="engine_roles"):
        Settings()
