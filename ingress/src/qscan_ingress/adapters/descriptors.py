"""Descriptors for other processes: own open file descriptions on bytes that can no longer change.

A descriptor that is sent over a socket shares its offset with the sender's, and qmail-queue cannot
notice that a message is cut short. Therefore everything is opened anew through /proc/self/fd, read
only and at offset 0, and its size is checked.
"""

import errno
import fcntl
import os
from collections.abc import Iterable

_MFD_NOEXEC_SEAL = 0x0008  # since Linux 6.3; older ones refuse it
_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


class WrongSizeError(Exception):
    """A file does not have the size that was written to it."""


def close_all(descriptors: Iterable[int]) -> None:
    """Close each of them; -1 stands for none."""
    for descriptor in descriptors:
        if descriptor >= 0:
            os.close(descriptor)


def open_anew(descriptor: int, expected_bytes: int) -> int:
    """A read-only descriptor of its own on the same file, at offset 0. The caller closes both.

    Raises:
        WrongSizeError: the file is not `expected_bytes` long.
        OSError: /proc is missing, or there are too many open files.
    """
    anew = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    size = os.fstat(anew).st_size
    if size != expected_bytes:
        os.close(anew)
        message = f"{size} bytes instead of {expected_bytes}"
        raise WrongSizeError(message)
    return anew


def sealed(name: str, content: bytes) -> int:
    """A read-only descriptor on a sealed memory file with `content`. The caller closes it.

    Raises:
        OSError: no memory, or too many open files.
        WrongSizeError: not everything was written.
    """
    writable = _memory_file(name)
    try:
        write_fully(writable, content)
        fcntl.fcntl(writable, fcntl.F_ADD_SEALS, _SEALS)
        return open_anew(writable, len(content))
    finally:
        os.close(writable)


def write_fully(descriptor: int, content: bytes | memoryview) -> None:
    """Write all of it. Raises OSError, for example when the disk is full."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _memory_file(name: str) -> int:
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        return os.memfd_create(name, flags | _MFD_NOEXEC_SEAL)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return os.memfd_create(name, flags)
