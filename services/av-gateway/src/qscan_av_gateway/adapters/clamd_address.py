"""Where a clamd listens: `unix:/path`, `tcp:host:port`, `tcp:[2001:db8::1]:3310`."""

from dataclasses import dataclass
from pathlib import Path

_HIGHEST_PORT = 65535


@dataclass(frozen=True)
class UnixAddress:
    """A unix socket."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"

    def as_path(self) -> Path:
        """The socket's file."""
        return Path(self.path)


@dataclass(frozen=True)
class TcpAddress:
    """A TCP port at an IPv4 or IPv6 address or at a name."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp:{host}:{self.port}"


ClamdAddress = UnixAddress | TcpAddress


def parse_address(text: str) -> ClamdAddress:
    """Read an address as it stands in the settings. Raises ValueError with what to write instead."""
    kind, _, rest = text.partition(":")
    if kind == "unix" and rest.startswith("/"):
        return UnixAddress(rest)
    if kind == "tcp":
        host, colon, port = rest.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        name = host[1:-1] if bracketed else host
        # Without brackets nobody can tell where an IPv6 address ends and its port begins.
        is_host = bool(name) and bracketed == (":" in name)
        if colon and is_host and port.isascii() and port.isdigit() and 0 < int(port) <= _HIGHEST_PORT:
            return TcpAddress(name, int(port))
    message = f"{text!r} is no address of a clamd; write unix:/path, tcp:host:port or tcp:[IPv6 address]:port"
    raise ValueError(message)
