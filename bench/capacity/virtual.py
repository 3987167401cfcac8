"""Virtual time: a loop that never waits for its next timer, but moves its time there.

Over loopback, inside one thread, that is exact: what was sent is there to be read at once, so that a loop
with nothing to read really has nothing to do until its next timer. What would go to a worker thread is done
at once, and takes no time either.
"""

import asyncio
import selectors
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

BEGAN = 1_000.0
"""Where a virtual loop's time begins, in seconds."""

NOON = 1_790_080_000.0
"""The wall time (Unix) that belongs to it: 2026-09-22T12:26:40Z, far from anybody's midnight in UTC."""


class _Selector(selectors.DefaultSelector):
    """Instead of waiting for a timeout, moves the loop's time past it."""

    time = BEGAN

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if not events:
            if timeout is None:
                raise RuntimeError("everything waits for something that will never happen")
            self.time += timeout
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

    def run_in_executor(
        self, executor: object, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Call *func* here and now: a thread would work while virtual time runs away."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as exc:
            future.set_exception(exc)
        return future


def wall() -> float:
    """Return the virtual wall time (Unix) of the running loop."""
    return NOON + asyncio.get_running_loop().time() - BEGAN
