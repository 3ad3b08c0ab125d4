"""`qscan-av-gateway`: run the service until it is told to stop."""

import sys

from qscan_av_gateway.bootstrap import serve
from qscan_av_gateway.settings import SERVICE, AvGatewaySettings
from qscan_kit import service


def main() -> int:
    """Return the exit status: 0 when stopped in order, 78 when the settings are wrong."""
    return service.run(SERVICE, AvGatewaySettings, serve)


if __name__ == "__main__":
    sys.exit(main())
