"""A counter store shared with others: it may refuse what was chosen, and take its time to say so."""

import asyncio

import pytest

from freeroute.domain.catalogue import Limit, Unit
from freeroute.domain.fitness import eligible
from freeroute.domain.leases import Denied
from freeroute.domain.needs import Tried
from freeroute.domain.outcome import Kind
from freeroute.engine.course import Course
from freeroute.engine.probes import Probes
from freeroute.errors import CapacityExhausted
from freeroute.stores.memory import MemoryCounters
from tests.support.virtual import LoopClock, run
from tests.support.world import World, call, catalogue, provider

ONE = Limit(Unit.REQUESTS, 1, 60.0, span="minute")


class Contested(MemoryCounters):
    """Refuses leases while *refuses* or until *opens* (loop time), and takes *pause* seconds to answer."""

    opens = 0.0
    pause = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.refuses = lambda: False

    async def acquire(self, charges, now):
        if self.pause:
            await asyncio.sleep(self.pause)
        if now.mono < self.opens or self.refuses():
            return Denied(now.mono, charges.pools[0])
        return await super().acquire(charges, now)


def world(*providers, max_wait=100.0, **given) -> World:
    return World(*providers, clock=LoopClock(), counters=Contested(), max_wait=max_wait, **given)


def now() -> float:
    return asyncio.get_running_loop().time()


def waiting(place: World, seconds: float):
    """Return a ticket for one more caller, not yet in the room."""
    gateway = place.gateway
    course_call, context = call(), place.context()
    need = gateway._need(course_call, _course(context), place.clock.now())
    fit, _ = eligible(need, gateway.standing, gateway.clock.now())
    return gateway.loop.room.ticket("q", 1.0, need, fit, Tried(), until=now() + seconds)


def _course(context):
    return Course(context=context, asked="free")


def test_what_a_rival_took_is_waited_for():
    async def scene():
        place = world(provider("a", limits=(ONE,)))
        place.counters.opens = now() + 7
        began = now()
        await place.ask()
        assert now() - began == pytest.approx(7, abs=0.1)

    run(scene())


def test_rivals_may_keep_it_to_the_end():
    async def scene():
        place = world(provider("a", limits=(ONE,)), max_wait=5)
        place.counters.opens = now() + 1000
        await place.fails(CapacityExhausted, match="others took")
        assert len(place.gateway.loop.room) == 0

    run(scene())


def test_what_comes_free_as_time_runs_out_is_the_last_resort():
    async def scene():
        place = world(provider("a", limits=(ONE,)), max_wait=5)
        place.counters.refuses = lambda: now() == 1_000.0 or len(place.gateway.loop.room) > 0
        await place.ask()
        assert place.upstream.asked == ["a/m#k1"]

    run(scene())


def leaving_as_told(room, ticket) -> asyncio.Task[object]:
    """Wait for the turn of *ticket* as a caller who leaves at the very moment it is told."""
    task: asyncio.Task[object] = asyncio.create_task(room.wait(ticket))
    ticket.turn.add_done_callback(lambda turn: task.cancel())
    return task


def test_a_turn_that_comes_as_its_caller_leaves_is_given_back():
    async def scene():
        place = world(provider("a", limits=(ONE,)))
        await place.ask()
        room = place.gateway.loop.room
        ticket = waiting(place, 100)
        leaving = leaving_as_told(room, ticket)
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert place.counters.in_flight() == 0
        await place.ask()

    run(scene())


def test_a_caller_that_leaves_as_it_is_told_that_it_waits_in_vain_has_left():
    async def scene():
        place = world(provider("a", limits=(ONE,)))
        await place.ask()
        room = place.gateway.loop.room
        ticket = waiting(place, 100)
        leaving = leaving_as_told(room, ticket)
        await asyncio.sleep(1)
        place.gateway.adopt(catalogue())
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert len(room) == 0

    run(scene())


def test_a_caller_that_leaves_while_the_store_is_asked_leaves_nothing_behind():
    async def scene():
        place = world(provider("a", limits=(ONE,)))
        await place.ask()
        place.counters.pause = 2.0
        task = asyncio.create_task(place.gateway.loop.room.wait(waiting(place, 100)))
        await asyncio.sleep(61)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(5)
        assert len(place.gateway.loop.room) == 0
        assert place.counters.in_flight() == 0

    run(scene())


def test_a_second_go_without_room_goes_elsewhere():
    async def scene():
        place = world(provider("a", limits=(ONE,)), provider("b"), a=[Kind.MISGENERATED])
        await place.ask("a/m", models=("b/m",))
        assert place.upstream.providers_asked == ["a", "b"]

    run(scene())


def test_a_probe_gives_way_to_a_rival():
    async def scene():
        place = world(provider("a", limits=(ONE,)))
        place.counters.opens = now() + 1000
        assert not await Probes(place.gateway).probe(place.candidate("a/m#k1"))
        assert place.upstream.asked == []

    run(scene())
