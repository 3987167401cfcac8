"""The waiting room: who waits, for how long, in whose turn, and that nobody and nothing is lost."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freeroute.domain.catalogue import Limit, Unit
from freeroute.domain.clients import Client
from freeroute.domain.outcome import Kind, Outcome
from freeroute.engine.attempts import Routing
from freeroute.engine.waiting import MOST_SETS
from freeroute.errors import CapacityExhausted, UpstreamFailed
from tests.support.virtual import LoopClock, run
from tests.support.world import World, model, provider

# A slot is free one window after a call was sent, and at most half a second of guard later.
WINDOW = 60.0
GUARD = 0.5


def per_minute(amount: int) -> Limit:
    return Limit(Unit.REQUESTS, amount, WINDOW, span="minute")


def world(*providers, max_wait=100.0, routing=None, **given) -> World:
    routing = routing or Routing(deadline=600, max_wait_cap=600)
    return World(*providers, clock=LoopClock(), max_wait=max_wait, routing=routing, **given)


def now() -> float:
    return asyncio.get_running_loop().time()


async def timed(gateway: World, **given) -> float:
    """Ask once; return how long it took."""
    began = now()
    await gateway.ask(context=gateway.context(**given))
    return now() - began


def test_a_caller_waits_until_its_slot_is_free_and_no_longer():
    async def scene():
        spent = world(provider("a", limits=(per_minute(1),)))
        await spent.ask()
        served = await spent.ask()
        queued = float(served.headers["x-freeroute-queue-ms"]) / 1000
        assert WINDOW <= queued <= WINDOW + GUARD
        assert spent.receipts.last.queued == pytest.approx(queued, abs=0.001)
        assert spent.receipts.last.overhead == pytest.approx(0, abs=0.001)

    run(scene())


@pytest.mark.parametrize("max_wait", [0.0, 30.0])
def test_a_turn_that_comes_too_late_is_refused_at_once_with_when(max_wait):
    async def scene():
        spent = world(provider("a", limits=(per_minute(1),)))
        await spent.ask()
        began = now()
        error = await spent.fails(CapacityExhausted, context=spent.context(max_wait=max_wait))
        assert now() == began
        assert 60 <= (error.retry_after or 0) <= 61

    run(scene())


def test_those_who_wait_already_are_reckoned_with():
    async def scene():
        spent = world(provider("a", limits=(per_minute(2),)), max_wait=110)
        await asyncio.gather(*(spent.ask() for _ in range(2)))
        waiting = [asyncio.create_task(spent.ask()) for _ in range(2)]
        await asyncio.sleep(1)
        error = await spent.fails(CapacityExhausted)
        assert 118 <= (error.retry_after or 0) <= 121
        await asyncio.gather(*waiting)

    run(scene())


def test_the_cap_bounds_what_a_caller_may_ask_for():
    async def scene():
        spent = world(provider("a", limits=(per_minute(1),)), routing=Routing(max_wait_cap=10))
        await spent.ask()
        await spent.fails(CapacityExhausted, context=spent.context(max_wait=1000.0))

    run(scene())


def test_strict_never_waits():
    async def scene():
        spent = world(provider("a", limits=(per_minute(1),)))
        await spent.ask()
        began = now()
        await spent.fails(CapacityExhausted, context=spent.context(strict=True))
        assert now() == began

    run(scene())


def test_one_caller_s_many_do_not_delay_another_s_one():
    async def scene():
        spent = world(provider("a", limits=(per_minute(5),)), max_wait=200)
        await asyncio.gather(*(spent.ask() for _ in range(5)))
        crowd = [asyncio.create_task(timed(spent, queue="crowd")) for _ in range(8)]
        await asyncio.sleep(1)
        small = asyncio.create_task(timed(spent, queue="small"))
        assert await small <= WINDOW + GUARD
        assert sum(task.done() for task in crowd) <= 5
        assert len(await asyncio.gather(*crowd)) == 8

    run(scene())


def test_a_slot_that_frees_as_a_wait_ends_is_whose_turn_it_is():
    async def scene():
        spent = world(provider("a", limits=(per_minute(1),)))
        await spent.ask()
        crowd = [
            asyncio.create_task(spent.ask(context=spent.context(queue="crowd", max_wait=WINDOW)))
            for _ in range(2)
        ]
        await asyncio.sleep(1)
        assert await timed(spent, queue="small", max_wait=WINDOW) == pytest.approx(WINDOW - 1, abs=0.01)
        ends = await asyncio.gather(*crowd, return_exceptions=True)
        assert [type(end) for end in ends] == [CapacityExhausted, CapacityExhausted]

    run(scene())


def test_many_may_wait_for_as_many_different_places():
    async def scene():
        names = [f"p{number}" for number in range(MOST_SETS + 1)]
        spent = world(*(provider(name, limits=(per_minute(1),)) for name in names))
        await asyncio.gather(*(spent.ask(f"{name}/m") for name in names))
        await asyncio.gather(*(spent.ask(f"{name}/m") for name in names))
        assert sorted(spent.upstream.providers_asked) == sorted(2 * names)

    run(scene())


def test_turns_follow_weights():
    async def scene():
        spent = world(provider("a", limits=(per_minute(4),)), max_wait=200)
        heavy = Client("heavy", b"h", weight=3.0)
        light = Client("light", b"l", weight=1.0)
        await asyncio.gather(*(spent.ask() for _ in range(4)))
        first: list[str] = []

        async def ask(client):
            await timed(spent, queue=client.name, client=client)
            first.append(client.name)

        tasks = [asyncio.create_task(ask(client)) for _ in range(3) for client in (light, heavy)]
        await asyncio.gather(*tasks)
        assert sorted(first[:4]) == ["heavy", "heavy", "heavy", "light"]

    run(scene())


def test_a_slot_that_frees_before_its_time_wakes_whoever_waits():
    async def scene():
        one = Limit(Unit.CONCURRENCY, 1)
        busy = world(provider("a", limits=(one,)), seconds=7)
        long = asyncio.create_task(busy.ask())
        await asyncio.sleep(0)
        assert await timed(busy) == pytest.approx(14, abs=0.01)
        await long

    run(scene())


def test_a_429_is_waited_out_where_nothing_else_can_serve():
    async def scene():
        alone = world(provider("a"), a=[Outcome(Kind.RATE_LIMITED, 429, retry_after=5)])
        assert await timed(alone) == pytest.approx(5, abs=0.01)
        assert alone.upstream.asked == ["a/m#k1", "a/m#k1"]

    run(scene())


def test_quota_that_is_back_soon_is_worth_more_than_a_candidate_in_doubt():
    async def scene():
        both = world(provider("a", limits=(per_minute(1),)), provider("b"), b=[Kind.UNREACHABLE])
        await both.ask("a/m")
        await both.ask()  # b is unreachable, so a's quota is waited for
        assert both.upstream.providers_asked == ["a", "b", "a"]

    run(scene())


def test_when_the_time_is_over_the_least_bad_is_the_last_resort():
    async def scene():
        both = world(provider("a", limits=(per_minute(1),)), provider("b"), b=[Kind.FAULT] * 3, max_wait=0)
        for _ in range(3):
            await both.fails(UpstreamFailed, "b/m")
        await both.ask("a/m")
        await both.ask()
        assert both.upstream.providers_asked[-1] == "b"

    run(scene())


def test_a_full_room_lets_nobody_in():
    async def scene():
        routing = Routing(waiting_room=2)
        spent = world(provider("a", limits=(per_minute(1),)), routing=routing, max_wait=200)
        await spent.ask()
        waiting = [asyncio.create_task(spent.ask()) for _ in range(2)]
        await asyncio.sleep(0)
        error = await spent.fails(CapacityExhausted)
        assert error.retry_after is not None
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    run(scene())


def test_an_empty_room_is_served_by_nobody():
    async def scene():
        spent = world(provider("a", limits=(per_minute(1),)))
        await spent.ask()
        before = asyncio.all_tasks()
        leaver = asyncio.create_task(spent.ask())
        await asyncio.sleep(1)
        began = now()
        leaver.cancel()
        await asyncio.gather(leaver, return_exceptions=True)
        for _ in range(5):
            await asyncio.sleep(0)
        assert (asyncio.all_tasks(), now()) == (before, began)

    run(scene())


def test_whoever_leaves_is_gone_at_once_and_its_turn_is_another_s():
    async def scene():
        spent = world(provider("a", limits=(per_minute(1),)), max_wait=200)
        await spent.ask()
        leaver = asyncio.create_task(spent.ask())
        await asyncio.sleep(1)
        stayer = asyncio.create_task(timed(spent))
        await asyncio.sleep(1)
        leaver.cancel()
        await asyncio.gather(leaver, return_exceptions=True)
        assert len(spent.gateway.loop.room) == 1
        assert await stayer <= WINDOW + GUARD
        assert len(spent.gateway.loop.room) == 0
        assert spent.counters.in_flight() == 0

    run(scene())


def test_a_fault_of_ours_ends_every_wait():
    async def scene():
        spent = world(provider("a", limits=(per_minute(1),)), max_wait=200)
        await spent.ask()
        waiting = [asyncio.create_task(spent.ask()) for _ in range(3)]
        await asyncio.sleep(1)
        spent.gateway.standing.room = None  # type: ignore[assignment]
        spent.gateway.loop.room.stir()
        ended = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(end, AttributeError) for end in ended)
        assert len(spent.gateway.loop.room) == 0

    run(scene())


@settings(max_examples=60, deadline=None)
@given(
    arrivals=st.lists(
        st.tuples(
            st.floats(0, 90),  # when it comes
            st.sampled_from(["x", "y", "z"]),  # whose it is
            st.sampled_from([0.0, 5.0, 40.0, 100.0]),  # how long it waits
            st.one_of(st.none(), st.floats(0, 60)),  # when it gives up by itself
        ),
        max_size=25,
    ),
    limits=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    seconds=st.sampled_from([0.0, 0.3, 20.0]),
)
def test_no_ceiling_is_passed_nobody_is_forgotten_and_nothing_stays_behind(arrivals, limits, seconds):
    async def scene():
        places = [provider(f"p{i}", model(f"m{i}"), limits=(per_minute(n),)) for i, n in enumerate(limits)]
        busy = world(*places, seconds=seconds)
        sent: dict[str, list[float]] = {}
        plain = busy.upstream.send

        async def noting(call, candidate, terms):
            sent.setdefault(candidate.provider.id, []).append(now())
            return await plain(call, candidate, terms)

        busy.upstream.send = noting  # type: ignore[method-assign]

        async def caller(at, queue, patience, leaves):
            await asyncio.sleep(at)
            began = now()
            try:
                async with asyncio.timeout(leaves):
                    await busy.ask(context=busy.context(queue=queue, max_wait=patience))
            except TimeoutError:
                return
            except CapacityExhausted:
                took = now() - began
            else:
                took = now() - began - seconds
            assert took <= patience + 0.01

        async with asyncio.TaskGroup() as callers:
            for arrival in arrivals:
                callers.create_task(caller(*arrival))
        for name, times in sent.items():
            ceiling = limits[int(name[1:])]
            for start in times:
                assert sum(start <= other < start + WINDOW for other in times) <= ceiling
        assert len(busy.gateway.loop.room) == 0
        assert busy.counters.in_flight() == 0
        assert busy.gateway.in_flight == 0

    run(scene())


def test_a_fault_of_ours_leaves_alone_whoever_leaves_that_moment():
    async def scene():
        spent = world(provider("a", limits=(per_minute(1),)), max_wait=200)
        await spent.ask()
        leaver, stayer = (asyncio.create_task(spent.ask()) for _ in range(2))
        await asyncio.sleep(1)
        spent.gateway.standing.room = None  # type: ignore[assignment]
        spent.gateway.loop.room.stir()
        leaver.cancel()
        ended = await asyncio.gather(leaver, stayer, return_exceptions=True)
        assert [type(end) for end in ended] == [asyncio.CancelledError, AttributeError]
        assert len(spent.gateway.loop.room) == 0

    run(scene())
