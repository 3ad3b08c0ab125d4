"""The system calls that a child may make: a filter in the kernel, which nothing takes off again.

Filters are built by libseccomp through pyseccomp (MIT; its last release is of 2021, and so is the interface that it
wraps; it has the interface of libseccomp's own Python binding, which is on no index). ADR 0009.
"""

import errno
import os
from typing import Protocol

try:
    import pyseccomp
except RuntimeError:
    # It raises this when there is no libseccomp. The site may have decided to do without.
    pyseccomp = None

NATIVE = 0
"""The architecture that this process runs on."""

_PROT_EXEC = 4
_MAP_SHARED = 1
_MADV_HWPOISON = 100
_F_DUPFD_CLOEXEC = 1030
_KILLS_PROCESSES = 3
"""libseccomp's level of what the kernel can do, from which on a filter can kill: Linux 4.14."""

ALLOWED = (
    # Talk over the channel. sendmsg is not among them: a child never hands out a descriptor.
    *("read", "recvfrom", "recvmsg", "write", "close"),
    # Memory. mmap, mprotect and madvise have conditions, see `allow_list`.
    *("brk", "munmap", "mremap", "futex"),
    # Time, chance, and who am I. On most machines time does not even enter the kernel.
    *("clock_gettime", "gettimeofday", "time", "getrandom", "getpid", "gettid", "sched_yield"),
    # Signals that the kernel itself sends, and abort(); tgkill has a condition.
    *("rt_sigreturn", "rt_sigprocmask", "restart_syscall"),
    *("exit", "exit_group"),
)
"""Nothing else can be done by a child. Names of calls that an architecture does not have are passed over."""

REFUSED = (
    # Python looks for modules and lines of source, libarchive for tables of character sets, glibc for the time zone
    # and for its configuration. All of them go on without.
    *("open", "openat", "stat", "lstat", "fstat", "newfstatat", "statx", "access", "faccessat", "faccessat2"),
    *("readlink", "readlinkat", "getcwd", "getdents64", "lseek", "ioctl"),
    # Libraries that like threads do the work themselves when they get none.
    *("clone", "clone3", "fork", "vfork", "sched_getaffinity", "sysinfo", "uname", "prlimit64", "getrlimit"),
    *("sigaltstack", "rt_sigaction", "mlock", "munlock", "clock_nanosleep", "nanosleep", "getrusage"),
    *("getuid", "geteuid", "getgid", "getegid", "poll", "ppoll", "select", "pselect6"),
)
"""Calls that harmless code tries and can live without: they fail with EPERM. Every other call kills the child."""


class Rules(Protocol):
    """What pyseccomp, which has no types, gives us."""

    def add_rule(self, action: int, name: str, *conditions: object) -> None:
        """Add one more; raises OSError where the architecture knows no such call."""
        ...

    def add_arch(self, architecture: int) -> None:
        """Filter calls of this architecture too."""
        ...

    def remove_arch(self, architecture: int) -> None:
        """Filter no calls of this one."""
        ...

    def set_attr(self, attribute: int, value: int) -> None:
        """Change how the filter as a whole works."""
        ...

    def load(self) -> None:
        """Hand them to the kernel. Raises OSError."""
        ...


class SeccompError(Exception):
    """System calls cannot be filtered here. The text says why and what to do."""


def allow_list(architecture: int = NATIVE) -> Rules:
    """The allow-list for `architecture`, complete but for the child's own pid.

    Raises:
        SeccompError: libseccomp does not know this machine or these calls.
    """
    if pyseccomp is None:
        raise SeccompError("there is no libseccomp: install Debian's package libseccomp2")
    if pyseccomp.get_api() < _KILLS_PROCESSES:
        raise SeccompError(
            _impossible("the kernel is older than 4.14 or lacks it, or the container runtime forbids it")
        )
    try:
        rules: Rules = pyseccomp.SyscallFilter(pyseccomp.KILL_PROCESS)
        if architecture not in (NATIVE, pyseccomp.system_arch()):
            rules.add_arch(architecture)
            rules.remove_arch(NATIVE)
        # Calls in another architecture's way of numbering, such as 32 bits, would slip past the names.
        rules.set_attr(pyseccomp.Attr.ACT_BADARCH, pyseccomp.KILL_PROCESS)
        for name in ALLOWED:
            rules.add_rule(pyseccomp.ALLOW, name)
        for name in REFUSED:
            rules.add_rule(pyseccomp.ERRNO(errno.EPERM), name)
        _add_memory_rules(rules)
        rules.add_rule(pyseccomp.ALLOW, "fcntl", pyseccomp.Arg(1, pyseccomp.EQ, _F_DUPFD_CLOEXEC))
    except OSError as error:
        raise SeccompError(
            f"libseccomp cannot build the filter ({error.strerror}): install Debian's libseccomp2 2.5 or newer"
        ) from error
    return rules


def _add_memory_rules(rules: Rules) -> None:
    """No code is made, and nothing is shared: shared memory would count against no limit of the child."""
    refuse = pyseccomp.ERRNO(errno.EPERM)
    executable = pyseccomp.Arg(2, pyseccomp.MASKED_EQ, _PROT_EXEC, _PROT_EXEC)
    not_executable = pyseccomp.Arg(2, pyseccomp.MASKED_EQ, _PROT_EXEC, 0)
    shared = pyseccomp.Arg(3, pyseccomp.MASKED_EQ, _MAP_SHARED, _MAP_SHARED)
    not_shared = pyseccomp.Arg(3, pyseccomp.MASKED_EQ, _MAP_SHARED, 0)
    rules.add_rule(pyseccomp.ALLOW, "mmap", not_executable, not_shared)
    rules.add_rule(refuse, "mmap", executable)
    rules.add_rule(refuse, "mmap", shared)
    rules.add_rule(pyseccomp.ALLOW, "mprotect", not_executable)
    rules.add_rule(refuse, "mprotect", executable)
    # From there on advice is about the machine's memory, not about the process's own.
    rules.add_rule(pyseccomp.ALLOW, "madvise", pyseccomp.Arg(2, pyseccomp.LT, _MADV_HWPOISON))


def load(rules: Rules) -> None:
    """Make this process keep to `rules`, for good.

    Raises:
        SeccompError: the kernel does not take the filter.
    """
    try:
        # abort() signals the caller; any other process is out of reach.
        rules.add_rule(pyseccomp.ALLOW, "tgkill", pyseccomp.Arg(0, pyseccomp.EQ, os.getpid()))
        rules.load()
    except OSError as error:
        raise SeccompError(_impossible(error.strerror or "no reason given")) from error


def prove() -> None:
    """See whether calls are really filtered in this process. Raises SeccompError when they are not."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except PermissionError:
        return
    raise SeccompError("the kernel took the filter of system calls and does not keep to it: use another kernel")


def _impossible(why: str) -> str:
    return (
        f"system calls cannot be filtered: {why}. Run on a Linux with seccomp filters and, in a container, under a "
        "profile that allows seccomp(2), as the profiles of Docker and containerd do"
    )
