"""The forkserver: ``python -m qscan_unpacker.sandbox.forkserver FD CONFIG``, started by `Sandbox`.

One thread that loads every opener once and then forks, watches and reaps children. It never sees a byte of a message,
and it was started with an environment without secrets: a child that is taken over finds nothing in its memory but the
message that it was given. It ends, and kills its children, when the control socket is closed from the other side.
"""

import codecs
import encodings
import fcntl
import gc
import importlib
import os
import pkgutil
import resource
import selectors
import signal
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from qscan_unpacker.opening.members import Opener
from qscan_unpacker.sandbox import child, leash, shared_libraries, system_calls
from qscan_unpacker.sandbox.confinement import CHANNEL, CPU_GRACE_S, Bounds, confine, die_with
from qscan_unpacker.sandbox.leash import cpu_limit_s
from qscan_unpacker.sandbox.system_calls import Rules, SeccompError

_TRIAL_CPU_S = 5
_CHANCE = "/dev/urandom"


@dataclass
class _Child:
    """A child that is not reaped yet."""

    pid: int
    leash: socket.socket


class Forkserver:
    """Forks a child for each request on `control`, until that is closed."""

    def __init__(
        self, control: socket.socket, openers: Mapping[str, Opener], memory_bytes: int, rules: Rules | None
    ) -> None:
        """`rules` is None where system calls are not filtered."""
        self._control, self._openers, self._memory_bytes, self._rules = control, openers, memory_bytes, rules
        self._children: dict[int, _Child] = {}
        self._selector = selectors.DefaultSelector()
        self._wakeup = _wakeup_at_sigchld()
        self._selector.register(control, selectors.EVENT_READ)
        self._selector.register(self._wakeup, selectors.EVENT_READ)

    def try_a_child(self) -> None:
        """Fork and confine a child that does nothing but see whether it is confined.

        Raises:
            SeccompError: system calls cannot be filtered.
            OSError: another limit cannot be set.
        """
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                confine(Bounds(self._memory_bytes, _TRIAL_CPU_S), self._rules)
                if self._rules is not None:
                    system_calls.prove()
            except (OSError, ValueError, SeccompError) as error:
                os.write(writing, msgspec.msgpack.encode((isinstance(error, SeccompError), str(error))))
            os._exit(0)
        os.close(writing)
        said = os.read(reading, leash.MAX_PACKET_BYTES)
        os.close(reading)
        _, status = os.waitpid(pid, 0)
        if said:
            seccomp, text = msgspec.msgpack.decode(said, type=tuple[bool, str])
            raise SeccompError(text) if seccomp else OSError(text)
        if status != 0:
            raise SeccompError(f"a child that only looks whether it is confined ends with wait status {status}")

    def run(self) -> None:
        """Serve until the control socket is closed from the other side."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._control:
                    if not self._fork_one():
                        self._kill_all()
                        return
                elif key.fileobj is self._wakeup:
                    self._wakeup.recv(leash.MAX_PACKET_BYTES)
                    self._reap()
                else:
                    self._answer(key.data)

    def _fork_one(self) -> bool:
        packet, descriptors, _, _ = socket.recv_fds(self._control, leash.MAX_PACKET_BYTES, 2)
        if not packet:
            return False
        channel, child_leash = (socket.socket(fileno=descriptor) for descriptor in descriptors)
        bounds = Bounds(self._memory_bytes, leash.decode_fork(packet).cpu_s)
        forkserver = os.getpid()
        pid = os.fork()
        if pid == 0:
            _be_a_child(channel, forkserver, bounds, self._rules, self._openers)
        channel.close()
        child_leash.settimeout(0)
        self._children[pid] = _Child(pid, child_leash)
        self._selector.register(child_leash, selectors.EVENT_READ, self._children[pid])
        return True

    def _answer(self, of: _Child) -> None:
        """Answer on a leash; kill the child when nobody holds the other end."""
        if of.pid not in self._children:
            return
        try:
            packet = of.leash.recv(leash.MAX_PACKET_BYTES)
        except BlockingIOError:
            return
        except OSError:
            packet = b""
        if not packet:
            self._selector.unregister(of.leash)
            os.kill(of.pid, signal.SIGKILL)
            return
        request = leash.decode_request(packet)
        # A child that has just ended has no clock; its end is reported in a moment.
        with suppress(OSError):
            used_s = _cpu_s_of(of.pid)
            if isinstance(request, leash.Allow):
                _allow(of.pid, used_s + request.cpu_s)
            of.leash.send(leash.encode(leash.Used(used_s)))

    def _reap(self) -> None:
        while self._children:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                return
            ended = self._children.pop(pid)
            with suppress(KeyError):
                self._selector.unregister(ended.leash)
            exit_code = os.waitstatus_to_exitcode(status)
            with suppress(OSError):
                ended.leash.send(
                    leash.encode(leash.Exited(exit_code, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024))
                )
            ended.leash.close()

    def _kill_all(self) -> None:
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
        for pid in self._children:
            os.waitpid(pid, 0)


def _be_a_child(
    channel: socket.socket, forkserver: int, bounds: Bounds, rules: Rules | None, openers: Mapping[str, Opener]
) -> None:
    """What a forked child does; never returns."""
    code = 1
    try:
        die_with(forkserver)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(channel.fileno(), CHANNEL, inheritable=False)
        channel.detach()
        os.dup2(0, 2)
        _close_all_behind(CHANNEL)
        channel = socket.socket(fileno=CHANNEL)
        confine(bounds, rules)
        child.serve(channel, openers)
        code = 0
    except BrokenPipeError:
        # The service has seen enough.
        code = 0
    finally:
        # Nothing that the forkserver would do at its end is this process's to do.
        os._exit(code)


def _moved_from(descriptor: int) -> int:
    """The same descriptor with another number, and the number of children's channels reserved.

    Otherwise a library that is loaded now and keeps a file open might get that number, and read the channel later.
    """
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, CHANNEL + 1)
    os.close(descriptor)
    os.dup2(0, CHANNEL, inheritable=False)
    return moved


def _close_all_behind(last: int) -> None:
    for each in list(Path("/proc/self/fd").iterdir()):
        with suppress(FileNotFoundError):
            # qpdf keeps its source of chance open from its first use on, and cannot read AES-256 without it.
            if int(each.name) > last and str(each.readlink()) != _CHANCE:
                os.close(int(each.name))


def _wakeup_at_sigchld() -> socket.socket:
    reading, writing = socket.socketpair()
    reading.settimeout(0)
    writing.settimeout(0)
    signal.set_wakeup_fd(writing.detach(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    return reading


def _cpu_s_of(pid: int) -> float:
    """Processor time of another process; clock_getcpuclockid(3) says how its clock is numbered."""
    return time.clock_gettime((~pid << 3) | 2)


def _allow(pid: int, cpu_s: float) -> None:
    soft, hard = cpu_limit_s(cpu_s), cpu_limit_s(cpu_s) + CPU_GRACE_S
    given = resource.prlimit(pid, resource.RLIMIT_CPU)[1]
    resource.prlimit(pid, resource.RLIMIT_CPU, (min(soft, given), min(hard, given)))


def _load_openers(name: str) -> Mapping[str, Opener]:
    module, _, attribute = name.partition(":")
    table: Mapping[str, Opener] = getattr(importlib.import_module(module), attribute)
    if len(list(Path("/proc/self/task").iterdir())) > 1:
        raise RuntimeError("an opener's library starts threads when it is imported; after that no fork is safe")
    return table


def _load_codecs() -> None:
    """Load every codec: in a child nothing can be loaded any more, and names in archives come in all of them."""
    for module in pkgutil.iter_modules(encodings.__path__):
        with suppress(ImportError, LookupError):
            importlib.import_module(f"encodings.{module.name}")
            codecs.lookup(module.name)


def main() -> int:
    """Load, try a child, say so, and serve. Returns the exit status."""
    control = socket.socket(fileno=_moved_from(int(sys.argv[1])))
    config = msgspec.json.decode(sys.argv[2], type=leash.Config)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        openers = _load_openers(config.openers)
        _load_codecs()
        server, without = _confined(control, openers, config)
    except SeccompError as error:
        control.send(leash.encode(leash.NotReady(str(error), setting=True)))
        return 1
    except Exception as error:  # lint: allow-broad-except because the service shall say what is wrong, whatever it is
        control.send(leash.encode(leash.NotReady(_why(error)[:1000], setting=False)))
        return 1
    # What is there now is there for good: children shall not copy its pages by counting references to it.
    gc.collect()
    gc.freeze()
    control.send(leash.encode(leash.Ready(without)))
    server.run()
    return 0


def _why(error: Exception) -> str:
    """What keeps the forkserver from working. What a library that is missing leads to says little by itself."""
    if lost := shared_libraries.missing():
        files, packages = (" ".join(names) for names in zip(*((one.file, one.package) for one in lost), strict=True))
        return f"{files} cannot be loaded; install what is missing: apt-get install {packages}"
    return f"{type(error).__name__}: {error}"


def _confined(control: socket.socket, openers: Mapping[str, Opener], config: leash.Config) -> tuple[Forkserver, str]:
    """A forkserver that has tried a child, and why its children have no filter if they have none."""
    without = ""
    try:
        server = Forkserver(control, openers, config.memory_bytes, system_calls.allow_list())
        server.try_a_child()
    except SeccompError as error:
        if config.require_seccomp:
            raise
        without = str(error)
        server = Forkserver(control, openers, config.memory_bytes, None)
        server.try_a_child()
    return server, without


if __name__ == "__main__":
    sys.exit(main())
