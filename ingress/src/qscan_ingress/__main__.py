"""`qscan-ingressd`, also as `python -m qscan_ingress`."""

import sys

from qscan_ingress.bootstrap import serve
from qscan_ingress.settings import IngressSettings
from qscan_kit.service import run


def main() -> int:
    """Run until SIGTERM or SIGINT; the exit status."""
    return run("ingress", IngressSettings, serve)


if __name__ == "__main__":
    sys.exit(main())
