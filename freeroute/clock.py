"""Time as a value: the one place that reads the system's clocks."""

import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

from msgspec import Struct

STAYS = 60.0
"""Seconds for which a wall clock that jumped has to stay there until it is believed. Own design: longer than
a mistake that is put right at once, and as long as the doubt that there is around a reset anyway."""

SLEW = 1.0
"""Seconds of the wall clock's steps that are followed at once. Own design: NTP and leap seconds take smaller
ones, and providers' clocks are no nearer to ours."""

LOOKS = 1.0
"""Seconds from one look at the system's wall clock to the next, between which it goes on by the monotonic
one. Own design: a step that is followed is seen a second late at most; a larger one is doubted for longer."""

_monotonic = partial(time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Now(Struct, frozen=True, gc=False):
    """One instant on two clocks, both in seconds.

    *mono* never jumps and, where the system offers it, counts suspended time; *wall* is Unix time and
    is used only where a provider's calendar or a reader's eyes need it.
    """

    mono: float
    wall: float

    def later(self, seconds: float) -> "Now":
        """Return the instant *seconds* from this one, on both clocks."""
        return Now(self.mono + seconds, self.wall + seconds)


def mono() -> float:
    """Return the machine's `Now.mono`, for spans that a loop's time is too coarse for: uvloop's stands still
    while callbacks run.
    """
    return _monotonic()


def wall() -> float:
    """Return the system's own time of day in Unix time, believed as it is: for what people read."""
    return time.time()


def worked() -> float:
    """Return the seconds of processor that this thread has used: what work costs, on a busy machine too."""
    return time.thread_time()


class Clock(Protocol):
    """Anything that can say what time it is."""

    def now(self) -> Now:
        """Return the present instant."""
        ...


class SteadyWall:
    """A wall clock that is believed when it jumps only once it has stayed there.

    Meanwhile it goes on by the monotonic clock. So a jump that is taken back ends no period of a calendar,
    and a correction is followed a minute late. Steps of up to `SLEW` are followed as soon as they are seen.
    """

    def __init__(self) -> None:
        """Believe the first reading."""
        self._offset: float | None = None  # of the wall clock to the monotonic one, as believed
        self._doubted = 0.0  # the same, as told since
        self._since = math.inf

    def read(self, mono: float, told: float) -> float:
        """Return the wall time at *mono*, at which the system's wall clock *told* the time."""
        offset = told - mono
        if self._offset is None or abs(offset - self._offset) <= SLEW:
            self._offset, self._since = offset, math.inf
            return told
        if abs(offset - self._doubted) > SLEW or self._since == math.inf:
            self._since = mono
        self._doubted = offset
        if mono - self._since < STAYS:
            return mono + self._offset
        self._offset, self._since = offset, math.inf
        return told


class SystemClock:
    """The machine's own clocks; suspend counts as time passed, jumps of the wall clock are doubted."""

    def __init__(self, mono: Callable[[], float] = _monotonic, wall: Callable[[], float] = time.time) -> None:
        """Read the machine's clocks, unless given others."""
        self._mono = mono
        self._told = wall
        self._wall = SteadyWall()
        self._offset = 0.0  # of the wall clock to the monotonic one
        self._look_at = -math.inf

    def now(self) -> Now:
        """Return the present instant of the machine."""
        now = self._mono()
        if now >= self._look_at:
            self._offset = self._wall.read(now, self._told()) - now
            self._look_at = now + LOOKS
        return Now(now, now + self._offset)


def boot_id() -> str:
    """Return what names the machine's present boot, within which `Now.mono` never starts anew; else ""."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
