"""An event loop whose time is virtual: whoever sleeps is woken at once, and the clock has moved."""

import asyncio
import selectors

from freeroute.clock import Now
from tests.support.clocks import EPOCH


class _Selector(selectors.DefaultSelector):
    """Instead of waiting for a timeout, moves the loop's time past it."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 1_000.0

    def select(self, timeout=None):
        events = super().select(0)
        if not events:
            if timeout is None:
                raise RuntimeError("everything waits for something that will never happen")
            self.time += timeout
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop in which an hour passes in the time it takes to run what happens in it."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.time


class LoopClock:
    """The running loop's time, on both hands."""

    def now(self) -> Now:
        mono = asyncio.get_running_loop().time()
        return Now(mono, EPOCH + mono - 1_000.0)

    async def spend(self, seconds: float) -> None:
        """Let *seconds* pass for everybody."""
        await asyncio.sleep(seconds)


def run(coroutine):
    """Run *coroutine* in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)
