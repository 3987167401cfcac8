"""Requests that come at once begin a few in each turn of the event loop, all of them and in order."""

import asyncio
from functools import partial

import pytest

from freeroute.surfaces.entrance import AT_ONCE, Entrance


@pytest.mark.parametrize("count", [1, AT_ONCE, AT_ONCE + 1, 3 * AT_ONCE + 5])
async def test_a_burst_begins_a_few_in_each_turn(count):
    loop, entrance = asyncio.get_running_loop(), Entrance()
    begun: list[int] = []
    for number in range(count):
        entrance.enter(partial(begun.append, number), loop)
    expected = 0
    while expected < count:
        expected = min(expected + AT_ONCE, count)
        assert begun == list(range(expected))
        await asyncio.sleep(0)


async def test_who_comes_while_others_wait_begins_after_them():
    loop, entrance = asyncio.get_running_loop(), Entrance()
    begun: list[str] = []
    for _ in range(AT_ONCE):
        entrance.enter(lambda: begun.append("first"), loop)
    entrance.enter(lambda: begun.append("second"), loop)
    loop.call_soon(lambda: entrance.enter(lambda: begun.append("third"), loop))
    assert begun == ["first"] * AT_ONCE
    await asyncio.sleep(0)
    assert begun == [*["first"] * AT_ONCE, "second", "third"]


async def test_one_request_in_each_turn_never_waits():
    loop, entrance = asyncio.get_running_loop(), Entrance()
    begun: list[int] = []
    for number in range(3 * AT_ONCE):
        entrance.enter(partial(begun.append, number), loop)
        assert len(begun) == number + 1
        await asyncio.sleep(0)
