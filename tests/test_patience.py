"""The event loops of tests on real sockets: none of their timers overtakes what came before it."""

import asyncio

import pytest

from freeroute.clock import mono
from tests.support.patience import BEAT, OURS, STANDARD, STILL, TURNS

SHORT = 0.01

pytestmark = pytest.mark.parametrize("loop", [STANDARD, OURS])


def on(loop, main):
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(main())


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


def test_a_timer_that_is_cancelled_before_it_rings_does_not(loop):
    async def main():
        rung = asyncio.Event()
        timer = asyncio.get_running_loop().call_later(SHORT, rung.set)
        stand_still()
        await asyncio.sleep(0)
        timer.cancel()
        await asyncio.sleep(SHORT)
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


def test_a_timer_goes_by_the_clock_that_stood_still(loop):
    async def main():
        clock = asyncio.get_running_loop()
        due = clock.time() + 3 * BEAT
        rung = clock.create_future()
        clock.call_later(3 * BEAT, lambda: rung.set_result(clock.time()))
        await asyncio.sleep(SHORT)
        freeze()
        assert await rung >= due - BEAT

    on(loop, main)
