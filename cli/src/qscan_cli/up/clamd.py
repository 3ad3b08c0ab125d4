"""clamd as a child of `qscan up`, and which signatures it gets."""

import os
from dataclasses import dataclass
from pathlib import Path

from qscan_av_gateway.clamd_config import render, write_eicar_signatures
from qscan_cli.configuration.up_settings import UpSettings
from qscan_cli.errors import CommandError
from qscan_cli.places import DataDirectory
from qscan_cli.signatures import has_signatures
from qscan_cli.up import probes
from qscan_cli.up.children import ChildPlan, Stage
from qscan_cli.up.minimal import account, minimal_environment, own_folder

NAME = "clamd"
_ADVICE = "if that is about permissions, AppArmor may confine clamd: `qscan doctor` tells what to do"


@dataclass(frozen=True)
class Signatures:
    """The folder that clamd gets. `text` says plainly which it is."""

    folder: Path
    is_own: bool
    text: str


def check_installed(settings: UpSettings) -> None:
    """Raise CommandError when there is no clamd to start."""
    if not os.access(settings.clamd, os.X_OK):
        message = (
            f"there is no {settings.clamd}, and without an anti-virus engine every message would be deferred.\n"
            "Install it (Debian: apt-get install --no-install-recommends clamav-daemon), or name clamds that run "
            "elsewhere in qscan.toml:\n"
            "  [av-gateway]\n"
            '  clamd_addresses = ["unix:/run/clamav/clamd.ctl", "tcp:192.0.2.7:3310"]'
        )
        raise CommandError(message, os.EX_UNAVAILABLE)


def choose_signatures(settings: UpSettings, data: DataDirectory) -> Signatures:
    """The site's signatures if there are some, else a folder of qscan's own that knows the EICAR test file only."""
    site = settings.signatures_dir
    if has_signatures(site):
        return Signatures(site, is_own=False, text=f"the site's signatures in {site}")
    own = data.root / "clamd" / "signatures"
    write_eicar_signatures(own)
    return Signatures(
        own,
        is_own=True,
        text="qscan's own signatures, which know the EICAR test file and NO REAL VIRUS: "
        f"there are none in {site} (install clamav-freshclam, let it finish, then start qscan up again)",
    )


def plan(settings: UpSettings, data: DataDirectory, signatures: Signatures) -> ChildPlan:
    """The child; makes its folders and writes its configuration."""
    owner = account(settings.clamd_user) if os.geteuid() == 0 else None
    if owner is None and os.geteuid() == 0:
        message = f"there is no account {settings.clamd_user} for clamd: set [up] clamd_user to one that may do little"
        raise CommandError(message)
    home = data.root / "clamd"
    home.mkdir(mode=0o755, exist_ok=True)
    own_folder(home / "tmp", owner)
    own_folder(home / "run", owner)
    configuration = home / "clamd.conf"
    # Relative to its working directory: its account may not be able to pass through the folders above.
    folder = signatures.folder
    configuration.write_text(
        render(
            database_directory=folder.relative_to(home) if signatures.is_own else folder,
            local_socket=Path("run/sock"),
            local_socket_mode=0o600,
            user="" if owner is None else owner.pw_name,
            temporary_directory=Path("tmp"),
        ),
        encoding="utf-8",
    )
    socket = home / "run" / "sock"
    return ChildPlan(
        name=NAME,
        command=(str(settings.clamd), "--foreground", f"--config-file={configuration}"),
        environ=minimal_environment(data),
        probe=probes.clamd(socket),
        stage=Stage.ENGINES,
        directory=home,
        address=str(socket),
        advice=_ADVICE,
    )
