"""The end of a hold: one call finds out whether the quota is back before those who waited follow it."""

import asyncio
from collections import Counter

import pytest

from freeroute.domain.catalogue import Limit, Unit
from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.returning import ALONE
from freeroute.errors import CapacityExhausted
from tests.support.virtual import LoopClock, run
from tests.support.world import Scripted, World, provider

PER_MINUTE = Limit(Unit.REQUESTS, 300, 60.0, span="minute")
ANSWER = 0.1
CALLERS = 15


class Dated(Scripted):
    """An upstream that notes when each call comes, and takes *seconds* for it."""

    def __init__(self, clock, seconds: float) -> None:
        super().__init__(clock, seconds)
        self.at: list[float] = []

    async def send(self, call, candidate, terms):
        self.at.append(now())
        return await super().send(call, candidate, terms)


def now() -> float:
    return asyncio.get_running_loop().time()


async def refusing(refusals: int, refusal: Outcome, seconds: float = ANSWER) -> tuple[World, Dated]:
    """Return a world whose key is proven and whose provider refuses the next *refusals* calls."""
    world = World(provider("a", limits=(PER_MINUTE,)), clock=LoopClock(), max_wait=25.0)
    upstream = world.upstream = Dated(world.clock, ANSWER)
    world.gateway.loop.upstreams = {"openai": upstream}
    await world.ask()
    upstream.at.clear()
    upstream._seconds = seconds
    upstream.scripts["a"] = [refusal] * refusals
    return world, upstream


@pytest.mark.parametrize(
    "refusal",
    [
        Outcome(Kind.RATE_LIMITED, status=429, retry_after=3.0),
        Outcome(Kind.NO_CAPACITY, status=503, retry_after=6.0),
        Outcome(Kind.LOADING, status=503, retry_after=3.0),
    ],
)
def test_a_provider_that_goes_on_refusing_costs_one_call_a_hold_not_one_a_caller(refusal):
    async def scene():
        world, upstream = await refusing(10_000, refusal)
        began = now()
        ends = await asyncio.gather(*(world.ask() for _ in range(CALLERS)), return_exceptions=True)
        waits = [end.retry_after or 0 for end in ends if isinstance(end, CapacityExhausted)]
        assert len(waits) == CALLERS
        assert all(0 < wait <= (refusal.retry_after or 0) for wait in waits)
        at = Counter(round(moment - began, 3) for moment in upstream.at)
        assert at.pop(0.0) == CALLERS  # nobody knew
        assert set(at.values()) == {1}
        assert len(at) <= 25.0 / (refusal.retry_after or 0)

    run(scene())


def test_those_who_wait_for_a_provider_that_rests_go_one_by_one_too():
    async def scene():
        overloaded = Outcome(Kind.FAULT, status=503, retry_after=3.0)
        world, upstream = await refusing(10_000, overloaded)
        began = now()
        callers = []
        for _ in range(CALLERS):
            callers.append(asyncio.create_task(world.ask()))
            await asyncio.sleep(0.2)  # the first one's failure lays a hold for which the others wait
        await asyncio.gather(*callers, return_exceptions=True)
        at = Counter(round(moment - began, 3) for moment in upstream.at)
        assert len(at) > 3  # the breaker is open by then
        assert set(at.values()) == {1}

    run(scene())


def test_who_cannot_wait_for_the_first_call_is_told_when_it_is_known():
    async def scene():
        refusal = Outcome(Kind.RATE_LIMITED, status=429, retry_after=3.0)
        world, upstream = await refusing(1, refusal)
        waiting = asyncio.create_task(world.ask())
        await asyncio.sleep(2 * ANSWER)
        upstream._seconds = 2.0
        await asyncio.sleep(3.0)
        error = await world.fails(CapacityExhausted, context=world.context(max_wait=0.0))
        assert error.retry_after == pytest.approx(ALONE - ANSWER, abs=0.01)
        await waiting

    run(scene())


def test_when_the_quota_is_back_all_who_waited_follow_the_first_at_once():
    async def scene():
        refusal = Outcome(Kind.RATE_LIMITED, status=429, retry_after=3.0)
        world, upstream = await refusing(CALLERS, refusal)
        began = now()
        await asyncio.gather(*(world.ask() for _ in range(CALLERS)))
        at = Counter(round(moment - began, 3) for moment in upstream.at)
        assert sorted(at.values()) == [1, CALLERS - 1, CALLERS]
        assert now() - began == pytest.approx(3.0 + 3 * ANSWER, abs=0.01)

    run(scene())


def test_others_do_not_wait_for_the_end_of_a_long_first_answer():
    async def scene():
        refusal = Outcome(Kind.RATE_LIMITED, status=429, retry_after=3.0)
        world, upstream = await refusing(1, refusal, seconds=20.0)
        upstream._seconds = ANSWER
        first = asyncio.create_task(world.ask())
        await asyncio.sleep(1.0)
        upstream._seconds = 20.0
        began = now()
        await asyncio.gather(first, *(world.ask() for _ in range(3)))
        assert [round(moment - began, 1) for moment in upstream.at[1:]] == [2.1, *[2.1 + ALONE] * 3]

    run(scene())


def test_the_next_goes_at_once_when_the_caller_of_the_first_leaves():
    async def scene():
        refusal = Outcome(Kind.RATE_LIMITED, status=429, retry_after=3.0)
        world, upstream = await refusing(2, refusal)
        began = now()
        waiting = [asyncio.create_task(world.ask()) for _ in range(2)]
        await asyncio.sleep(1.0)
        upstream._seconds = 2.0
        await asyncio.sleep(2.6)
        waiting[0].cancel()
        await asyncio.wait(waiting)
        assert waiting[0].cancelled()
        assert [round(moment - began, 2) for moment in upstream.at[2:]] == [3.1, 3.6]

    run(scene())
