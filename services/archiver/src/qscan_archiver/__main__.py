"""``python -m qscan_archiver``."""

import sys

from qscan_archiver.bootstrap import main as serve
from qscan_archiver.settings import ArchiverSettings
from qscan_kit.service import run


def main() -> int:
    """Run archiver; returns its exit status."""
    return run("archiver", ArchiverSettings, serve)


if __name__ == "__main__":
    sys.exit(main())
