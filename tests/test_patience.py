"""The event loops of tests on real sockets: none of their timers overtakes what came before it."""

import asyncio

import pytest

from freeroute.clock import mono
from tests.support.patience import BEAT, OURS, STANDARD, STILL, TURNS

SHORT = 0.01

pytestmark = pytest.mark.parametrize("loop", [STANDARD, OURS])
ways = pytest.mark.parametrize("way", ["call_later", "call_at"])


def on(loop, main):
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(main())


def alarm(way, delay, callback):
    """Have the loop call *callback* after *delay*, asked for in one of the *ways*; return the timer."""
    loop = asyncio.get_running_loop()
    if way == "call_at":
        return loop.call_at(loop.time() + delay, callback)
    return loop.call_later(delay, callback)


def stand_still() -> None:
    """Let a deadline run out in which nothing else can happen."""
    now = asyncio.get_running_loop().time
    until = now() + 2 * SHORT
    while now() < until:
        pass


def freeze() -> None:
    """Have the machine stand still, for longer than any loop takes for a turn."""
    until = mono() + 5 * STILL
    while mono() < until:
        pass


def test_a_machine_that_stood_still_makes_nothing_late(loop):
    async def main():
        async with asyncio.timeout(SHORT):
            stand_still()
            for _ in range(TURNS // 2):
                await asyncio.sleep(0)

    on(loop, main)


def test_what_never_comes_is_late(loop):
    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SHORT):
                await asyncio.Event().wait()

    on(loop, main)


@ways
def test_a_timer_lets_pass_what_came_before_it(loop, way):
    async def main():
        rung = asyncio.Event()
        alarm(way, SHORT, rung.set)
        stand_still()
        for _ in range(TURNS // 2):
            await asyncio.sleep(0)
            assert not rung.is_set()
        await rung.wait()

    on(loop, main)


@ways
def test_a_timer_that_is_cancelled_before_it_rings_does_not(loop, way):
    async def main():
        rung = asyncio.Event()
        timer = alarm(way, SHORT, rung.set)
        stand_still()
        await asyncio.sleep(0)
        timer.cancel()
        await asyncio.sleep(SHORT)
        assert not rung.is_set()

    on(loop, main)


@ways
def test_a_timer_that_waits_anew_and_is_cancelled_does_not_ring(loop, way):
    async def main():
        rung = asyncio.Event()
        timer = alarm(way, 3 * BEAT, rung.set)
        await asyncio.sleep(SHORT)
        freeze()
        await asyncio.sleep(SHORT)  # uvloop's own timer has rung by now
        timer.cancel()
        await asyncio.sleep(4 * BEAT)
        assert not rung.is_set()

    on(loop, main)


def test_a_clock_stands_still_with_the_machine(loop):
    async def main():
        now = asyncio.get_running_loop().time
        began = now()
        async with asyncio.timeout(3 * STILL):
            await asyncio.sleep(SHORT)
            freeze()
            assert now() - began < 3 * STILL
            for _ in range(3 * TURNS):
                await asyncio.sleep(0)

    on(loop, main)


@ways
@pytest.mark.parametrize("delay", [BEAT / 2, 3 * BEAT])
def test_a_timer_goes_by_the_clock_that_stood_still(loop, way, delay):
    async def main():
        now = asyncio.get_running_loop().time
        rung = []
        await asyncio.sleep(SHORT)
        due = now() + delay
        alarm(way, delay, lambda: rung.append(now()))
        freeze()
        await asyncio.sleep(delay + BEAT)
        assert len(rung) == 1
        assert due <= rung[0]

    on(loop, main)
