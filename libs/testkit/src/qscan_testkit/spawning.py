"""posix_spawn with descriptors at exact numbers and a working directory.

`os.posix_spawn` cannot change the directory and `subprocess` cannot place a pipe on descriptor 6;
both together are what a qmail program does between fork and exec. glibc's posix_spawn forks without
copying the page tables, so this is also the fastest way to start a program from a large process.
"""

import ctypes
import fcntl
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

_libc = ctypes.CDLL(None)
_FILE_ACTIONS_BYTES = 512
"""More than any C library's posix_spawn_file_actions_t (80 bytes in glibc)."""
_ABOVE_EVERY_TARGET = 64


def _check(error: int, what: str) -> None:
    if error:
        raise OSError(error, os.strerror(error), what)


def _strings(items: Sequence[bytes]) -> ctypes.Array[ctypes.c_char_p]:
    array: ctypes.Array[ctypes.c_char_p] = (ctypes.c_char_p * (len(items) + 1))(*items, None)
    return array


def spawn(
    arguments: Sequence[str | Path],
    *,
    environ: Mapping[str, str],
    descriptors: Mapping[int, int],
    directory: Path,
    closed: Sequence[int] = (),
) -> int:
    """Start a program and return its process id; the caller reaps it.

    Args:
        arguments: the first one is the program's absolute path.
        environ: its whole environment; surrogates stand for bytes that are not UTF-8.
        descriptors: number in the child → descriptor of this process. Anything else that is
            inheritable is inherited (Python opens nothing so).
        directory: its working directory.
        closed: numbers that are closed in the child.

    Raises:
        OSError: the program or the directory cannot be used.
    """
    actions = ctypes.create_string_buffer(_FILE_ACTIONS_BYTES)
    _check(_libc.posix_spawn_file_actions_init(actions), "posix_spawn")
    # A source may have the number of another's target, so all are moved out of the way first.
    sources = {
        target: fcntl.fcntl(source, fcntl.F_DUPFD_CLOEXEC, _ABOVE_EVERY_TARGET)
        for target, source in descriptors.items()
    }
    try:
        for target, source in sources.items():
            _check(_libc.posix_spawn_file_actions_adddup2(actions, source, target), "dup2")
        for number in closed:
            _check(_libc.posix_spawn_file_actions_addclose(actions, number), "close")
        path = os.fsencode(directory)
        _check(_libc.posix_spawn_file_actions_addchdir_np(actions, path), str(directory))
        argv = _strings([os.fsencode(argument) for argument in arguments])
        envp = _strings([os.fsencode(f"{name}={value}") for name, value in environ.items()])
        program, pid = argv[0], ctypes.c_int(0)
        error = _libc.posix_spawn(ctypes.byref(pid), program, actions, None, argv, envp)
        _check(error, str(arguments[0]))
        return pid.value
    finally:
        _libc.posix_spawn_file_actions_destroy(actions)
        for source in sources.values():
            os.close(source)
