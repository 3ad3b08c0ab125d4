"""Mutations of a message that keep most of its structure: lines, parts and tokens change, not single bits alone."""

from collections.abc import Callable, Sequence
from random import Random

from tests.corpus.fuzzing import grammar
from tests.corpus.fuzzing.grammar import BOUNDARIES, LINE_ENDS, mutated_tokens

MAX_BYTES = 16_384
Mutation = Callable[[bytes, Random], bytes]


def mutated(message: bytes, chance: Random, max_bytes: int = MAX_BYTES) -> bytes:
    """`message` after some mutations, at most `max_bytes` of it."""
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 5))):
        message = chance.choice(MUTATIONS)(message, chance)[:max_bytes]
    return message


def _line_range(message: bytes, chance: Random) -> tuple[int, int]:
    """Where some lines begin and end."""
    lines = message.splitlines(keepends=True)
    first = chance.randrange(len(lines) + 1)
    count = chance.choice((1, 1, 1, 2, 3, 8, len(lines)))
    start = sum(map(len, lines[:first]))
    return start, start + sum(map(len, lines[first : first + count]))


def _without_lines(message: bytes, chance: Random) -> bytes:
    start, end = _line_range(message, chance)
    return message[:start] + message[end:]


def _lines_elsewhere(message: bytes, chance: Random) -> bytes:
    start, end = _line_range(message, chance)
    at = _line_range(message, chance)[0]
    return message[:at] + message[start:end] * chance.choice((1, 1, 1, 2, 5)) + message[at:]


def _other_line_end(message: bytes, chance: Random) -> bytes:
    end = _line_range(message, chance)[1]
    return message[:end].rstrip(b"\r\n") + chance.choice(LINE_ENDS) + message[end:]


def _all_line_ends(message: bytes, chance: Random) -> bytes:
    return message.replace(b"\r\n", b"\n").replace(b"\n", chance.choice((b"\r\n", b"\r", b"\n", b"\r\r\n")))


def _grammar_inside(message: bytes, chance: Random) -> bytes:
    at = _line_range(message, chance)[0]
    return message[:at] + grammar.message(chance) + message[at:]


def _wrapped(message: bytes, chance: Random) -> bytes:
    """As a part, or as the message in a message."""
    kind = chance.randrange(3)
    if kind == 0:
        return b"Content-Type: message/rfc822\n\n" + message
    boundary = chance.choice(BOUNDARIES)
    head = b"Content-Type: multipart/mixed; boundary=" + boundary + b"\n\n--" + boundary + b"\n"
    return head + message + (b"" if kind == 1 else b"\n--" + boundary + b"--\n")


def _cut(message: bytes, chance: Random) -> bytes:
    at = chance.randrange(len(message) + 1)
    return message[at:] if chance.randrange(3) == 0 else message[:at]


def _bytes_changed(message: bytes, chance: Random) -> bytes:
    changed = bytearray(message)
    for _ in range(chance.choice((1, 1, 2, 8))):
        if changed:
            changed[chance.randrange(len(changed))] = chance.choice((chance.randrange(256), *b"\0\r\n \t;:=\"'()-b"))
    return bytes(changed)


def _doubled_token(message: bytes, chance: Random) -> bytes:
    """A stretch of the message, somewhere else as well."""
    start = chance.randrange(len(message) + 1)
    stretch = message[start : start + chance.choice((1, 4, 16, 64))]
    at = chance.randrange(len(message) + 1)
    return message[:at] + stretch * chance.choice((1, 1, 3, 20)) + message[at:]


MUTATIONS: Sequence[Mutation] = (
    *(mutated_tokens, mutated_tokens, mutated_tokens, _without_lines, _lines_elsewhere, _lines_elsewhere),
    *(_other_line_end, _all_line_ends, _grammar_inside, _wrapped, _cut, _bytes_changed, _doubled_token),
)
