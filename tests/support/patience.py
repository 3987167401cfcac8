"""Real time in tests: when to give up, and event loops on which no timer overtakes what came before it.

A busy machine stands still now and then, for longer than the short deadlines of tests. On an ordinary loop
the timer that ran out meanwhile rings first, although what it waits for had been sent in time. Here a timer
that is due lets the loop turn some times before it rings.
"""

import asyncio
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

Ts = TypeVarTuple("Ts")
LoopFactory = Callable[[], asyncio.AbstractEventLoop]


class Unhurried(asyncio.SelectorEventLoop):
    """The standard loop; its timers let pass what came before them."""

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return _after_all(self, super().call_at, when, lambda: callback(*args), context)


if uvloop is not None:

    class UnhurriedUvloop(uvloop.Loop):
        """The loop of production; its timers let pass what came before them."""

        def call_later(
            self,
            delay: float,
            callback: Callable[[*Ts], object],
            *args: *Ts,
            context: Context | None = None,
        ) -> asyncio.TimerHandle:
            return _after_all(self, super().call_later, delay, lambda: callback(*args), context)


STANDARD: LoopFactory = Unhurried
OURS: LoopFactory = Unhurried if uvloop is None else UnhurriedUvloop
"""The loop that the gateway runs on in production, where it is to be had."""


def _after_all(
    loop: asyncio.AbstractEventLoop,
    timed: Callable[..., asyncio.TimerHandle],
    time: float,
    callback: Callable[[], object],
    context: Context | None,
) -> asyncio.TimerHandle:
    """Have *callback* run some turns after it is due by *timed*, unless it is cancelled by then."""

    def ring(turns: int) -> None:
        if handle.cancelled():
            return
        if turns:
            loop.call_soon(ring, turns - 1, context=context)
        else:
            handle.cancel()  # it is over, and must not hold what it was for
            callback()

    handle = timed(time, ring, TURNS, context=context)
    return handle
