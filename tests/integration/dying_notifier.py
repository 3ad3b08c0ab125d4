"""A real notifier process that kills itself (SIGKILL) when it reaches a step: ``python dying_notifier.py STEP``."""

import os
import signal
import sys
from functools import partial

from qscan_kit.service import run
from qscan_notifier.bootstrap import main
from qscan_notifier.notifying import Step
from qscan_notifier.settings import NotifierSettings


def die(fatal: Step, reached: Step) -> None:
    """Die at once."""
    if reached is fatal:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(run("notifier", NotifierSettings, partial(main, reached=partial(die, Step(sys.argv[1])))))
