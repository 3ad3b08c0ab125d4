"""Settings that could send notices to the wrong place are refused at the start."""

import asyncio
from pathlib import Path

import pytest
from pydantic import ValidationError

from qscan_kit.errors import SettingsError
from qscan_notifier.bootstrap import main
from qscan_notifier.settings import NotifierSettings


def test_notices_are_off_until_there_is_an_administrator():
    """There is no address that would be right everywhere."""
    assert NotifierSettings().admin_address == ""


@pytest.mark.parametrize(
    "address", ["postmaster", "a b@example.org", "a@b\nBcc: c@d", "<a@example.org>", "ä@example.org"]
)
def test_what_is_no_plain_address_is_refused(address):
    """It becomes a header and an envelope."""
    with pytest.raises(ValidationError):
        NotifierSettings(admin_address=address, state_dir=Path("/srv/state"))


@pytest.mark.anyio
async def test_an_administrator_needs_a_memory() -> None:
    """Or a notice would come again with every redelivery. Where there is `qscan up`, it brings one."""
    settings = NotifierSettings(admin_address="postmaster@example.org")
    with pytest.raises(SettingsError, match="state_dir must be set"):
        await main(settings, asyncio.Event())
