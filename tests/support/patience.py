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


class Patient(asyncio.AbstractEventLoop):
    """What makes any loop patient; a loop itself says how it rings at a moment of `time`."""

    def __init__(self) -> None:
        self._steady = Steady()
        super().__init__()

    def alarm(
        self, when: float, ring: Callable[[*Ts], object], *args: *Ts, context: Context | None
    ) -> asyncio.TimerHandle:
        """Have *ring* called about *when*, as the loop does it by itself; too soon if it stood still."""
        raise NotImplementedError

    def time(self) -> float:
        return self._steady.read(super().time())

    def run_forever(self) -> None:
        self._look()
        try:
            super().run_forever()
        finally:
            self._looking.cancel()

    def _look(self) -> None:
        self._looking = self.alarm(self.time() + BEAT, self._look, context=None)

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Have *callback* run some turns after *when*, and not before, unless it is cancelled by then."""

        def ring(turns: int) -> None:
            if handle.cancelled():
                return
            if self.time() < when:
                self.alarm(when, ring, TURNS, context=context)
            elif turns:
                self.call_soon(ring, turns - 1, context=context)
            else:
                handle.cancel()  # it is over, and must not hold what it was for
                callback(*args)

        handle = self.alarm(when, ring, TURNS, context=context)
        return handle


class Unhurried(Patient, asyncio.SelectorEventLoop):
    """The standard loop; its timers let pass what came before them."""

    def alarm(
        self, when: float, ring: Callable[[*Ts], object], *args: *Ts, context: Context | None
    ) -> asyncio.TimerHandle:
        return asyncio.SelectorEventLoop.call_at(self, when, ring, *args, context=context)


if uvloop is not None:

    class UnhurriedUvloop(Patient, uvloop.Loop):  # type: ignore[misc]  # typed unlike the standard one
        """The loop of production; its timers let pass what came before them."""

        def alarm(
            self, when: float, ring: Callable[[*Ts], object], *args: *Ts, context: Context | None
        ) -> asyncio.TimerHandle:
            # Its own clock, by which its timers go, never stands still.
            return uvloop.Loop.call_later(self, when - self.time(), ring, *args, context=context)


STANDARD: LoopFactory = Unhurried
OURS: LoopFactory = Unhurried if uvloop is None else UnhurriedUvloop
"""The loop that the gateway runs on in production, where it is to be had."""
