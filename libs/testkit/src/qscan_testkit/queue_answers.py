"""How qmail's library renders what a queue program did, and what its users make of that.

From notqmail's documentation of qmail-queue(8) and of the custom-error conventions. The library
returns a text whose first letter is the class: ``D`` permanent, ``Z`` temporary; the empty text
means success.
"""

import os
import time
from dataclasses import dataclass

_CUSTOM = 82
_SHORTEST_CUSTOM = 3
_FIRST_PERMANENT, _LAST_PERMANENT = 11, 40
_TOO_LONG = "Denvelope address too long for qq (#5.1.3)"
_READ_ERROR = "Zqq read error (#4.3.0)"

_RENDERED = {
    11: _TOO_LONG,
    115: _TOO_LONG,
    31: "Dmail server permanently rejected message (#5.3.0)",
    51: "Zqq out of memory (#4.3.0)",
    52: "Zqq timeout (#4.3.0)",
    53: "Zqq write error or disk full (#4.3.0)",
    54: _READ_ERROR,
    55: "Zqq unable to read configuration (#4.3.0)",
    56: "Zqq trouble making network connection (#4.3.0)",
    61: "Zqq trouble in home directory (#4.3.0)",
    **dict.fromkeys(range(62, 67), "Zqq trouble creating files in queue (#4.3.0)"),
    71: "Zmail server temporarily rejected message (#4.3.0)",
    72: "Zconnection to mail server timed out (#4.4.1)",
    73: "Zconnection to mail server rejected (#4.4.1)",
    74: "Zcommunication with mail server failed (#4.4.2)",
    81: "Zqq internal bug (#4.3.0)",
    91: "Zqq internal bug (#4.3.0)",
    120: "Zunable to exec qq (#4.3.0)",
}


@dataclass(frozen=True)
class QueueResult:
    """What a run of the queue program came to.

    Attributes:
        wait_status: as of waitpid.
        error_text: what was on the error pipe, at most 255 bytes.
        error_pipe: the caller listens on one; without it exit 82 means nothing.
        write_error: the caller could not write everything, because the program had closed a pipe.
        pid: of the program; 0 when it could not be started.
        elapsed_s: from before the start to the end.
        cpu_s: processor time of the program and of what it executed in its place.
    """

    wait_status: int
    error_text: bytes
    error_pipe: bool
    write_error: bool
    pid: int
    elapsed_s: float
    cpu_s: float

    @property
    def exit_code(self) -> int:
        """The exit code; the negative signal number when a signal ended it."""
        return os.waitstatus_to_exitcode(self.wait_status)

    @property
    def answer(self) -> str:
        """The library's text: empty for success, else ``D…`` or ``Z…``."""
        code = self.exit_code
        if code < 0:
            return "Zqq crashed (#4.3.0)"
        if code == 0:
            return _READ_ERROR if self.write_error else ""
        if code == _CUSTOM and self.error_pipe and len(self.error_text) >= _SHORTEST_CUSTOM:
            return self.error_text.decode("latin-1")
        if code in _RENDERED:
            return _RENDERED[code]
        if _FIRST_PERMANENT <= code <= _LAST_PERMANENT:
            return "Dqq permanent problem (#5.3.0)"
        return "Zqq temporary problem (#4.3.0)"

    @property
    def accepted(self) -> bool:
        """The sender was told that the message is now ours."""
        return not self.answer

    @property
    def permanent(self) -> bool:
        """The sender was told never to try again."""
        return self.answer.startswith("D")

    @property
    def smtp(self) -> str:
        """The reply of qmail-smtpd after DATA."""
        if self.accepted:
            return f"250 ok {int(time.time())} qp {self.pid}"
        return f"{554 if self.permanent else 451} {self.answer[1:]}"

    @property
    def qmtp(self) -> str:
        """The reply of qmail-qmtpd: the class letter first, ``K`` for success."""
        return f"Kok {int(time.time())} qp {self.pid}" if self.accepted else self.answer

    @property
    def inject_exit(self) -> int:
        """The exit code of qmail-inject and forward."""
        if self.accepted:
            return 0
        return 100 if self.permanent else 111
