"""What the fuzzing begins with: the crafted suite, the corpus where it is, and messages from the grammar."""

from pathlib import Path
from random import Random

from tests.corpus.ambiguity.suite import cases
from tests.corpus.fuzzing import grammar
from tests.corpus.fuzzing.mutation import MAX_BYTES

CORPUS = Path(__file__).parents[4] / "shared" / "corpus"
_FROM_THE_GRAMMAR = 200
_NO_MESSAGES = {".md", ".csv", ".jsonl"}


def seeds() -> list[bytes]:
    """Messages of at most `MAX_BYTES`, each once."""
    crafted = [case.message for case in cases()]
    made = [grammar.message(Random(number)) for number in range(_FROM_THE_GRAMMAR)]
    files = sorted(CORPUS.rglob("*")) if CORPUS.is_dir() else []
    stored = [
        file.read_bytes()
        for file in files
        if file.is_file() and file.suffix not in _NO_MESSAGES and file.stat().st_size <= MAX_BYTES
    ]
    return list(dict.fromkeys(one[:MAX_BYTES] for one in (*crafted, *stored, *made)))
