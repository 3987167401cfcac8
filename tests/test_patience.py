"""The event loops of tests on real sockets: none of their timers overtakes what came before it."""

import asyncio

import pytest

from tests.support.patience import OURS, STANDARD, TURNS

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
