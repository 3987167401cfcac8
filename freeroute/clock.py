"""Time as a value: the one place that reads the system's clocks."""

import time
from pathlib import Path
from typing import Protocol

from msgspec import Struct

_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Now(Struct, frozen=True):
    """One instant on two clocks, both in seconds.

    *mono* never jumps and, where the system offers it, counts suspended time; *wall* is Unix time and
    is used only where a provider's calendar or a reader's eyes need it.
    """

    mono: float
    wall: float

    def later(self, seconds: float) -> "Now":
        """Return the instant *seconds* from this one, on both clocks."""
        return Now(self.mono + seconds, self.wall + seconds)


class Clock(Protocol):
    """Anything that can say what time it is."""

    def now(self) -> Now:
        """Return the present instant."""
        ...


class SystemClock:
    """The machine's own clocks; suspend counts as time passed."""

    def now(self) -> Now:
        """Return the present instant of the machine."""
        return Now(time.clock_gettime(_BOOTTIME), time.time())


def boot_id() -> str:
    """Return what names the machine's present boot, within which `Now.mono` never starts anew; else ""."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
