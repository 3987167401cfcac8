"""Virtual time: a loop that never waits for its next timer, but moves its time there.

Over loopback, inside one thread, that is exact: what was sent is there to be read at once, so that a loop
with nothing to read really has nothing to do until its next timer.
"""

import asyncio
import os
import selectors

BEGAN = 1_000.0
"""Where a virtual loop's time begins, in seconds."""

NOON = 1_790_080_000.0
"""The wall time (Unix) that belongs to it: 2026-09-22T12:26:40Z, far from anybody's midnight in UTC."""

THREADS = 10.0
"""Real seconds that a loop without timers waits for a worker thread before it gives up."""


class _Selector(selectors.DefaultSelector):
    """Instead of waiting for a timeout, moves the loop's time past it."""

    time = BEGAN

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if events or timeout == 0:
            return events
        if timeout is None:
            if not (events := super().select(THREADS)):
                raise RuntimeError("everything waits for something that will never happen")
            return events
        os.sched_yield()  # worker threads, if any, have their turn before time passes
        if not (events := super().select(0)):
            self.time += max(timeout, 1e-6)
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop in which an hour passes in the time it takes to run what happens in it."""

    def __init__(self) -> None:
        """Start at ``BEGAN``."""
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Return the virtual time, in seconds."""
        return self._virtual.time


def wall() -> float:
    """Return the virtual wall time (Unix) of the running loop."""
    return NOON + asyncio.get_running_loop().time() - BEGAN
