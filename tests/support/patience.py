"""Real time in tests: when to give up, and event loops on which no timer overtakes what came before it.

A busy machine stands still now and then, for longer than the short deadlines of tests. On an ordinary loop
the timer that ran out meanwhile rings first, although what it waits for had been sent in time. Here a timer
that is due lets the loop turn some times before it rings. And while all stands still, so does the clock:
whoever compares times does not see how long that was.
"""

import asyncio
import math
from collections.abc import Callable
from contextvars import Context
from typing import TypeVarTuple

try:
    import uvloop
except ImportError:  # not to be had everywhere
    uvloop = None  # type: ignore[assignment]

PATIENCE = 60.0
"""Seconds after which a test gives up on what happens at once: a bound for the slowest machine, and so for
whether it happens at all. Where it matters how soon, the test says so itself."""

TURNS = 50
"""Turns of the loop before a timer rings: from a caller by way of the gateway to a provider and back it takes
some ten."""

BEAT, STILL = 0.02, 0.1
"""Seconds from one look at the time to the next, while a loop runs; and how many between two mean that the
machine stood still, or else a callback that took so long."""

Ts = TypeVarTuple("Ts")
LoopFactory = Callable[[], asyncio.AbstractEventLoop]


class Steady:
    """A clock without the time in which it was not looked at for long."""

    def __init__(self) -> None:
        self._seen, self._lost = math.inf, 0.0

    def read(self, real: float) -> float:
        """Return the time when it is *real*ly that."""
        if real - self._seen > STILL:
            self._lost += real - self._seen
        self._seen = real
        return real - self._lost


class Beat:
    """Looks at the time of *loop* again and again, by a timer of the loop's own."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, later: Callable[[Callable[[], None]], asyncio.TimerHandle]
    ) -> None:
        self._loop, self._later = loop, later
        self._look()

    def _look(self) -> None:
        self._loop.time()
        self._timer = self._later(self._look)

    def stop(self) -> None:
        self._timer.cancel()


class Unhurried(asyncio.SelectorEventLoop):
    """The standard loop; its timers let pass what came before them."""

    def __init__(self) -> None:
        self._steady = Steady()
        super().__init__()

    def time(self) -> float:
        return self._steady.read(super().time())

    def run_forever(self) -> None:
        plain = super().call_at
        beat = Beat(self, lambda look: plain(self.time() + BEAT, look))
        try:
            super().run_forever()
        finally:
            beat.stop()

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return _after_all(self, super().call_at, when, when, lambda: callback(*args), context)


if uvloop is not None:

    class UnhurriedUvloop(uvloop.Loop):
        """The loop of production; its timers let pass what came before them."""

        def __init__(self) -> None:
            self._steady = Steady()
            super().__init__()

        def time(self) -> float:
            return self._steady.read(super().time())

        def run_forever(self) -> None:
            plain = super().call_later
            beat = Beat(self, lambda look: plain(BEAT, look))
            try:
                super().run_forever()
            finally:
                beat.stop()

        def call_later(
            self,
            delay: float,
            callback: Callable[[*Ts], object],
            *args: *Ts,
            context: Context | None = None,
        ) -> asyncio.TimerHandle:
            due = self.time() + delay
            return _after_all(self, super().call_later, delay, due, lambda: callback(*args), context)


STANDARD: LoopFactory = Unhurried
OURS: LoopFactory = Unhurried if uvloop is None else UnhurriedUvloop
"""The loop that the gateway runs on in production, where it is to be had."""


def _after_all(
    loop: asyncio.AbstractEventLoop,
    timed: Callable[..., asyncio.TimerHandle],
    time: float,
    due: float,
    callback: Callable[[], object],
    context: Context | None,
) -> asyncio.TimerHandle:
    """Have *callback* run some turns after it is *due* by the loop's clock, unless it is cancelled by then.

    *timed* takes the *time* in its own way. uvloop's own clock, by which its timers go, never stands still.
    """

    def ring(turns: int) -> None:
        if handle.cancelled():
            return
        left = due - loop.time()
        if left > BEAT:
            timed(left, ring, TURNS, context=context)
        elif turns:
            loop.call_soon(ring, turns - 1, context=context)
        else:
            handle.cancel()  # it is over, and must not hold what it was for
            callback()

    handle = timed(time, ring, TURNS, context=context)
    return handle
