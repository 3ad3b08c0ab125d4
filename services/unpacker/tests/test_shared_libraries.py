"""The list of shared libraries that set-up, image and doctor go by, against what is loaded."""

import subprocess
import sys
from pathlib import Path

import pytest

from qscan_unpacker.sandbox import shared_libraries
from qscan_unpacker.sandbox.sandbox import Sandbox, SandboxError

SHOW = """
import sys
sys.addaudithook(lambda event, arguments: event == "ctypes.dlopen" and print(arguments[0]))
import qscan_unpacker.opening.openers, qscan_unpacker.sandbox.confinement
"""


def test_what_is_loaded_is_listed() -> None:
    """By the names that are listed, for another major version has another package, and nothing beside them.

    What wheels bring, or promise to find on every system, is not loaded through ctypes.
    """
    shown = subprocess.run([sys.executable, "-c", SHOW], check=True, capture_output=True, text=True).stdout
    loaded = set(shown.split()) - {"None", "libc.so.6"}
    assert loaded == {library.file for library in shared_libraries.needed()}


def test_a_library_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it, instead of what its absence leads to."""
    (tmp_path / "libarchive.so.13").touch()
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    sandbox = Sandbox(memory_bytes=400_000_000, max_children=1, opening_timeout_s=1, require_seccomp=True)
    with pytest.raises(SandboxError, match=r"libarchive\.so\.13 cannot be loaded; .*apt-get install libarchive13$"):
        sandbox.start()
    sandbox.stop()
