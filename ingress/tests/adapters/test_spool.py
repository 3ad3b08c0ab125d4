import asyncio
import errno
import hashlib
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qscan_contracts.intake import Edit
from qscan_ingress.adapters.spool import MemoryBudget, Spool, SpoolLimits, check_folder, file_system
from qscan_ingress.adapters.threads import in_thread
from qscan_ingress.domain.edits import plan
from qscan_ingress.domain.failures import Failure, MessageFailedError
from qscan_kit.errors import SettingsError

LIMITS = SpoolLimits(memory_max_bytes=1000, message_max_bytes=10_000)


async def filled(folder: Path, chunks: Sequence[bytes], budget: MemoryBudget) -> Spool:
    """A complete spool with these chunks."""
    spool = Spool(folder, LIMITS, budget)
    for chunk in chunks:
        await spool.append(chunk)
    await spool.complete()
    return spool


async def read_back(spool: Spool, edits: Sequence[Edit] = ()) -> tuple[bytes, bytes]:
    """What is posted and what is delivered."""
    posted = b"".join([chunk async for chunk in spool.chunks()])
    descriptor = await spool.to_deliver(plan(edits, spool.size))
    try:
        return posted, os.read(descriptor, 100_000)
    finally:
        os.close(descriptor)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=700), max_size=8), st.integers(0, 3000))
def test_bytes_and_digest_are_kept(tmp_path: Path, chunks: list[bytes], memory_bytes: int) -> None:
    """In memory, on disk, or moved from one to the other in the middle."""
    budget = MemoryBudget(memory_bytes)
    spool = asyncio.run(filled(tmp_path, chunks, budget))
    whole = b"".join(chunks)
    assert asyncio.run(read_back(spool)) == (whole, whole)
    assert spool.sha256 == hashlib.sha256(whole).hexdigest()
    assert spool.size == len(whole)
    spool.close()
    assert budget.take(memory_bytes), "all of the memory was given back"


@pytest.mark.parametrize("size", [100, 5000])
def test_edits_are_made_in_memory_and_on_disk(tmp_path: Path, size: int) -> None:
    """Only what is delivered is edited, never what is posted."""
    edits = [Edit(offset=0, delete=1, insert=b"new "), Edit(offset=size, delete=0, insert=b"end")]
    spool = asyncio.run(filled(tmp_path, [b"x" * size], MemoryBudget(10_000)))
    posted, delivered = asyncio.run(read_back(spool, edits))
    assert posted == b"x" * size
    assert delivered == b"new " + b"x" * (size - 1) + b"end"
    spool.close()


def test_too_large(tmp_path: Path) -> None:
    """One byte above the limit."""
    with pytest.raises(MessageFailedError) as caught:
        asyncio.run(filled(tmp_path, [b"x" * 10_000, b"x"], MemoryBudget(10_000)))
    assert caught.value.failure is Failure.MESSAGE_TOO_LARGE


def test_a_file_that_lost_bytes_is_not_delivered(tmp_path: Path) -> None:
    """Whoever cut it: the edited copy must have the size that the edits say."""

    async def cut() -> None:
        spool = await filled(tmp_path, [b"x" * 5000], MemoryBudget(10_000))
        os.truncate(f"/proc/self/fd/{spool._file}", 4000)  # noqa: SLF001  # what must never happen
        with pytest.raises(Exception, match="bytes instead of"):
            await spool.to_deliver(plan([Edit(offset=0, delete=0, insert=b"X: 1\n")], spool.size))
        with pytest.raises(Exception, match="bytes instead of"):
            await spool.to_deliver(plan([], spool.size))
        spool.close()

    asyncio.run(cut())


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    """The text says what it must be."""
    with pytest.raises(SettingsError, match="O_TMPFILE"):
        check_folder(tmp_path / "missing", may_be_in_memory=True)
    with pytest.raises(SettingsError, match="O_TMPFILE"):
        check_folder(Path("/proc"), may_be_in_memory=True)


def test_the_file_system_is_the_kernels_word() -> None:
    """/proc is always there."""
    assert file_system(Path("/proc")) == "proc"


def test_a_full_disk_is_a_failure_and_other_errors_are_bugs(tmp_path: Path) -> None:
    """A folder that vanished is no full disk."""
    folder = tmp_path / "gone"
    with pytest.raises(OSError, match="No such file") as caught:
        asyncio.run(filled(folder, [b"x" * 5000], MemoryBudget(10_000)))
    assert caught.value.errno == errno.ENOENT


def test_a_cancelled_thread_is_waited_for() -> None:
    """Its descriptor's number would be another message's when it goes on; cancelled twice makes no difference."""
    started, release = threading.Event(), threading.Event()
    ended = []

    def work() -> None:
        started.set()
        release.wait(10)
        ended.append(True)

    async def cancel() -> None:
        task = asyncio.create_task(in_thread(work))
        await asyncio.to_thread(started.wait, 10)
        for _ in range(2):
            task.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert not task.done()
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == [True]

    asyncio.run(cancel())
