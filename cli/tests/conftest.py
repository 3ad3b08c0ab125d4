"""Folders for the tests of the command."""

from pathlib import Path

import pytest

from qscan_cli.places import DataDirectory


@pytest.fixture
def data(tmp_path: Path) -> DataDirectory:
    """A data directory that has been made."""
    directory = DataDirectory.at(tmp_path / "data")
    directory.make()
    return directory
