"""``qscan-policy``, ``python -m qscan_policy``."""

import sys

from qscan_kit.service import run
from qscan_policy.bootstrap import main as serve
from qscan_policy.settings import PolicySettings


def main() -> int:
    """Run policy until it is told to stop; the exit status is 78 when its settings or rules are wrong."""
    return run("policy", PolicySettings, serve)


if __name__ == "__main__":
    sys.exit(main())
