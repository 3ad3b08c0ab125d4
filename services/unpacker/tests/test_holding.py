"""Where decoded content is held: bounded memory, whatever a message is made of."""

import hashlib
import os
from pathlib import Path

from qscan_unpacker.dissection.holding import MAX_IN_MEMORY_BYTES, FileContent, Holding, MemoryContent


def test_many_small_contents_do_not_stay_in_memory(tmp_path: Path) -> None:
    """Two hundred of 100 KB: the first ones are in memory, the others in the file, and all are what they were."""
    contents = [os.urandom(100_000) for _ in range(200)]
    with Holding(tmp_path) as holding:
        held = [holding.keep([content[:30_000], content[30_000:]]) for content in contents]
        in_memory = sum(one.size for one, _ in held if isinstance(one, MemoryContent))
        assert MAX_IN_MEMORY_BYTES - 100_000 < in_memory <= MAX_IN_MEMORY_BYTES
        assert isinstance(held[-1][0], FileContent)
        for content, (one, digest) in zip(contents, held, strict=True):
            assert one.read(0, one.size) == bytes(one.view()) == content
            assert digest == hashlib.sha256(content).hexdigest()


def test_small_content_behind_large_is_in_memory(tmp_path: Path) -> None:
    """The file is for what is large, as long as there is little of the rest."""
    with Holding(tmp_path) as holding:
        large, _ = holding.keep([bytes(1_000_000)])
        small, _ = holding.keep([b"small"])
        assert isinstance(large, FileContent)
        assert isinstance(small, MemoryContent)
