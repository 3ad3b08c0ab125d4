"""The unix socket that qscan-queue connects to (ingress/PROTOCOL.md)."""

import array
import asyncio
import errno
import os
import socket
import stat
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

from qscan_ingress.adapters.descriptors import close_all
from qscan_ingress.domain.introduction import Introduction, NotAnIntroductionError, parse
from qscan_ingress.domain.outcome import Exit
from qscan_kit.errors import SettingsError
from qscan_kit.log import get_logger

_PEER = struct.Struct("3i")
_PACKET_BYTES = 65_536
_DESCRIPTORS = 2
_INT_BYTES = array.array("i").itemsize
_CONTROL_BYTES = socket.CMSG_SPACE(_DESCRIPTORS * _INT_BYTES)
_ACCEPT_AT_ONCE = 64
_ACCEPT_PAUSE_S = 0.5
_OUT_OF_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Connection:
    """One qscan-queue. It owns the caller's descriptors until it is closed."""

    def __init__(self, accepted: socket.socket) -> None:
        """Talk over `accepted`, which is non-blocking and now belongs to this object."""
        self._socket = accepted
        self._watched = False
        self.reading = True
        self.message = -1
        self.envelope = -1
        self.introduction = Introduction({})
        packed = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
        self.pid, self.uid, _ = _PEER.unpack(packed)
        """Told by the kernel, so that they cannot be forged."""

    async def introduce(self) -> None:
        """Wait for the introduction and take the two descriptors.

        Raises:
            NotAnIntroductionError: it is none, or the caller is gone.
        """
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(self._socket, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._socket)
        try:
            packet, control, flags, _ = self._socket.recvmsg(_PACKET_BYTES, _CONTROL_BYTES, socket.MSG_CMSG_CLOEXEC)
        except OSError as error:
            raise NotAnIntroductionError from error
        received = array.array("i")
        for level, kind, content in control:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                received.frombytes(content[: len(content) - len(content) % _INT_BYTES])
        cut = flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC)
        if len(received) != _DESCRIPTORS or cut:
            close_all(received)
            raise NotAnIntroductionError
        self.message, self.envelope = received
        self.introduction = parse(packet)

    def watch(self, gone: Callable[[], object]) -> None:
        """Call `gone`, once, when the caller hangs up or says what it has no business to say."""

        def wake() -> None:
            self._unwatch()  # level-triggered: it would cancel the clean-up again and again
            gone()

        self._watched = True
        asyncio.get_running_loop().add_reader(self._socket, wake)

    def _unwatch(self) -> None:
        if self._watched:
            self._watched = False
            asyncio.get_running_loop().remove_reader(self._socket)

    def alive(self) -> None:
        """The message is being read."""
        self._send(b".")

    def envelope_ended(self, wait_s: int) -> None:
        """From now on the caller waits for the answer, at most that many seconds."""
        self.reading = False
        self._send(b"E%d" % wait_s)

    def deliver(self, message: int, envelope: int) -> None:
        """The caller becomes the real qmail-queue."""
        rights = array.array("i", (message, envelope)).tobytes()
        self._send(b"D", [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])

    def exit(self, code: int, text: str) -> None:
        """The caller exits."""
        self._send(b"X%d\0%b" % (code, text.encode("ascii", errors="replace")))

    def _send(self, packet: bytes, control: list[tuple[int, int, bytes]] | None = None) -> None:
        try:
            self._socket.sendmsg([packet], control or [], socket.MSG_NOSIGNAL)
        except OSError:
            return  # it is gone, or has not read a hundred packets: it will see the end of file

    def close(self) -> None:
        """Hang up and close the caller's descriptors."""
        self._unwatch()
        self._socket.close()
        close_all((self.message, self.envelope))
        self.message = self.envelope = -1


class IngressSocket:
    """Accepts callers and has each one handled in a task of its own."""

    def __init__(
        self,
        path: Path,
        *,
        mode: int,
        backlog: int,
        max_connections: int,
        introduction_timeout_s: float,
        alive_interval_s: float,
        busy: Exit,
        handle: Callable[[Connection], Awaitable[None]],
    ) -> None:
        """Listen at `path`; `busy` is what a caller beyond `max_connections` is told."""
        self._path = path
        self._mode = mode
        self._backlog = backlog
        self._max_connections = max_connections
        self._introduction_timeout_s = introduction_timeout_s
        self._alive_interval_s = alive_interval_s
        self._busy = busy
        self._handle = handle
        self._listening: socket.socket | None = None
        self._conversations: dict[asyncio.Task[None], Connection] = {}
        self._ticker: asyncio.TimerHandle | None = None
        self._log = get_logger()

    def open(self) -> None:
        """Create the socket and accept from now on.

        Raises:
            SettingsError: another ingressd answers there, or the path cannot be used.
        """
        self._listening = _listen(self._path, self._mode, self._backlog)
        asyncio.get_running_loop().add_reader(self._listening, self._accept)
        self._tick()

    async def close(self, drain_timeout_s: float) -> None:
        """Accept no more, let what is in hand end, and hang up on the rest, which then defers."""
        if self._listening is None:
            return
        asyncio.get_running_loop().remove_reader(self._listening)
        self._path.unlink(missing_ok=True)  # before the close, after which a successor may have made its own
        self._listening.close()
        self._listening = None
        if self._conversations:
            _, late = await asyncio.wait(self._conversations, timeout=drain_timeout_s)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        if self._ticker is not None:
            self._ticker.cancel()

    @property
    def is_open(self) -> bool:
        """It accepts callers."""
        return self._listening is not None

    def _tick(self) -> None:
        for connection in self._conversations.values():
            if connection.reading:
                connection.alive()
        loop = asyncio.get_running_loop()
        self._ticker = loop.call_later(self._alive_interval_s, self._tick)

    def _accept(self) -> None:
        """Several at once, but not all, so that those in hand get their turn."""
        for _ in range(_ACCEPT_AT_ONCE):
            if self._listening is None:
                return
            try:
                accepted, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _OUT_OF_DESCRIPTORS:
                    raise
                self._pause(error)
                return
            accepted.settimeout(0)
            self._start(Connection(accepted))

    def _pause(self, error: OSError) -> None:
        """Callers wait in the backlog until others are done."""
        self._log.error("cannot accept; raise the limit of open files", reason=str(error))
        loop = asyncio.get_running_loop()
        if self._listening is not None:
            loop.remove_reader(self._listening)
            loop.call_later(_ACCEPT_PAUSE_S, self._resume)

    def _resume(self) -> None:
        if self._listening is not None:
            asyncio.get_running_loop().add_reader(self._listening, self._accept)

    def _start(self, connection: Connection) -> None:
        if len(self._conversations) >= self._max_connections:
            connection.exit(self._busy.code, self._busy.text)
            connection.close()
            self._log.warning("deferred a caller: max_connections are in hand")
            return
        task = asyncio.create_task(self._converse(connection))
        self._conversations[task] = connection
        task.add_done_callback(self._ended)

    async def _converse(self, connection: Connection) -> None:
        try:
            connection.alive()
            try:
                async with asyncio.timeout(self._introduction_timeout_s):
                    await connection.introduce()
            except (NotAnIntroductionError, TimeoutError):
                self._log.warning("a caller did not introduce itself", uid=connection.uid)
                return
            task = asyncio.current_task()
            if task is not None:
                connection.watch(task.cancel)
            await self._handle(connection)
        finally:
            connection.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._conversations.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("a message failed; its sender keeps it", exc_info=error)


def _listen(path: Path, mode: int, backlog: int) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        _remove_stale(path)
        previous = os.umask(0o777)
        try:
            listening.bind(str(path))
        finally:
            os.umask(previous)
        path.chmod(mode)
        listening.listen(backlog)
        listening.settimeout(0)
    except OSError as error:
        listening.close()
        message = f"socket {path}: {error.strerror or error}; choose a path in a folder of our own"
        raise SettingsError(message) from error
    except SettingsError:
        listening.close()
        raise
    return listening


def _remove_stale(path: Path) -> None:
    """Remove what a killed ingressd left behind, and nothing else.

    Raises:
        SettingsError: it is no socket, or somebody answers there.
    """
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        message = f"socket {path} is there and is no socket; remove it or choose another path"
        raise SettingsError(message)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        probe.settimeout(0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass  # its backlog is full, so somebody listens
    message = f"another qscan-ingressd answers at {path}; stop it or choose another path"
    raise SettingsError(message)
