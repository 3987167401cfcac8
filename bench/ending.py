"""Nothing outlives a bench: what it runs ends with it, however it ends."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>


def interruptible(run: Callable[[], int]) -> int:
    """Return the exit code of *run*, which SIGTERM and SIGINT interrupt, so that what it started is ended.

    SIGTERM is made a SIGINT: for that one `asyncio.run` cancels, where an exception in the middle of the loop
    may fall to somebody who cannot raise it.
    """
    # What a shell starts in the background is given no heed for SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return run()
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _interrupt(number: int, _: FrameType | None) -> None:
    # Once is enough: a second one, as `timeout` sends, must not stop what is being put away.
    signal.signal(number, signal.SIG_IGN)
    signal.raise_signal(signal.SIGINT)


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
