"""The feed: one look for all who watch, none while nobody does, and nothing kept for who does not read."""

import asyncio

import msgspec
import pytest
from structlog.testing import capture_logs

from freeroute.engine import feed as module
from freeroute.engine.feed import EVERY, MOST, SILENCE, Feed
from freeroute.engine.live import merged
from freeroute.errors import NotFound, Unavailable
from tests.engine.test_reports import client
from tests.support.virtual import LoopClock, run
from tests.support.world import World, provider


class Counted:
    """A gateway that counts how often it is looked at."""

    def __init__(self, world) -> None:
        self.world = world
        self.looks = 0
        self.fails = False

    def view(self):
        self.looks += 1
        if self.fails:
            raise RuntimeError("cannot be looked at")
        return self.world.gateway.view()


class Slow:
    """A stopwatch for work of which each step takes so many seconds."""

    def __init__(self, step: float) -> None:
        self.step = step
        self.now = 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def watched(*providers, step=0.0):
    gateway = Counted(World(*(providers or (provider("a"), provider("b"))), clock=LoopClock()))
    return gateway, Feed(gateway, Slow(step))


def read(event: bytes):
    """Return the name and the data of one event."""
    name, data = event.decode().strip().split("\n")
    return name.removeprefix("event: "), msgspec.json.decode(data.removeprefix("data: "))


async def test_nobody_is_looked_at_while_nobody_watches():
    gateway, feed = watched()
    await asyncio.sleep(0)
    assert gateway.looks == 0
    assert feed.provider("a", None)["id"] == "a"
    with pytest.raises(NotFound):
        feed.provider("x", None)


def test_a_watcher_is_told_the_whole_at_once_then_what_changes():
    async def follow():
        gateway, feed = watched()
        watcher = feed.watch(None)
        name, known = read(await watcher.next())
        assert name == "status"
        assert [one["id"] for one in known["providers"]] == ["a", "b"]
        await gateway.world.ask("b/m")
        began = asyncio.get_running_loop().time()
        name, told = read(await watcher.next())
        assert asyncio.get_running_loop().time() - began <= EVERY
        assert name == "change"
        assert [one["id"] for one in told["providers"]] == ["b"]
        known = merged(known, told, 55)
        assert known["providers"][1]["served"] == known["totals"]["served"] == 1

    run(follow())


def test_after_a_silence_the_time_is_told_so_that_a_dead_connection_shows():
    async def follow():
        _, feed = watched()
        watcher = feed.watch(None)
        _, known = read(await watcher.next())
        name, told = read(await watcher.next())
        assert (name, list(told)) == ("change", ["now"])
        assert SILENCE <= told["now"] - known["now"] <= SILENCE + 2 * EVERY

    run(follow())


def test_all_who_watch_share_one_look_and_the_same_bytes():
    async def follow():
        gateway, feed = watched()
        first = [feed.watch(None) for _ in range(3 * module.WOKEN)]
        told = await asyncio.gather(*(one.next() for one in first))
        assert len({id(one) for one in told}) == 1
        alone, gateway.looks = gateway.looks, 0
        await gateway.world.ask()
        told = await asyncio.gather(*(one.next() for one in first))
        assert len({id(one) for one in told}) == 1
        assert gateway.looks <= alone + 10

    run(follow())


def test_whoever_comes_later_is_told_what_was_just_seen():
    async def follow():
        gateway, feed = watched()
        first = feed.watch(None)
        await first.next()
        looks = gateway.looks
        assert read(await feed.watch(None).next())[0] == "status"
        assert gateway.looks == looks
        assert read(await feed.watch(client()).next())[1]["clients"][0]["name"] == "alice"

    run(follow())


def test_whoever_does_not_read_is_told_the_newest_and_nothing_is_kept_for_it():
    async def follow():
        gateway, feed = watched()
        slow, quick = feed.watch(None), feed.watch(None)
        await slow.next()
        await quick.next()
        for _ in range(3):
            await gateway.world.ask()
            await quick.next()
        name, told = read(await slow.next())
        assert (name, told["totals"]["requests"]) == ("status", 3)

    run(follow())


def test_looking_ends_with_the_last_who_watches_and_begins_anew():
    async def follow():
        gateway, feed = watched()
        first, second = feed.watch(None), feed.watch(client())
        await first.next()
        first.leave()
        await second.next()
        second.leave()
        looks = gateway.looks
        await asyncio.sleep(60)
        assert gateway.looks == looks
        assert read(await feed.watch(None).next())[0] == "status"
        assert gateway.looks > looks

    run(follow())


def test_who_comes_and_goes_does_not_make_it_look_more_often():
    async def follow():
        gateway, feed = watched()
        for _ in range(10):
            watcher = feed.watch(None)
            await watcher.next()
            watcher.leave()
        assert gateway.looks < 60

    run(follow())


def test_a_look_that_takes_long_is_followed_by_a_longer_pause():
    async def follow():
        _, feed = watched(step=0.1)
        watcher = feed.watch(None)
        _, known = read(await watcher.next())
        for _ in range(2):
            _, told = read(await watcher.next())
            assert told["now"] - known["now"] >= 20
            known = told

    run(follow())


def test_there_is_an_end_to_how_many_watch():
    async def follow():
        _, feed = watched()
        watchers = [feed.watch(None) for _ in range(MOST)]
        with pytest.raises(Unavailable, match="watch already"):
            feed.watch(client())
        watchers[0].leave()
        feed.watch(client())
        feed.close()

    run(follow())


def test_at_the_end_all_who_watch_are_sent_home():
    async def follow():
        _, feed = watched()
        watchers = [feed.watch(None), feed.watch(client())]
        waiting = [asyncio.create_task(one.next()) for one in watchers]
        await asyncio.sleep(0.5)
        assert all([await one for one in waiting])
        waiting = [asyncio.create_task(one.next()) for one in watchers]
        await asyncio.sleep(0)
        feed.close()
        assert [await one for one in waiting] == [None, None]
        for one in watchers:
            one.leave()
        with pytest.raises(Unavailable, match="stopping"):
            feed.watch(None)

    run(follow())


def test_a_watcher_that_leaves_while_it_waits_is_forgotten():
    async def follow():
        gateway, feed = watched()
        staying, leaving = feed.watch(None), feed.watch(None)
        await staying.next()
        await leaving.next()
        waiting = asyncio.create_task(leaving.next())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        leaving.leave()
        await gateway.world.ask()
        assert read(await staying.next())[0] == "change"

    run(follow())


def test_a_watcher_may_leave_while_others_before_it_are_being_told():
    async def follow():
        gateway, feed = watched()
        crowd = [feed.watch(None) for _ in range(5 * module.WOKEN)]
        await asyncio.gather(*(one.next() for one in crowd))
        waiting = [asyncio.create_task(one.next()) for one in crowd]
        await gateway.world.ask()
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert {one.cancelled() for one in waiting} == {True, False}
        await gateway.world.ask()
        assert await crowd[0].next() is not None

    run(follow())


def test_a_fault_ends_the_watching_and_is_logged_once():
    async def follow():
        gateway, feed = watched()
        watcher = feed.watch(None)
        await watcher.next()
        gateway.fails = True
        with capture_logs() as logs:
            assert await watcher.next() is None
        assert [one["event"] for one in logs] == ["watching failed"]
        watcher.leave()
        gateway.fails = False
        assert read(await feed.watch(None).next())[0] == "status"

    run(follow())


def test_a_catalogue_that_was_replaced_is_looked_at_anew():
    async def follow():
        gateway, feed = watched()
        watcher = feed.watch(None)
        _, known = read(await watcher.next())
        other = World(provider("b"), provider("c")).gateway.catalogue
        gateway.world.gateway.adopt(other)
        known = merged(known, read(await watcher.next())[1], 55)
        assert [one["id"] for one in known["providers"]] == ["b", "c"]

    run(follow())
