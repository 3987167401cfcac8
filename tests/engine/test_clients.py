"""What a client may do, how much of it, and what it is told of that."""

import pytest

from freeroute.domain.catalogue import Limit, Privacy, Unit
from freeroute.domain.clients import Client, hash_key
from freeroute.domain.outcome import Kind, Outcome
from freeroute.errors import ContextTooLong, Forbidden, InvalidRequest, RateLimited
from freeroute.wire.chat import Preferences
from tests.support.world import World, model, provider, streamed


def client(**given) -> Client:
    return Client(name="alice", key_hash=hash_key("k"), **given)


async def test_a_client_s_privacy_floor_and_data_collection_do_the_same():
    world = World(provider("a", model(quality=90)), provider("b", privacy=Privacy.NO_TRAIN))
    await world.ask("free-smart", context=world.context(client=client(no_train=True)))
    await world.ask("free-smart", preferences=Preferences(data_collection="deny"))
    assert world.upstream.providers_asked == ["b", "b"]


async def test_a_client_is_held_to_its_list():
    world = World(provider("a"))
    with pytest.raises(Forbidden, match="alice may not use model 'free'"):
        await world.ask(context=world.context(client=client(models=("a/*",))))
    await world.ask("a/m", context=world.context(client=client(models=("a/*",))))


async def test_a_client_s_limit_is_enforced_and_told():
    limit = Limit(Unit.REQUESTS, 2, 60.0, span="minute")
    world = World(provider("a"))
    alice = client(limits=(limit,))
    served = await world.ask(context=world.context(client=alice))
    assert served.headers["x-ratelimit-limit-requests"] == "2"
    assert served.headers["x-ratelimit-remaining-requests"] == "1"
    await world.ask(context=world.context(client=alice))
    with pytest.raises(RateLimited, match="alice") as caught:
        await world.ask(context=world.context(client=alice))
    assert caught.value.code == "rate_limit_exceeded"
    assert (caught.value.retry_after or 0) > 55
    assert len(world.upstream.asked) == 2


async def test_a_client_s_tokens_are_settled_to_real_use():
    limit = Limit(Unit.TOKENS, 1000, 86400.0, span="day")
    world = World(provider("a"))
    alice = client(limits=(limit,))
    await world.ask(prompt=900, context=world.context(client=alice))
    [reading] = world.counters.readings(alice.pools, world.clock.now())
    assert reading.used == 30


async def test_a_stream_of_unknown_usage_stays_as_a_client_was_charged():
    limit = Limit(Unit.TOKENS, 1000, 86400.0, span="day")
    world = World(provider("a"), a=[streamed([b"x"], usage=None)])
    alice = client(limits=(limit,))
    await world.ask(prompt=900, stream=True, context=world.context(client=alice))
    [reading] = world.counters.readings(alice.pools, world.clock.now())
    assert reading.used == 900


async def test_a_request_larger_than_a_client_s_whole_limit_is_not_worth_repeating():
    limit = Limit(Unit.TOKENS, 20, 86400.0, span="day")
    world = World(provider("a"))
    error = await world.fails(
        ContextTooLong, prompt=900, context=world.context(client=client(limits=(limit,)))
    )
    assert error.retry_after is None
    assert "client alice: larger than its whole limit of 20 tokens/day" in error.message


async def test_a_refused_request_gives_the_client_its_tokens_back():
    limit = Limit(Unit.TOKENS, 1000, 86400.0, span="day")
    world = World(provider("a"), a=[Outcome(Kind.REJECTED, 400, request_error="no")])
    alice = client(limits=(limit,))
    with pytest.raises(InvalidRequest):
        await world.ask(prompt=900, context=world.context(client=alice))
    [reading] = world.counters.readings(alice.pools, world.clock.now())
    assert reading.used == 0
    assert world.counters.in_flight() == 0


async def test_a_client_without_limits_is_told_none():
    world = World(provider("a"))
    served = await world.ask(context=world.context(client=client()))
    assert not any(name.startswith("x-ratelimit") for name in served.headers)


async def test_a_client_without_a_limit_of_a_unit_gets_no_header_for_it():
    slots = Limit(Unit.CONCURRENCY, 2)
    per_hour, per_day = Limit(Unit.REQUESTS, 50, 3600.0), Limit(Unit.REQUESTS, 9, 86400.0)
    world = World(provider("a"))
    served = await world.ask(context=world.context(client=client(limits=(slots, per_hour, per_day))))
    told = {name: value for name, value in served.headers.items() if name.startswith("x-ratelimit")}
    assert told["x-ratelimit-limit-requests"] == "9"
    assert "x-ratelimit-limit-tokens" not in told
