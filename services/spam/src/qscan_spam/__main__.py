"""``qscan-spam``, ``python -m qscan_spam``."""

import sys

from qscan_kit.service import run
from qscan_spam.bootstrap import main as serve
from qscan_spam.settings import SpamSettings


def main() -> int:
    """Run spam until it is told to stop; the exit status is 78 when its settings are wrong."""
    return run("spam", SpamSettings, serve)


if __name__ == "__main__":
    sys.exit(main())
