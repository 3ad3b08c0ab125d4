"""spamd as a child of `qscan up`."""

import os

from qscan_cli.configuration.up_settings import UpSettings
from qscan_cli.errors import CommandError
from qscan_cli.places import DataDirectory
from qscan_cli.up import probes
from qscan_cli.up.children import ChildPlan, Stage
from qscan_cli.up.minimal import account, minimal_environment, own_folder
from qscan_spam.spamd_command import command

NAME = "spamd"
_USERS = ("debian-spamd", "nobody")


def is_installed(settings: UpSettings) -> bool:
    """Whether there is a spamd to start."""
    return os.access(settings.spamd, os.X_OK)


def plan(settings: UpSettings, data: DataDirectory) -> ChildPlan:
    """The child; makes its folders."""
    owner = None
    if os.geteuid() == 0:
        # spamd refuses to look at mail as root.
        owner = account(*([settings.spamd_user] if settings.spamd_user else _USERS))
        if owner is None:
            message = "there is no account for spamd: set [up] spamd_user to one that may do little"
            raise CommandError(message)
    # It makes the socket before it changes its account.
    socket = own_folder(data.run / "spamd", None) / "sock"
    return ChildPlan(
        name=NAME,
        command=tuple(
            command(
                str(socket),
                state_dir=own_folder(data.root / "spamd", owner),
                max_children=settings.spamd_children,
                local_tests_only=not settings.spamd_network_tests,
                run_as=None if owner is None else owner.pw_name,
                program=settings.spamd,
            )
        ),
        environ=minimal_environment(data),
        probe=probes.spamd(socket),
        stage=Stage.ENGINES,
        address=str(socket),
    )
