"""Outages: what callers see while everything fails, and how soon what has recovered is used again."""

import asyncio

import pytest

from freeroute.domain.breaker import FIRST_REST, JITTER, State
from freeroute.domain.catalogue import Limit, Unit
from freeroute.domain.outcome import Kind
from freeroute.errors import ApiError, CapacityExhausted
from tests.support.virtual import LoopClock, run
from tests.support.world import World, provider

PER_TEN_SECONDS = Limit(Unit.REQUESTS, 10, 10.0, span="10s")
# How much later than its window a slot may be free.
GUARD = 0.5


class Failing(World):
    """Providers of which those in *down* break every connection."""

    def __init__(self, *names) -> None:
        super().__init__(*(provider(name, limits=(PER_TEN_SECONDS,)) for name in names), clock=LoopClock())
        for name in names:
            self.upstream.scripts[name] = []

    async def suffer(self, requests: int, gap: float) -> None:
        """Ask *requests* times while every provider is down, without waiting."""
        for _ in range(requests):
            for script in self.upstream.scripts.values():
                script[:] = [Kind.DISCONNECTED]
            await self.fails(ApiError)
            await asyncio.sleep(gap)
        for script in self.upstream.scripts.values():
            script.clear()


def now() -> float:
    return asyncio.get_running_loop().time()


def test_after_a_short_outage_everything_is_back_within_the_first_rest():
    async def scene():
        world = Failing("a", "b")
        await world.suffer(8, gap=0.4)
        for candidate in world.gateway.catalogue.candidates:
            breaker = world.gateway.standing.breaker(candidate)
            assert breaker.state(world.clock.now()) is State.OPEN
            assert breaker.opens_until - now() <= FIRST_REST * (1 + JITTER)

    run(scene())


def test_while_all_rest_the_least_bad_is_asked_and_closes_with_a_success():
    async def scene():
        world = Failing("a", "b")
        await world.suffer(4, gap=0.4)
        began = now()
        await world.ask()
        assert now() == began
        served = world.gateway.standing.breaker(world.candidate(world.upstream.asked[-1]))
        assert served.state(world.clock.now()) is State.CLOSED

    run(scene())


def test_a_caller_waits_for_the_quota_of_the_least_bad_when_all_rest():
    async def scene():
        world = Failing("a", "b")
        began = now()
        await world.suffer(10, gap=0.2)  # the quota of both is used up
        for candidate in world.gateway.catalogue.candidates:
            breaker = world.gateway.standing.breaker(candidate)
            breaker._until = now() + 300.0
        await world.ask(context=world.context(max_wait=30.0))
        assert now() - began == pytest.approx(10.0, abs=GUARD + 0.01)

    run(scene())


def test_when_all_rest_without_quota_the_refusal_says_when_it_is_back():
    async def scene():
        world = Failing("a", "b")
        began = now()
        await world.suffer(10, gap=0.2)
        error = await world.fails(CapacityExhausted, match="back in 8 s")
        assert now() + (error.retry_after or 0.0) == pytest.approx(began + 10.0, abs=GUARD + 0.01)

    run(scene())
