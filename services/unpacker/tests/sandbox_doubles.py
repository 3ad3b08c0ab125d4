"""Openers that do what hostile containers make parsers do, for the forkserver of the sandbox's tests.

The forkserver finds this module through PYTHONPATH. What a double has to tell the test travels as names of a member.
"""

import bz2
import codecs
import ctypes
import hashlib
import json
import lzma
import mmap
import os
import random
import re
import resource
import socket
import struct
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening.members import Event, Member, Noted, Opener, OpenRequest, Unopened, UnreadableError
from qscan_unpacker.sandbox.confinement import CHANNEL, MAX_DESCRIPTORS

LIBC = ctypes.CDLL(None, use_errno=True)
CHANCE = open("/dev/urandom", "rb", buffering=0)  # noqa: SIM115, PTH123  # as libraries have it
IO_URING_SETUP, PIDFD_OPEN = 425, 434
"""Numbers of system calls that are the same on every architecture."""
X32_GETPID = 0x40000027


def tell(*facts: object) -> Event:
    """Facts for the test."""
    return Unopened(tuple(str(fact) for fact in facts), 0, UnscannedReason.NOT_UNPACKABLE)


def echo(content: memoryview, request: OpenRequest) -> Iterator[Event]:
    """One member with all bytes of the container."""
    pieces = (bytes(content[start : start + 1_000_000]) for start in range(0, len(content), 1_000_000))
    yield Member(request.names or ("whole",), pieces)


def everything(content: memoryview, request: OpenRequest) -> Iterator[Event]:
    """One of each event."""

    def breaks() -> Iterator[bytes]:
        yield b"half"
        raise UnreadableError(UnscannedReason.NOT_UNPACKABLE, "cut off")

    yield Noted("archive.overlap", 7, 5, "two at once")
    yield Member(("first.txt", "FIRST.TXT"), iter([b"ab", b"", b"c"]), encrypted=True)
    yield Unopened(("locked.bin",), 99, UnscannedReason.ENCRYPTED, "no password fits")
    yield Member(("broken.txt",), breaks())
    raise UnreadableError(UnscannedReason.NOT_UNPACKABLE, "rubbish behind it")


def endless_bytes(content: memoryview, request: OpenRequest) -> Iterator[Event]:
    """A member without end, and one behind it."""

    def zeros() -> Iterator[bytes]:
        while True:
            yield bytes(100_000)

    yield Member(("big",), zeros())
    yield Member(("next",), iter([b"next"]))


def endless_members(content: memoryview, request: OpenRequest) -> Iterator[Event]:
    """Members without end."""
    while True:
        yield Member(("again",), iter([b"x"]))


def many_notes(content: memoryview, request: OpenRequest) -> Iterator[Event]:
    """The same defect over and over."""
    for _ in range(10_000):
        yield Noted("archive.overlap")


def unknown_note(content: memoryview, request: OpenRequest) -> Iterator[Event]:
    """A defect that is in no catalogue."""
    yield Noted("archive.nonsense")


def strange_texts(content: memoryview, request: OpenRequest) -> Iterator[Event]:
    """Names and details that could do harm as they are."""
    names = ("\udc80\ud800x", "a" * 5_000 + ".exe", *(str(number) for number in range(100)))
    yield Unopened(names, -1, UnscannedReason.NOT_UNPACKABLE, "two\nlines\x1b[2J \udcff" + "x" * 1_000)


def raises(content: memoryview, request: OpenRequest) -> Iterator[Event]:
    """A bug of an opener, in the middle of a member."""

    def pieces() -> Iterator[bytes]:
        yield b"some"
        raise KeyError("secret words of the mail")

    yield Member(("a",), pieces())


def crash(content: memoryview, request: OpenRequest) -> Iterator[Event]:
    """Read address 0, as a broken parser does, in the middle of a member."""

    def pieces() -> Iterator[bytes]:
        yield bytes(1_000_000)
        ctypes.string_at(0)

    yield Member(("a",), pieces())


def abort(content: memoryview, request: OpenRequest) -> Iterator[Event]:
    """End as a C library does when it finds its heap in disorder."""
    yield tell("before")
    os.abort()


def leave(content: memoryview, request: OpenRequest) -> Iterator[Event]:
    """End as if all was well."""
    yield tell("before")
    os._exit(0)


def spin(content: memoryview, request: OpenRequest) -> Iterator[Event]:
    """Use processor time for ever."""
    yield tell(os.getpid())
    while True:
        pass


def half_a_second(content: memoryview, request: OpenRequest) -> Iterator[Event]:
    """Use half a second of processor time."""
    until_s = time.process_time() + 0.5
    while time.process_time() < until_s:
        pass
    yield tell(os.getpid())


def hang(content: memoryview, request: OpenRequest) -> Iterator[Event]:
    """Wait for ever without using any processor time."""
    yield tell(os.getpid())
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def allocate(content: memoryview, request: OpenRequest) -> Iterator[Event]:
    """Take memory without end, in the middle of a member."""

    def pieces() -> Iterator[bytes]:
        yield b"begun"
        kept = []
        while True:
            kept.append(bytearray(10_000_000))

    yield Member(("a",), pieces())


def abort_without_memory(content: memoryview, request: OpenRequest) -> Iterator[Event]:
    """Take memory and use it, and then do what C++ does when there is no more."""

    def pieces() -> Iterator[bytes]:
        kept = [b"begun"]
        yield kept[0]
        try:
            while len(kept) < 1_000_000:
                kept.append(b"x" * 10_000_000)
        except MemoryError:
            os.abort()

    yield Member(("a",), pieces())


def flood(content: memoryview, request: OpenRequest) -> Iterator[Event]:
    """Well-formed frames without end that no opener sends: what took the child over says that members begin."""
    yield tell("before")
    begun = _frame(b"\x93\x01\x91\xa1a\xc2")
    ended = _frame(b"\x93\x03\xc0\xa0")
    while True:
        os.write(CHANNEL, (begun + ended) * 1_000)


def garbage(content: memoryview, request: OpenRequest) -> Iterator[Event]:
    """Send what is no frame."""
    yield tell("before")
    os.write(CHANNEL, random.Random(bytes(content)).randbytes(100_000))


def huge_frame(content: memoryview, request: OpenRequest) -> Iterator[Event]:
    """Announce four gigabytes."""
    yield tell("before")
    os.write(CHANNEL, b"\xff\xff\xff\xff")


def answers_twice(content: memoryview, request: OpenRequest) -> Iterator[Event]:
    """Send the end of this container, and beforehand the whole answer to the next question."""
    yield tell(os.getpid())
    os.write(CHANNEL, _frame(b"\x94\x06\xc0\xa0\xa0") * 2)


def _frame(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


def who(content: memoryview, request: OpenRequest) -> Iterator[Event]:
    """The process that this is."""
    yield tell(os.getpid())


def ordinary_work(content: memoryview, request: OpenRequest) -> Iterator[Event]:
    """What openers do all day."""
    text = b"ordinary " * 100_000
    yield tell("zlib", zlib.decompress(zlib.compress(text)) == text)
    yield tell("lzma", lzma.decompress(lzma.compress(text, preset=0)) == text)
    yield tell("bz2", bz2.decompress(bz2.compress(text)) == text)
    yield tell("sha256", hashlib.sha256(text).hexdigest() == request.names[0])
    yield tell("json", json.loads(json.dumps({"a": [1, 2.5, None]})) == {"a": [1, 2.5, None]})
    yield tell("regex", re.compile(rb"(\w+) \1").search(text) is not None)
    yield tell("codecs", all("x".encode(name).decode(name) == "x" for name in ("cp437", "shift_jis", "utf-7")))
    yield tell("unknown codec", _raised(lambda: codecs.lookup("no-such-codec")) == "LookupError")
    big = bytearray(100_000_000)
    big[::4096] = bytes(len(big[::4096]))
    big += big[:50_000_000]
    yield tell("memory", len(big) == 150_000_000)
    yield tell("random", len({random.random(), random.SystemRandom().random()}) == 2)
    yield tell("chance that a library has opened when it was loaded", len(CHANCE.read(8)) == 8)
    yield tell("time", time.time() > 0 and time.monotonic() > 0 and time.process_time() > 0)
    yield tell("cannot import", _raised(lambda: __import__("wave")) == "ModuleNotFoundError")


def _raised(action: Callable[[], object]) -> str:
    """The name of what an action raises."""
    try:
        action()
    except Exception as error:  # lint: allow-broad-except because the name of whatever it is, is the answer
        return type(error).__name__
    return ""


def _write_to_descriptors() -> int:
    """Through how many descriptors beside its channel a child could write a byte."""
    written = 0
    for descriptor in {*range(MAX_DESCRIPTORS)} - {0, 1, 2, CHANNEL}:
        try:
            written += os.write(descriptor, b"!")
        except OSError:
            continue
    return written


def _write_to_map() -> None:
    for descriptor in range(CHANNEL + 1, MAX_DESCRIPTORS):
        with_error = LIBC.mmap(None, 4096, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, descriptor, 0)
        if with_error != -1:
            raise AssertionError("could map it for writing")
    raise PermissionError


def _raise_limits() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (1_000, 1_000))


REFUSALS: dict[str, Callable[[], object]] = {
    "open": lambda: os.open("/etc/passwd", os.O_RDONLY),
    "create": lambda: os.open("/tmp/qscan-was-here", os.O_CREAT | os.O_WRONLY),
    "stat": lambda: Path("/etc/passwd").stat(),
    "list": lambda: os.listdir("/"),  # noqa: PTH208  # the call itself
    "fork": os.fork,
    "thread": lambda: threading.Thread(target=int).start(),
    "raise limits": _raise_limits,
    "executable memory": lambda: mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC),
    "shared memory": lambda: mmap.mmap(-1, 4096),
    "write to the container": _write_to_map,
    "sleep": lambda: time.sleep(0.001),
}
"""What fails, and the child goes on."""

DEATHS: dict[str, Callable[[], object]] = {
    "execve": lambda: os.execv("/bin/true", ["true"]),  # noqa: S606  # that is the point
    "socket": socket.socket,
    "connect": lambda: LIBC.connect(CHANNEL, b"\1\0/x", 4),
    "ptrace": lambda: LIBC.ptrace(0, 0, 0, 0),
    "kill": lambda: os.kill(os.getppid(), 0),
    "signal another": lambda: LIBC.tgkill(os.getppid(), os.getppid(), 0),
    "unlink": lambda: os.unlink("/qscan-is-not-there"),  # noqa: PTH108  # the call itself
    "mkdir": lambda: os.mkdir("/qscan-is-not-there/x"),  # noqa: PTH102  # the call itself
    "rename": lambda: os.rename("/qscan-is-not-there", "/x"),  # noqa: PTH104  # the call itself
    "chmod": lambda: os.chmod("/qscan-is-not-there", 0),  # noqa: PTH101  # the call itself
    "memfd": lambda: os.memfd_create("x"),
    "pipe": os.pipe,
    "dup": lambda: os.dup2(CHANNEL, 9),
    "setuid": lambda: os.setuid(0),
    "unshare": lambda: LIBC.unshare(0x10000000),
    "mount": lambda: LIBC.mount(b"x", b"/", b"x", 0, 0),
    "hand out a descriptor": lambda: socket.send_fds(socket.socket(fileno=CHANNEL), [b"x"], [CHANNEL]),
    "io_uring": lambda: LIBC.syscall(IO_URING_SETUP, 1, 0),
    "pidfd": lambda: LIBC.syscall(PIDFD_OPEN, os.getppid(), 0),
    "x32": lambda: LIBC.syscall(X32_GETPID),
    "clear no_new_privs": lambda: LIBC.prctl(38, 0, 0, 0, 0),
    "outlive the parent": lambda: LIBC.prctl(1, 0, 0, 0, 0),
}
"""What ends the child at once."""


def refusals(content: memoryview, request: OpenRequest) -> Iterator[Event]:
    """Try what is refused, and tell what came of it."""
    for name, action in REFUSALS.items():
        yield tell(name, _raised(action))
    yield tell("write to descriptors", _write_to_descriptors())


def death(content: memoryview, request: OpenRequest) -> Iterator[Event]:
    """Try one thing that kills."""
    yield tell("before")
    DEATHS[request.names[0]]()
    yield tell("behind")


def secrets(content: memoryview, request: OpenRequest) -> Iterator[Event]:
    """Whether the environment has anything to tell, and what modules there are."""
    yield tell(*sorted(os.environ))
    yield tell(*sorted({name.partition(".")[0] for name in sys.modules} & {"nats", "qscan_kit", "uvloop", "pydantic"}))


_ALL: tuple[Opener, ...] = (
    *(echo, everything, endless_bytes, endless_members, many_notes, unknown_note, strange_texts, raises),
    *(
        crash,
        abort,
        abort_without_memory,
        leave,
        spin,
        half_a_second,
        hang,
        allocate,
        flood,
        garbage,
        huge_frame,
        answers_twice,
        who,
    ),
    *(ordinary_work, refusals, death, secrets),
)
OPENERS: dict[str, Opener] = {getattr(double, "__name__", ""): double for double in _ALL}
