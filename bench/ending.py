"""Nothing outlives a bench: what it runs ends with it, however it ends."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>


def heed_signals() -> None:
    """Have SIGTERM and SIGINT end this process as an exception does, so that what it runs is ended first."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)


def _leave(number: int, _: FrameType | None) -> None:
    # Once is enough: a second one, as `timeout` sends, must not stop what is being put away.
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)
    raise SystemExit(128 + number)


def bound() -> Callable[[], None] | None:
    """Return what a child does first, so that the kernel kills it when this process ends without a word.

    None where no kernel does that. It has to be started by the main thread: a child of another is killed at
    the end of that.
    """
    if sys.platform != "linux":
        return None
    control, here = ctypes.CDLL(None).prctl, os.getpid()

    def bind() -> None:
        control(_SET_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != here:  # which ended before that
            os._exit(1)

    return bind
