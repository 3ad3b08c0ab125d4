"""What service and forkserver say to each other: one MessagePack value per packet.

There is one control socket, which only carries `Fork`, and one leash for each child. The leash is the child's life:
when the service closes its end or dies, the forkserver kills the child, and at the child's end it says how it ended.
"""

import math

from msgspec import Struct
from msgspec.msgpack import Decoder, Encoder

MAX_PACKET_BYTES = 4096


class Config(Struct, frozen=True):
    """What the forkserver is started with.

    Attributes:
        openers: where its table of openers is, as `module:NAME`.
        memory_bytes: what each child may use.
        require_seccomp: do not start where system calls cannot be filtered.
    """

    openers: str
    memory_bytes: int
    require_seccomp: bool


class Ready(Struct, frozen=True, tag=True):
    """The forkserver has loaded everything and has tried a child. `without_seccomp`: why there is no filter."""

    without_seccomp: str = ""


class NotReady(Struct, frozen=True, tag=True):
    """It cannot work. `setting`: whether the configuration can be changed so that it does."""

    text: str
    setting: bool


class Fork(Struct, frozen=True, tag=True):
    """Fork a child. The two descriptors that come along are its channel and its leash. `cpu_s`: its allowance."""

    cpu_s: float


class Allow(Struct, frozen=True, tag=True):
    """Let the child use so much more processor time; answered with `Used`. It is never more than it had at first."""

    cpu_s: float


class HowMuch(Struct, frozen=True, tag=True):
    """Answered with `Used`."""


class Used(Struct, frozen=True, tag=True):
    """What the living child has used so far, in seconds of processor time."""

    cpu_s: float


class Exited(Struct, frozen=True, tag=True):
    """The child has ended and is reaped; the last packet.

    Attributes:
        exit_code: negative for a signal.
        peak_memory_bytes: the most that it had at a time, in memory.
    """

    exit_code: int
    cpu_s: float
    peak_memory_bytes: int


def cpu_limit_s(cpu_s: float) -> int:
    """Whole seconds, as the kernel counts them; at least one."""
    return max(math.ceil(cpu_s), 1)


encode = Encoder().encode
_start: Decoder[Ready | NotReady] = Decoder(Ready | NotReady)
_fork: Decoder[Fork] = Decoder(Fork)
_request: Decoder[Allow | HowMuch] = Decoder(Allow | HowMuch)
_report: Decoder[Used | Exited] = Decoder(Used | Exited)
decode_start, decode_fork, decode_request, decode_report = _start.decode, _fork.decode, _request.decode, _report.decode
