"""Bombs: each ends soon, in bounded memory, and says which limit it met (issue 3, field-lessons §4).

`python -m tests.corpus.bombs` prints what each of them costs; docs/ has that table.
"""

import gzip
import time
from collections.abc import Iterator

import pytest

from qscan_unpacker.dissection.budget import Limits
from qscan_unpacker.sandbox.sandbox import Sandbox
from tests.corpus.bombs.archives import zip_of
from tests.corpus.bombs.catalogue import Bomb, bombs
from tests.corpus.bombs.measuring import cost, sandbox
from tests.corpus.bombs.messages import attached, field
from tests.corpus.bombs.quine import gzip_quine

MAX_CPU_S = 10.0
"""The issue's bound. What is linear stays below a second; the budget of seconds ends the rest at eight."""
MAX_RESIDENT_BYTES = 400_000_000
MAX_SANDBOX_BYTES = 512 * 1024 * 1024
LIMITS = Limits()


@pytest.fixture(scope="module")
def opening() -> Iterator[Sandbox]:
    """Where containers are opened."""
    with sandbox() as running:
        yield running


@pytest.mark.parametrize("bomb", bombs(), ids=lambda bomb: bomb.name)
def test_bomb_ends_and_is_named(bomb: Bomb, opening: Sandbox) -> None:
    """Time, memory, components and bytes within their limits; the limit named; nothing lost without a word."""
    seen = cost(bomb.message(), opening)
    assert seen.cpu_s < MAX_CPU_S
    assert seen.resident_bytes < MAX_RESIDENT_BYTES
    assert seen.sandbox_bytes < MAX_SANDBOX_BYTES
    assert seen.components <= LIMITS.max_components + 1
    assert seen.decoded_bytes <= LIMITS.max_decoded_bytes
    assert not bomb.named or bomb.named in seen.said, seen.said
    assert "unpacker_failed" not in seen.said, "which the sender would try again"
    assert seen.breaches == ()


def test_the_bombs_are_those_of_the_issue() -> None:
    """A list that someone shortens is seen here."""
    assert len({bomb.name for bomb in bombs()}) == len(bombs()) >= 65


def test_the_quine_is_one() -> None:
    """It decompresses to itself."""
    assert gzip.decompress(gzip_quine()) == gzip_quine()


def test_seconds_run_out_by_name(opening: Sandbox) -> None:
    """What is slow byte by byte ends with the budget's seconds, soon behind them."""
    message = field(b'Content-Type: a/b; name="', b"=?utf-8?q?=41?= ", b'"', count=60)
    started_s = time.process_time()
    seen = cost(message, opening, Limits(max_dissection_s=1.0))
    assert "budget.seconds" in seen.said
    assert time.process_time() - started_s < MAX_CPU_S


def test_seconds_of_the_sandbox_count(opening: Sandbox) -> None:
    """A container that takes long to open is charged to the message as well."""
    message = attached(zip_of({f"{number}": bytes(1_000_000) for number in range(150)}))
    seen = cost(message, opening, Limits(max_dissection_s=0.2, max_ratio=1_000_000))
    assert "budget.seconds" in seen.said
