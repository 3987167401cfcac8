"""The timer of one connection, which outlives each wait on it."""

import asyncio
import math
from typing import Protocol


class Sleeper(Protocol):
    """Whoever is to be woken, and may want to be woken later instead."""

    def rung(self, at: float) -> None:
        """Hear that it is so late (loop time)."""
        ...


class Alarm:
    """One timer for all waits on a connection, each for whoever waits last.

    It is put off when it rings too early, and stays when nobody waits: a timer costs as much as half of what
    else is done about an event of a stream, and nearly all that is waited for comes in time.
    """

    __slots__ = ("_loop", "_rings_at", "_sleeper", "_timer")

    def __init__(self) -> None:
        """Begin without a timer."""
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = math.inf
        self._sleeper: Sleeper | None = None

    def set(self, sleeper: Sleeper, due: float) -> None:
        """Let *sleeper* hear when it is *due* (loop time), or earlier."""
        self._sleeper = sleeper
        if self._timer is not None:
            if due >= self._rings_at:
                return
            self._timer.cancel()
        self._rings_at = due
        self._timer = self._loop.call_at(due, self._ring)

    def leave(self) -> None:
        """Wake nobody: the timer may be the next one's."""
        self._sleeper = None

    def stop(self) -> None:
        """Ring no more."""
        self._sleeper = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        if self._sleeper is not None:
            self._sleeper.rung(self._rings_at)
