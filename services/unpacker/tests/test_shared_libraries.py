"""The list of shared libraries that set-up, image and doctor go by, against what is loaded."""

import subprocess
import sys

from qscan_unpacker.sandbox import shared_libraries

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
