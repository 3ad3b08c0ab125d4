"""A real archiver process that kills itself (SIGKILL) when it reaches a step: ``python dying_archiver.py STEP``."""

import os
import signal
import sys
from functools import partial

from qscan_archiver.bootstrap import main
from qscan_archiver.keeping import Step
from qscan_archiver.settings import ArchiverSettings
from qscan_kit.service import run


def die(fatal: Step, reached: Step) -> None:
    """Die at once, as by a power cut for the process: nothing is flushed, closed or told."""
    if reached is fatal:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(run("archiver", ArchiverSettings, partial(main, reached=partial(die, Step(sys.argv[1])))))
