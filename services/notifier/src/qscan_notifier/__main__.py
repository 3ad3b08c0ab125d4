"""``python -m qscan_notifier``."""

import sys

from qscan_kit.service import run
from qscan_notifier.bootstrap import main as serve
from qscan_notifier.settings import NotifierSettings


def main() -> int:
    """Run notifier; returns its exit status."""
    return run("notifier", NotifierSettings, serve)


if __name__ == "__main__":
    sys.exit(main())
