"""How a spamd of qscan's own is started: `qscan up`, the tests and the container's entry point all start it so.

Measured with SpamAssassin 4.0.1 on one core: 0.8 s until it answers ``PING``, 110 MB for the parent and most of it
shared with the children. A child ends by itself when the parent is killed.
"""

from collections.abc import Sequence
from pathlib import Path

MAX_SOCKET_PATH_BYTES = 107
"""`sun_path` of unix(7) less its NUL."""


def command(
    listen: str,
    *,
    state_dir: Path,
    max_children: int = 5,
    timeout_s: int = 30,
    local_tests_only: bool = False,
    run_as: str | None = None,
    extra_config: Sequence[str] = (),
    program: Path = Path("/usr/sbin/spamd"),
) -> list[str]:
    """The argument list of a spamd that stays in the foreground and logs to standard error.

    Args:
        listen: absolute path of a unix socket, or ``host:port``; the same text is the spam service's `address`.
            spamd makes the socket itself, and removes one that an earlier spamd left behind.
        state_dir: where it learns (Bayes) and its helpers keep their files. It must exist and belong to `run_as`,
            who must be able to reach it; otherwise spamd scores all the same and warns at each message.
        max_children: messages at a time; the spam service's `max_in_flight` must not be larger.
        timeout_s: after which a child gives a message up. Without it a child would work on, for 300 s, for a client
            that is long gone, and its place would be missing.
        local_tests_only: no DNS, no network tests: for tests and machines without a resolver.
        run_as: a user to change to; needed exactly when started by root, which spamd refuses to scan as.
        extra_config: further lines of SpamAssassin's configuration.
        program: Debian's place for spamd.

    Raises:
        ValueError: the path of the socket is longer than the system takes.
    """
    arguments = [
        str(program),
        "--nouser-config",
        "--syslog=stderr",
        f"--max-children={max_children}",
        "--min-children=1",
        f"--timeout-child={timeout_s}",
        f"--helper-home-dir={state_dir}",
        # spamd would look for it in the home directory of `run_as`, which nobody has.
        f"--cf=bayes_path {state_dir}/bayes",
        *(f"--cf={line}" for line in extra_config),
    ]
    if listen.startswith("/"):
        if len(listen.encode()) > MAX_SOCKET_PATH_BYTES:
            message = f"the socket's path {listen} is over {MAX_SOCKET_PATH_BYTES} bytes: choose a shorter directory"
            raise ValueError(message)
        # Whoever starts it owns the socket; the children inherit it open.
        arguments += [f"--socketpath={listen}", "--socketmode=0600"]
    else:
        arguments.append(f"--listen={listen}")
    if local_tests_only:
        arguments.append("--local")
    if run_as is not None:
        arguments.append(f"--username={run_as}")
    return arguments
