"""``make bench-unpack``: the dissector beside Python's email package and a native parser, in one run.

Each gives the SHA-256 of every part's decoded content. The digest of the raw message is no part of it: whoever receives
the message has it. The ratios are what counts: the machines are shared and noisy. Then the crafted worst cases, each
at three sizes, since what counts there is that four times the message takes four times as long and no more.
"""

import base64
import email
import email.policy
import hashlib
import quopri
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import fast_mail_parser

from qscan_unpacker.dissection.budget import Budget, Limits
from qscan_unpacker.dissection.collecting import Dissection
from qscan_unpacker.dissection.dissector import Dissector
from qscan_unpacker.dissection.holding import Holding, content_of

ROUNDS = 9
ROUND_S = 0.3
"""Small messages are read over and over for so long."""
WORST_CASE_BYTES = 2_000_000
WORST_CASE_FACTORS = (1, 2, 4)
WORST_CASE_ROUNDS = 3
UNLIMITED_S = 600.0


def dissected(message: bytes, limits: Limits) -> Dissection:
    """What qscan makes of a message; the only place here that knows its interface."""
    content, digest = content_of(message)
    with Holding(Path(tempfile.gettempdir())) as holding:
        return Dissector(message, digest, holding, Budget(limits, time.thread_time), content).dissect()


class Qscan:
    """The dissector, as the service calls it: the content and digest of the raw message are there."""

    def __init__(self, message: bytes) -> None:
        self._content, self._digest = content_of(message)

    def __call__(self, message: bytes) -> list[str]:
        """The digests of the parts."""
        with Holding(Path(tempfile.gettempdir())) as holding:
            budget = Budget(Limits(), time.thread_time)
            found = Dissector(message, self._digest, holding, budget, self._content).dissect().found
            return [one.component.sha256 for one in found[1:]]


def by_email_package(message: bytes) -> list[str]:
    """The digests of the parts, by Python's email package."""
    parsed = email.message_from_bytes(message, policy=email.policy.default)
    payloads = (part.get_payload(decode=True) for part in parsed.walk() if not part.is_multipart())
    return [hashlib.sha256(payload).hexdigest() for payload in payloads if isinstance(payload, bytes)]


def by_native_parser(message: bytes) -> list[str]:
    """The digests of the parts, by fast-mail-parser (Apache-2.0, Rust)."""
    parts = fast_mail_parser.walk(fast_mail_parser.parse_email_tree(message))
    return [hashlib.sha256(part.content).hexdigest() for part in parts if part.content is not None]


# ------------------------------------------------------------------------------------------------------- the messages


def prose(size: int) -> bytes:
    """So much ordinary text in lines."""
    words = b"the report of last week is attached, please have a look and tell us what you think of it".split()
    source, lines, length = random.Random(size), list[bytes](), 0
    while length < size:
        lines.append(b" ".join(source.choices(words, k=12)))
        length += len(lines[-1]) + 2
    return b"\r\n".join(lines)[:size]


def multipart(parts: list[tuple[bytes, bytes]]) -> bytes:
    """A message of these parts, (header, body) each."""
    head = (
        b"From: a@example.org\r\nTo: b@example.org\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/mixed;\r\n boundary="=_b"\r\n\r\n'
    )
    return head + b"".join(b"--=_b\r\n%b\r\n\r\n%b\r\n" % part for part in parts) + b"--=_b--\r\n"


def attachment(size: int) -> tuple[bytes, bytes]:
    """A part whose encoded body has about this size."""
    encoded = base64.encodebytes(random.Random(size).randbytes(size * 57 // 78)).replace(b"\n", b"\r\n")
    header = (
        b'Content-Type: application/octet-stream; name="a.bin"\r\nContent-Transfer-Encoding: base64\r\n'
        b'Content-Disposition: attachment; filename="a.bin"'
    )
    return header, encoded


def text_part(size: int) -> tuple[bytes, bytes]:
    """A part of plain text, not encoded."""
    return b"Content-Type: text/plain; charset=us-ascii", prose(size)


def quoted_part(size: int) -> tuple[bytes, bytes]:
    """A part of quoted-printable text, an umlaut in every sixth word."""
    text = prose(size).decode("ascii").replace("please", "schöne Grüße").encode()
    encoded = quopri.encodestring(text.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    return b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable", encoded[:size]


MESSAGES: dict[str, bytes] = {
    "1 KB, text": multipart([text_part(700)]),
    "100 KB, base64": multipart([text_part(2_000), attachment(97_000)]),
    "10 MB, base64": multipart([quoted_part(5_000), attachment(5_000_000), attachment(4_990_000)]),
    "25 MB, base64": multipart([quoted_part(5_000), attachment(15_000_000), attachment(9_990_000)]),
    "100 KB, quoted-printable": multipart([quoted_part(100_000)]),
    "10 MB, quoted-printable": multipart([quoted_part(10_000_000)]),
    "100 KB, text": multipart([text_part(100_000)]),
    "10 MB, text": multipart([text_part(10_000_000)]),
}


# ---------------------------------------------------------------------------------------------------- the worst cases


def repeated(before: bytes, piece: bytes, after: bytes = b"") -> Callable[[int], bytes]:
    """Messages that are one piece of syntax over and over, by their size."""
    return lambda size: before + piece * (size // len(piece)) + after


_MIXED = b'Content-Type: multipart/mixed; boundary="b"\n\n'
_BASE64 = b"Content-Transfer-Encoding: base64\n\n"
_QUOTED = b"Content-Transfer-Encoding: quoted-printable\n\n"
_HTML = b"Content-Type: text/html\n\n"
WORST_CASES: dict[str, Callable[[int], bytes]] = {
    "header lines": repeated(b"", b"A: b\n", b"\nx"),
    "one header line": repeated(b"A: ", b"x", b"\n\nx"),
    "parameters": repeated(b"Content-Type: a/b", b";a=b", b"\n\nx"),
    "encoded words": repeated(b'Content-Type: a/b; name="', b"=?utf-8?q?a?= ", b'"\n\nx'),
    "parts": repeated(_MIXED, b"--b\n\nx\n"),
    "almost delimiters": repeated(_MIXED, b"\n--"),
    "messages in messages": repeated(b"", b"Content-Type: message/rfc822\n\n"),
    "multiparts in multiparts": lambda size: b"".join(
        b'Content-Type: multipart/mixed; boundary="%d"\n\n--%d\n' % (index, index) for index in range(size // 60)
    ),
    "base64, padding after each group": repeated(_BASE64, b"QUE="),
    "base64, every other character junk": repeated(_BASE64, b"Q!"),
    "quoted-printable, equals signs": repeated(_QUOTED, b"="),
    "quoted-printable, soft breaks": repeated(_QUOTED, b"= \n"),
    "uuencode, beginnings": repeated(b"\n", b"begin 644 x\n"),
    "uuencode, one-byte lines": repeated(b"\nbegin 644 x\n", b"!\n"),
    "yEnc, escapes": repeated(b"\n=ybegin line=128 size=1 name=x\n", b"=}a"),
    "BinHex, runs": repeated(b"\n(This file must be converted with BinHex 4.0)\n:", b"!!!"),
    "data: without a comma": repeated(_HTML, b'<a href="data:'),
    "data: in character references": repeated(_HTML + b'<a href="data:,', b"&#65;"),
    "NUL": repeated(b"\n", b"\0"),
    "bare CR": repeated(b"\n", b"x\r"),
}


# ------------------------------------------------------------------------------------------------------- measurements


@dataclass(frozen=True)
class Reader:
    """One that reads messages: its name in the table, and what makes it for a message."""

    name: str
    make: Callable[[bytes], Callable[[bytes], list[str]]]


READERS = (
    Reader("qscan", Qscan),
    Reader("email package", lambda _: by_email_package),
    Reader("fast-mail-parser", lambda _: by_native_parser),
)


def once_s(read: Callable[[bytes], list[str]], message: bytes, times: int) -> float:
    """Seconds for a message, read so many times."""
    started = time.perf_counter()
    for _ in range(times):
        read(message)
    return (time.perf_counter() - started) / times


def compared(message: bytes) -> list[float]:
    """The median of each reader's seconds; their rounds take turns, so that all see the same noise."""
    readers = [one.make(message) for one in READERS]
    digests = [set(read(message)) for read in readers]
    assert digests[0] & digests[1] & digests[2], "the readers see different parts: this compares nothing"
    times = [max(1, int(ROUND_S / once_s(read, message, 1))) for read in readers]
    rounds = [[once_s(read, message, count) for read, count in zip(readers, times, strict=True)] for _ in range(ROUNDS)]
    return [statistics.median(one) for one in zip(*rounds, strict=True)]


def rows() -> Iterator[str]:
    """The table of ordinary messages."""
    yield f"  {'MB/s of the message':<26}" + "".join(f"{one.name:>18}" for one in READERS) + f"{'qscan is':>24}"
    for name, message in MESSAGES.items():
        seconds = compared(message)
        speeds = "".join(f"{len(message) / one / 1e6:>18.1f}" for one in seconds)
        yield f"  {name:<26}{speeds}{seconds[1] / seconds[0]:>12.1f}x{seconds[2] / seconds[0]:>8.2f}x"


def worst_rows() -> Iterator[str]:
    """The table of crafted messages: milliseconds at each size, their growth, and the limits that ended it."""
    sizes = "".join(f"{f'{WORST_CASE_BYTES * factor / 1e6:.0f} MB':>10}" for factor in WORST_CASE_FACTORS)
    yield f"  {'ms':<36}{sizes}{'growth':>9}  ended by"
    limits = Limits(max_dissection_s=UNLIMITED_S)
    for name, make in WORST_CASES.items():
        seconds, ended = [], set[str]()
        for factor in WORST_CASE_FACTORS:
            message = make(WORST_CASE_BYTES * factor)
            runs = []
            for _ in range(WORST_CASE_ROUNDS):
                started = time.process_time()
                dissection = dissected(message, limits)
                runs.append(time.process_time() - started)
                ended |= {str(one.id) for one in dissection.defects if one.id.startswith("budget.")}
            seconds.append(statistics.median(runs))
        figures = "".join(f"{one * 1e3:>10.0f}" for one in seconds)
        yield f"  {name:<36}{figures}{seconds[-1] / seconds[0]:>7.1f}x  {', '.join(sorted(ended)) or '-'}"


def main() -> int:
    """Print both tables, line by line as they come."""
    for title, table in (("ordinary messages", rows()), ("crafted messages (4.0x is linear)", worst_rows())):
        print(title)
        for row in table:
            print(row, flush=True)
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
