"""Several keys of one provider: what a bad one costs, and who is asked."""

import asyncio

import pytest

from freeroute.domain.catalogue import Key, Limit, Unit
from freeroute.domain.outcome import Kind, Outcome
from freeroute.engine.attempts import Routing
from freeroute.engine.ports import Sent
from tests.support.virtual import LoopClock, run
from tests.support.world import Scripted, World, provider

PER_MINUTE = Limit(Unit.REQUESTS, 30, 60.0, span="minute")
REFUSED = Outcome(Kind.KEY_INVALID, 401)
SPENT = Outcome(Kind.NO_CREDIT, 402)


class ByKey(Scripted):
    """An upstream whose keys always end the same way, by label; others serve."""

    def __init__(self, clock, seconds, endings) -> None:
        super().__init__(clock, seconds)
        self.endings = endings

    async def send(self, call, candidate, terms):
        if candidate.key.label in self.endings:
            await self._clock.spend(self._seconds)
            self.asked.append(candidate.id)
            return Sent(self.endings[candidate.key.label])
        return await super().send(call, candidate, terms)


def keys(*labels: str) -> tuple[Key, ...]:
    return tuple(Key(f"secret-{label}", label, label) for label in labels)


def world(*providers, max_wait=100.0, seconds=0.3, endings=None, **given) -> World:
    found = World(*providers, clock=LoopClock(), max_wait=max_wait, **given)
    found.upstream = ByKey(found.clock, seconds, endings or {})
    found.gateway.loop.upstreams = {"openai": found.upstream}
    return found


def test_a_burst_on_a_cold_gateway_costs_a_bad_key_one_call():
    async def scene():
        limit = Limit(Unit.REQUESTS, 40, 60.0, span="minute")
        three = provider("a", keys=keys("good", "invalid", "spent"), limits=(limit,))
        cold = world(three, endings={"invalid": REFUSED, "spent": SPENT}, routing=Routing(deadline=600))
        await asyncio.gather(*(cold.ask() for _ in range(70)))
        asked = cold.upstream.asked
        assert asked.count("a/m#invalid") == asked.count("a/m#spent") == 1
        assert asked.count("a/m#good") == 70

    run(scene())


def test_a_burst_on_fresh_providers_is_answered_as_soon_as_each_has_answered_once():
    async def scene():
        four = [provider(f"p{i}", limits=(PER_MINUTE,)) for i in range(4)]
        fresh = world(*four)
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*(fresh.ask() for _ in range(70)))
        assert asyncio.get_running_loop().time() - began < 0.7

    run(scene())


def test_who_may_not_wait_is_served_by_a_key_that_is_not_proven_yet():
    async def scene():
        fresh = world(provider("a"), max_wait=0.0)
        await asyncio.gather(*(fresh.ask(context=fresh.context(strict=i % 2 == 0)) for i in range(6)))
        assert len(fresh.upstream.asked) == 6

    run(scene())


def test_a_slow_first_answer_does_not_keep_others_waiting_for_its_end():
    async def scene():
        fresh = world(provider("a"), seconds=15.0)
        began = asyncio.get_running_loop().time()
        await asyncio.gather(fresh.ask(), fresh.ask())
        assert asyncio.get_running_loop().time() - began < 19

    run(scene())


def test_a_first_caller_that_leaves_lets_the_next_one_try():
    async def scene():
        fresh = world(provider("a"), seconds=2.0)
        leaver = asyncio.create_task(fresh.ask())
        await asyncio.sleep(0.5)
        stayer = asyncio.create_task(fresh.ask())
        await asyncio.sleep(0.5)
        leaver.cancel()
        await stayer
        assert asyncio.get_running_loop().time() < 1003.1

    run(scene())


def test_a_walk_over_twenty_bad_keys_still_reaches_the_good_provider():
    async def scene():
        labels = tuple(f"bad{i}" for i in range(20))
        many = world(
            provider("a", keys=keys(*labels)),
            provider("b"),
            seconds=0.0,
            endings=dict.fromkeys(labels, REFUSED),
            routing=Routing(max_attempts=2),
        )
        await many.ask("a/m", models=("b/m",))
        assert many.upstream.providers_asked == ["a"] * 20 + ["b"]

    run(scene())


@pytest.mark.parametrize("name", ["free", "free-fast", "free-smart"])
async def test_keys_of_several_accounts_are_used_by_what_each_has_left(name):
    limit = Limit(Unit.REQUESTS, 100, 3600.0, span="hour")
    both = World(provider("a", keys=keys("x", "y"), limits=(limit,)), seconds=1.0)
    for _ in range(3):
        await both.ask("a/m")
    both.upstream.asked.clear()
    for _ in range(20):
        await both.ask(name, context=both.context(dice=0.5))
    left = both.upstream.asked
    assert abs(left.count("a/m#x") - left.count("a/m#y")) <= 1


async def test_a_429_of_one_key_makes_no_other_key_slower():
    both = World(provider("a", keys=keys("x", "y")), a=[Outcome(Kind.RATE_LIMITED, 429, retry_after=1)])
    await both.ask("free-fast")
    now = both.clock.advance(2)
    x, y = (both.gateway.standing.expected(both.candidate(f"a/m#{key}"), 0, now) for key in "xy")
    assert x > y + 9
