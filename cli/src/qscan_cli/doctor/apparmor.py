"""Debian's AppArmor profile for clamd, which knows nothing of qscan's directories."""

from pathlib import Path

from qscan_cli.doctor.findings import Found, note, problem

PROFILES = Path("/sys/kernel/security/apparmor/profiles")
LOCAL_RULES = Path("/etc/apparmor.d/local/usr.sbin.clamd")
_PROFILE = "/usr/sbin/clamd"
_ALLOWED = (Path("/tmp"), Path("/var/lib/clamav"))  # noqa: S108  # what Debian's profile allows, nothing is written


def clamd_problem(data: Path, profiles: Path = PROFILES, local_rules: Path = LOCAL_RULES) -> Found | None:
    """What is wrong when the kernel confines clamd to directories that `data` is not in; None when nothing is."""
    try:
        mode = _mode(profiles.read_text(encoding="utf-8"))
    except PermissionError:
        return note("AppArmor", "only root can see whether it confines clamd", "run `qscan doctor` as root to find out")
    except OSError:
        return None  # no AppArmor in this kernel
    if mode != "enforce" or any(data.is_relative_to(folder) for folder in _ALLOWED):
        return None
    if _allows(local_rules, data):
        return None
    return problem(
        "AppArmor",
        f"confines clamd to directories that {data} is not in: it could not start",
        f"allow it, then load the profile again:\n"
        f"  echo '{data}/clamd/** rwk,' >> {local_rules}\n"
        f"  apparmor_parser -r /etc/apparmor.d/usr.sbin.clamd",
    )


def _mode(profiles: str) -> str:
    """The mode in a list of lines such as ``/usr/sbin/clamd (enforce)``; empty when there is no such profile."""
    for line in profiles.splitlines():
        name, _, mode = line.rpartition(" ")
        if name == _PROFILE:
            return mode.strip("()")
    return ""


def _allows(local_rules: Path, data: Path) -> bool:
    try:
        return str(data) in local_rules.read_text(encoding="utf-8")
    except OSError:
        return False
