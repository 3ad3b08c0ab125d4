"""Where things are: the data directory (DESIGN §5), the configuration file, the programs beside the interpreter."""

import os
import shutil
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from qscan_cli.errors import CommandError

DEFAULT_URL = "http://127.0.0.1:8080"
LONGEST_SOCKET_PATH_BYTES = 107
"""`sun_path` of unix(7) without its NUL."""


def _home(variable: str, below_home: str) -> Path:
    """A folder of the XDG base directory specification, with qscan's own below it."""
    named = os.environ.get(variable, "")
    return (Path(named) if named.startswith("/") else Path.home() / below_home) / "qscan"


def default_data_directory() -> Path:
    """`/var/lib/qscan` for root, the user's own place otherwise."""
    return Path("/var/lib/qscan") if os.geteuid() == 0 else _home("XDG_DATA_HOME", ".local/share")


def default_config_files() -> tuple[Path, ...]:
    """Where `qscan.toml` is looked for without ``--config``; the first that exists counts."""
    return (_home("XDG_CONFIG_HOME", ".config") / "qscan.toml", Path("/etc/qscan/qscan.toml"))


def find_program(name: str) -> Path | None:
    """A program that was installed with qscan: beside the interpreter, else on PATH."""
    beside = Path(sysconfig.get_path("scripts"), name)
    if os.access(beside, os.X_OK):
        return beside
    found = shutil.which(name)
    return None if found is None else Path(found)


@dataclass(frozen=True)
class DataDirectory:
    """The layout of the data directory. Nothing is made before `make`."""

    root: Path

    @classmethod
    def at(cls, path: Path) -> "DataDirectory":
        """The directory at `path`.

        Raises:
            CommandError: the path is too long for the sockets in it.
        """
        directory = cls(path.expanduser().resolve())
        length = len(os.fsencode(directory.ingress_socket))
        if length > LONGEST_SOCKET_PATH_BYTES:
            message = (
                f"{directory.ingress_socket} is {length} bytes long; the path of a socket may have "
                f"{LONGEST_SOCKET_PATH_BYTES}: choose a shorter directory with --data"
            )
            raise CommandError(message)
        return directory

    @property
    def quarantine(self) -> Path:
        """Maildirs ``viruses``, ``policy`` and ``spam``."""
        return self.root / "quarantine"

    @property
    def archives(self) -> Path:
        """The archive's maildirs."""
        return self.root / "archives"

    @property
    def log(self) -> Path:
        """What each child of `qscan up` says, and the log of messages."""
        return self.root / "log"

    @property
    def nats(self) -> Path:
        """JetStream's files: what has been accepted and is not done yet."""
        return self.root / "nats"

    @property
    def spool(self) -> Path:
        """Messages that are being scanned."""
        return self.root / "spool"

    @property
    def notices(self) -> Path:
        """Which notices were sent."""
        return self.root / "notices"

    @property
    def run(self) -> Path:
        """What is of no use after the end of `qscan up`: sockets, generated configuration."""
        return self.root / "run"

    @property
    def secrets(self) -> Path:
        """Passwords that are kept between runs."""
        return self.root / "secrets"

    @property
    def token(self) -> Path:
        """The bearer token for scans with effects."""
        return self.root / "token"

    @property
    def ingress_socket(self) -> Path:
        """Where qscan-queue reaches ingressd."""
        return self.run / "ingress.sock"

    @property
    def services_file(self) -> Path:
        """Which processes `qscan up` runs, and where they listen."""
        return self.run / "services.json"

    @property
    def lock_file(self) -> Path:
        """Held (flock) by `qscan up` and by its guardian until the last child is gone."""
        return self.root / "lock"

    def make(self) -> None:
        """Make what is missing. Whoever delivers mail must reach the socket, nobody else the mail.

        Raises:
            CommandError: it cannot be made here.
        """
        try:
            for path in (self.root, self.run):
                path.mkdir(mode=0o755, parents=True, exist_ok=True)
            for path in (self.log, self.nats, self.spool, self.secrets, self.notices, self.quarantine, self.archives):
                path.mkdir(mode=0o700, exist_ok=True)
            for name in ("viruses", "policy", "spam"):
                (self.quarantine / name).mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            message = f"cannot make the data directory: {error}; choose another one with --data"
            raise CommandError(message, os.EX_CANTCREAT) from error
