"""What answers tell of the provider's counters decides where the next call goes."""

import asyncio

import msgspec

from freeroute.domain.catalogue import Unit
from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.rates import RateFact
from freeroute.domain.usage import Usage
from freeroute.engine.ports import Answer, Sent
from freeroute.errors import CapacityExhausted
from tests.support.virtual import LoopClock, run
from tests.support.world import PER_MINUTE, World, catalogue, provider, streamed, two

LIMIT = PER_MINUTE.amount


def told(remaining: float, limit: float = LIMIT, **more) -> RateFact:
    return RateFact(Unit.REQUESTS, PER_MINUTE.seconds, limit, remaining, **more)


def served(*facts: RateFact) -> Sent:
    return Sent(Outcome(Kind.SERVED), Answer(b'{"choices":[]}', Usage(10, 20), "stop"), facts=facts)


async def test_an_answer_that_says_nothing_is_left_sends_the_next_call_elsewhere():
    world = two(a=[served(told(0))])
    await world.ask("free-smart")
    await world.ask("free-smart")
    assert world.upstream.providers_asked == ["a", "b"]
    world.clock.advance(PER_MINUTE.seconds + 1)
    await world.ask("free-smart")
    assert world.upstream.providers_asked == ["a", "b", "a"]


async def test_the_head_of_a_stream_tells_as_well():
    stream = msgspec.structs.replace(streamed(), facts=(told(0),))
    world = two(a=[stream])
    await world.ask("free-smart", stream=True)
    await world.ask("free-smart")
    assert world.upstream.providers_asked == ["a", "b"]


async def test_a_failed_call_tells_as_well():
    world = two(a=[Sent(Outcome(Kind.EMPTY, 200), facts=(told(0),))])
    await world.ask("free-smart")
    world.gateway.standing.reset("a")
    await world.ask("free-smart")
    assert world.upstream.providers_asked == ["a", "b", "b"]


def test_a_limit_that_two_answers_tell_of_at_once_is_one_limit():
    async def scenario() -> None:
        day = RateFact(Unit.REQUESTS, 86_400.0, 50, 0)
        a = provider("a", limits=(PER_MINUTE,))
        world = World(a, clock=LoopClock(), seconds=0.1, a=[served(day), served(day)])
        await asyncio.gather(world.ask(), world.ask())
        [candidate] = world.gateway.catalogue.candidates
        assert [pool.limit.seconds for pool in candidate.pools] == [PER_MINUTE.seconds, 86_400.0]
        await world.fails(CapacityExhausted)

    run(scenario())


def test_whoever_waits_is_woken_by_capacity_that_an_answer_tells_of():
    async def scenario() -> None:
        clock = LoopClock()
        one = msgspec.structs.replace(PER_MINUTE, amount=1)
        world = World(
            provider("a", limits=(one,)),
            clock=clock,
            seconds=2.0,
            max_wait=100.0,
            a=[served(told(9, 10, reset_in=1.0))],
        )
        began = clock.now().mono
        await asyncio.gather(world.ask(), world.ask())
        assert clock.now().mono - began < 10

    run(scenario())


DAY = RateFact(Unit.TOKENS, 86_400.0, 1_000, 0, reset_in=600.0, source="body")


async def test_a_limit_that_only_answers_speak_of_is_obeyed_until_a_reload():
    world = two(a=[Sent(Outcome(Kind.RATE_LIMITED, 429, retry_after=1.0), facts=(DAY,))])
    await world.ask("free-smart")
    world.clock.advance(2)
    await world.ask("free-smart")
    assert world.upstream.providers_asked == ["a", "b", "b"]
    pools = {pool["label"]: pool for pool in world.gateway.status()["providers"][0]["pools"]}
    assert (pools["tokens/day"]["limit"], pools["tokens/day"]["source"]) == (1_000, "body")
    world.clock.advance(600)
    await world.ask("free-smart")
    assert world.upstream.providers_asked[-1] == "a"
    world.gateway.adopt(catalogue(*world.gateway.catalogue.providers.values()))
    assert "tokens/day" not in {p["label"] for p in world.gateway.status()["providers"][0]["pools"]}


async def test_a_limit_that_is_told_again_is_no_news():
    full = msgspec.structs.replace(DAY, remaining=None)
    world = two(a=[served(full), served(full)])
    await world.ask("free-smart")
    await world.ask("free-smart")
    assert [len(c.pools) for c in world.gateway.catalogue.candidates] == [2, 1]


async def test_a_limit_that_is_told_too_small_for_any_call_is_no_fault_of_the_request():
    tiny = RateFact(Unit.TOKENS, 60.0, 256, 256)
    world = World(provider("a", limits=(PER_MINUTE,)), a=[served(tiny)])
    await world.ask(prompt=1_000)
    refused = await world.fails(CapacityExhausted, prompt=1_000)
    assert refused.retry_after == 600
    world.clock.advance(600)
    await world.ask(prompt=1_000)
