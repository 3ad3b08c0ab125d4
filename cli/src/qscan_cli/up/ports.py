"""Ports that stay ours from the moment they are chosen.

A port that is found free and then named to a child may be gone when the child gets to it, and a child that is started
again needs the same one. So `qscan up` keeps a socket bound to each, which never listens: with SO_REUSEADDR on both
(nats-server and uvicorn set it) Linux lets the child bind and listen all the same, and gives the port to nobody else.
"""

import os
import socket
from dataclasses import dataclass, field

from qscan_cli.errors import CommandError
from qscan_cli.places import DEFAULT_URL

_DEFAULT_HOST, _, _DEFAULT_PORT = DEFAULT_URL.removeprefix("http://").rpartition(":")


_LAST_PORT = 65535


@dataclass
class Ports:
    """The ports of one `qscan up`; `close` gives them back."""

    _held: list[socket.socket] = field(default_factory=list)

    def reserve(self, host: str, port: int = 0) -> int:
        """Keep a port of `host`, any free one for 0, and return its number. Raises OSError when it is taken."""
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        holder = socket.socket(family, socket.SOCK_STREAM)
        try:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(address)
        except OSError:
            holder.close()
            raise
        self._held.append(holder)
        number: int = holder.getsockname()[1]
        return number

    def reserve_http(self, wanted: str) -> tuple[str, int]:
        """The address of the intake API: as `wanted` (HOST:PORT), or the usual one, or a free one if that is taken.

        Raises:
            CommandError: `wanted` is no address, or taken.
        """
        if not wanted:
            return _DEFAULT_HOST, self._usual_port() or self.reserve(_DEFAULT_HOST)
        host, colon, number = wanted.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not colon or not host or not number.isdecimal() or int(number) > _LAST_PORT:
            message = f"{wanted} is no HOST:PORT (examples: 127.0.0.1:8080, [::1]:0)"
            raise CommandError(message, os.EX_USAGE)
        try:
            return host, self.reserve(host, int(number))
        except OSError as error:
            message = f"cannot listen on {wanted}: {error}; choose another address with --http, port 0 for any free one"
            raise CommandError(message, os.EX_UNAVAILABLE) from error

    def _usual_port(self) -> int | None:
        """The usual port if nobody has it: neither somebody who listens, nor another `qscan up` that is starting."""
        port = int(_DEFAULT_PORT)
        # A name in the abstract namespace is gone with its last owner, and does not linger as a closed port does.
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            claim.bind(f"\0qscan-up-{port}")
            self.reserve(_DEFAULT_HOST, port)
        except OSError:
            claim.close()
            return None
        self._held.append(claim)
        return port

    def close(self) -> None:
        """Give all of them back."""
        for holder in self._held:
            holder.close()
        self._held.clear()


def http_url(host: str, port: int) -> str:
    """The URL of an address; IPv6 addresses get their brackets."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
