"""Mail from several callers at once, each message unique, each in the journal with what became of it."""

import base64
import hashlib
import io
import os
import random
import signal
import threading
import time
import zipfile
from collections.abc import Callable, Mapping
from typing import Self, TypeVar

from qscan_testkit.journal import Answered, Journal, Kind, Sent
from qscan_testkit.qmail_callers import CallTimeoutError, QmailCaller, envelope

_T = TypeVar("_T")

MARK_FIELD = "X-Qscan-Test-Token"
"""The header field by which a message is known again."""

# In pieces, so that no engine reports this source file. See eicar.org.
EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-" + b"ANTIVIRUS-" + b"TEST-FILE!" + b"$H+H*"
_POLICY_NAME, _POLICY_SIZE = "Eicar.com", 68
"""What the shipped rules quarantine by name and size."""

_PAYLOADS = {
    Kind.CLEAN: ("harmless.txt", b"harmless"),
    Kind.VIRUS: ("sneaky.txt", EICAR),
    Kind.POLICY: (_POLICY_NAME, bytes(_POLICY_SIZE)),
}
"""By name and content what makes a message of this kind."""

_KINDS: Mapping[Kind, int] = {Kind.CLEAN: 5, Kind.VIRUS: 3, Kind.POLICY: 2}
_SIZES: Mapping[tuple[int, int], int] = {
    (500, 20_000): 90,
    (300_000, 600_000): 7,  # pulled by the workers in chunks
    (1_200_000, 2_000_000): 3,  # spooled to disk
}
_SPAM_FILTERED = 0.15
_IN_ARCHIVE = 0.3
_SLOW = 0.2
_SLOW_PAUSE_S = 0.3
_PAUSE_S = (0.05, 0.25)
_PAUSE_AFTER_FAILURE_S = (0.2, 0.6)
"""A failure may take no time at all, and an outage is to be no flood of them."""


def message(kind: Kind, token: str, size: int, random_source: random.Random, *, in_archive: bool = False) -> bytes:
    """A message of about `size` bytes that no other is equal to; `in_archive`: what is attached is a zip."""
    content = random_source.randbytes(size * 3 // 4)
    filler = base64.encodebytes(content)
    head = (
        f"From: Sender <sender@example.org>\nTo: Recipient <recipient@example.net>\nSubject: {kind} {token}\n"
        f"Date: Mon, 2 Nov 2026 10:00:00 +0000\nMessage-ID: <{token}@example.org>\n{MARK_FIELD}: {token}\n"
        "MIME-Version: 1.0\n"
    )
    if kind is Kind.CLEAN and not in_archive:
        return f"{head}Content-Type: text/plain\n\n".encode() + filler
    name, payload = _PAYLOADS[kind]
    if in_archive:
        name, payload, filler = "files.zip", _zipped({"filler.bin": content, name: payload}), b""
    return (
        f'{head}Content-Type: multipart/mixed; boundary="=_{token}"\n\n'
        f"--=_{token}\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n".encode()
        + filler
        + f"\n--=_{token}\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n"
        f'Content-Disposition: attachment; filename="{name}"\n\n'.encode()
        + base64.encodebytes(payload)
        + f"\n--=_{token}--\n".encode()
    )


def _zipped(members: Mapping[str, bytes]) -> bytes:
    """Stored, so that it is as large as what is in it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return file.getvalue()


def envelope_of(token: str) -> bytes:
    """The envelope that a message of the load is sent with."""
    return envelope(b"sender@example.org", [f"{token}@example.net".encode()])


class MailLoad:
    """Callers that send until they are told to end; a context manager.

    `queue_programs` of the messages under way can be signalled, as other processes can.
    """

    def __init__(
        self,
        caller: Callable[[bool], QmailCaller],
        journal: Journal,
        *,
        callers: int,
        give_up_after_s: float,
        seed: int,
    ) -> None:
        """Send by `caller`, which is told whether to be a relay client; at most `give_up_after_s` for a message."""
        self._caller, self._journal = caller, journal
        self._give_up_after_s = give_up_after_s
        self._random = random.Random(seed)  # noqa: S311  # test mail, no secret
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._under_way: dict[int, int] = {}
        """pid → pidfd of the queue programs."""
        self._threads = [
            threading.Thread(target=self._run, args=(number, random.Random(self._random.random())))  # noqa: S311
            for number in range(callers)
        ]

    def __enter__(self) -> Self:
        """Begin."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let every message that is under way have its answer, and send no more."""
        self._end.set()
        for thread in self._threads:
            thread.join()

    @property
    def is_alive(self) -> bool:
        """Whether every caller still sends; one that failed by itself has ended."""
        return all(thread.is_alive() for thread in self._threads)

    def signal_one(self, number: signal.Signals, pick: random.Random) -> int | None:
        """Send a signal to the queue program of some message; its pid, or None when none is under way."""
        with self._lock:
            if not self._under_way:
                return None
            pid = pick.choice(sorted(self._under_way))
            try:
                signal.pidfd_send_signal(self._under_way[pid], number)
            except ProcessLookupError:
                return None
            return pid

    def resume(self, pid: int) -> None:
        """SIGCONT to a queue program that was stopped, unless it is gone."""
        with self._lock:
            if pid in self._under_way:
                signal.pidfd_send_signal(self._under_way[pid], signal.SIGCONT)

    def _run(self, number: int, source: random.Random) -> None:
        count = 0
        while not self._end.is_set():
            count += 1
            token = f"{number}-{count}-{source.randbytes(6).hex()}"
            answered = self.send(_choose(_KINDS, source), token, source.randint(*_choose(_SIZES, source)), source)
            self._end.wait(source.uniform(*(_PAUSE_S if answered.accepted else _PAUSE_AFTER_FAILURE_S)))

    def send(self, kind: Kind, token: str, size: int, source: random.Random) -> Answered:
        """Send one message and write down what was answered."""
        content = message(kind, token, size, source, in_archive=source.random() < _IN_ARCHIVE)
        self._journal.write(Sent(token, kind, len(content), hashlib.sha256(content).hexdigest()))
        call = self._caller(source.random() >= _SPAM_FILTERED).open(timeout_s=self._give_up_after_s)
        ended = time.monotonic()
        pid = call.pid
        with call:
            if pid is not None:
                with self._lock:
                    self._under_way[pid] = os.pidfd_open(pid)
            try:
                half = len(content) // 2
                call.write_message(content[:half])
                if source.random() < _SLOW:
                    time.sleep(_SLOW_PAUSE_S)
                call.write_message(content[half:])
                call.end_message()
                call.write_envelope(envelope_of(token))
                ended = time.monotonic()
                result = call.finish()
            except CallTimeoutError as error:
                answered = Answered(token, None, str(error), time.monotonic() - ended)
            else:
                answered = Answered(token, result.exit_code, result.answer, time.monotonic() - ended)
            finally:
                if pid is not None:
                    with self._lock:
                        os.close(self._under_way.pop(pid))
        self._journal.write(answered)
        return answered


def _choose(weights: Mapping[_T, int], source: random.Random) -> _T:
    (chosen,) = source.choices(list(weights), list(weights.values()))
    return chosen
