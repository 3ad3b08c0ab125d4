"""What a child takes away from itself before it sees the first hostile byte."""

import ctypes
import os
import resource
import signal
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from qscan_unpacker.sandbox import system_calls
from qscan_unpacker.sandbox.leash import cpu_limit_s

CHANNEL = 3
"""The only descriptor that a child keeps beside the three standard ones, which lead to /dev/null."""
MAX_DESCRIPTORS = 16
ADDRESS_SPACE_BEYOND_MEMORY_BYTES = 4 * 1024**3
"""Address space for libraries and for the container, which is mapped; what is written to is limited by itself."""
NICENESS = 5
"""Messages that need no child are answered first."""
CPU_GRACE_S = 1
"""Between SIGXCPU, which says what happened, and SIGKILL, which nothing can catch."""

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38

_libc = ctypes.CDLL(None, use_errno=True)
_libc.prctl.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)


class Bounds(Struct, frozen=True):
    """What one child may use. `cpu_s`: of processor time, rounded up to whole seconds."""

    memory_bytes: int
    cpu_s: float


def die_with(parent: int) -> None:
    """Be killed when the process `parent`, which forked this one, ends in whatever way."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def confine(bounds: Bounds, rules: system_calls.Rules | None) -> None:
    """Give up everything that opening a container does not need. There is no way back.

    Args:
        bounds: of memory and processor time.
        rules: from `system_calls.allow_list`; None where the site does without.

    Raises:
        SeccompError: the kernel does not take the filter.
        OSError: another limit could not be set.
    """
    # What frees memory on this machine shall take this process first.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", "ascii")
    os.nice(NICENESS)
    for limit, value in (
        (resource.RLIMIT_DATA, bounds.memory_bytes),
        (resource.RLIMIT_AS, bounds.memory_bytes + ADDRESS_SPACE_BEYOND_MEMORY_BYTES),
        (resource.RLIMIT_NOFILE, MAX_DESCRIPTORS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
    ):
        _lower(limit, value, value)
    cpu_s = cpu_limit_s(bounds.cpu_s)
    _lower(resource.RLIMIT_CPU, cpu_s, cpu_s + CPU_GRACE_S)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    if rules is not None:
        system_calls.load(rules)


def _lower(limit: int, soft: int, hard: int) -> None:
    """Set a limit, but none that is laxer than what this process has been given."""
    given = resource.getrlimit(limit)[1]
    if given != resource.RLIM_INFINITY:
        soft, hard = min(soft, given), min(hard, given)
    resource.setrlimit(limit, (soft, hard))


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {os.strerror(number)}")
