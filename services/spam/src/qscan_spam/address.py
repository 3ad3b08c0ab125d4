"""Where a spam filter listens, as a site writes it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Address:
    """Where a spamd listens: at the unix socket `path`, or at `host` and `port`."""

    path: str = ""
    host: str = ""
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> "Address":
        """From an absolute path, ``host:port`` or ``[IPv6]:port``. Raises ValueError."""
        if text.startswith("/"):
            return cls(path=text)
        host, colon, port = text.rpartition(":")
        if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:  # noqa: PLR2004  # TCP's
            raise ValueError("must be an absolute path of a unix socket, or host:port")
        return cls(host=host.removeprefix("[").removesuffix("]"), port=int(port))

    def __str__(self) -> str:
        return self.path or (f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}")
