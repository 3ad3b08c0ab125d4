"""``python -m qscan_unpacker``."""

import sys

from qscan_kit.service import run
from qscan_unpacker.bootstrap import main as serve
from qscan_unpacker.settings import Settings


def main() -> int:
    """Run the unpacker; returns its exit status."""
    return run("unpacker", Settings, serve)


if __name__ == "__main__":
    sys.exit(main())
