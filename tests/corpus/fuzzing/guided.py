"""Fuzzing that coverage guides: atheris (PyPI, Apache 2.0, by Google, kept up) mutates what led to new code.

There are wheels for x86_64 only; elsewhere the same mutations are made unguided.
"""

import hashlib
import os
import sys
from pathlib import Path
from random import Random
from typing import NoReturn

from tests.corpus.fuzzing.mutation import MAX_BYTES, mutated
from tests.corpus.fuzzing.run import Check, Run
from tests.corpus.fuzzing.seeds import seeds

_INSTRUMENTED = ("qscan_unpacker.dissection", "qscan_unpacker.opening.kinds", "qscan_unpacker.opening.signatures")
_HANGS_AFTER_S = 60
_ONE_IN = 4
"""So many inputs are mutated by libFuzzer itself, byte by byte and by what comparisons it saw."""


def is_available() -> bool:
    """Whether atheris is installed."""
    try:
        import atheris  # noqa: F401, PLC0415  # it is a look only
    except ImportError:
        return False
    return True


def instrumented_check() -> Check:
    """The check, with the dissector instrumented. Nothing of the dissector may be imported before."""
    import atheris  # noqa: PLC0415  # only where it is installed

    with atheris.instrument_imports(include=list(_INSTRUMENTED)):
        from tests.corpus.fuzzing.checking import findings  # noqa: PLC0415  # see above
    return findings


def fuzz(run: Run, work_dir: Path) -> NoReturn:
    """Fuzz until the run is over, then end the process with 1 if there were findings.

    Args:
        run: counts and keeps.
        work_dir: `corpus` below it grows from run to run.
    """
    import atheris  # noqa: PLC0415  # only where it is installed

    def one(message: bytes) -> None:
        run.one(message)
        if run.is_over:
            run.tell()
            os._exit(1 if run.found else 0)  # libFuzzer has no other way out

    def mutate(message: bytes, max_bytes: int, seed: int) -> bytes:
        chance = Random(seed)
        if chance.randrange(_ONE_IN) == 0:
            by_libfuzzer: bytes = atheris.Mutate(message, min(len(message) + 1, max_bytes))
            return by_libfuzzer
        return mutated(message, chance, max_bytes)

    corpus, seed_dir = work_dir / "corpus", work_dir / "seeds"
    corpus.mkdir(parents=True, exist_ok=True)
    seed_dir.mkdir(exist_ok=True)
    for message in seeds():
        (seed_dir / hashlib.sha256(message).hexdigest()[:16]).write_bytes(message)
    options = {
        "max_len": MAX_BYTES,
        "timeout": _HANGS_AFTER_S,
        "verbosity": 0,
        "artifact_prefix": f"{work_dir}/",
    }
    arguments = [sys.argv[0], *(f"-{name}={value}" for name, value in options.items()), str(corpus), str(seed_dir)]
    atheris.Setup(arguments, one, custom_mutator=mutate)
    atheris.Fuzz()
    os._exit(2)
