"""What operators look at and take back while the gateway runs."""

import asyncio
import math

import pytest

from freeroute.domain.catalogue import Key, Limit, Unit
from freeroute.domain.measuring import UNKNOWN
from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.rates import RateFact
from freeroute.domain.usage import Usage
from freeroute.engine.operations import Operations
from freeroute.engine.ports import Answer, Sent
from freeroute.errors import CapacityExhausted, NotFound, UpstreamFailed
from tests.support.virtual import LoopClock, run
from tests.support.world import PER_MINUTE, World, model, provider

ACCOUNT = "a/account:default/requests/minute"


def told(remaining: float, limit: float, seconds: float = 60.0) -> Sent:
    fact = RateFact(Unit.REQUESTS, seconds, limit, remaining)
    return Sent(Outcome(Kind.SERVED), Answer(b'{"choices":[]}', Usage(10, 20), "stop"), facts=(fact,))


def of(world: World) -> Operations:
    return Operations(world.gateway)


async def test_every_hold_says_what_it_is_on_why_since_when_and_until_when():
    world = World(provider("a", model("x"), keys=(Key("s", "k1", "team"),)))
    standing, now = world.gateway.standing, world.clock.now()
    places = {
        ("provider", "a"): (None, None, None),
        ("key", "a", "k1"): (None, "k1", None),
        ("account", "a", "team"): ("team", None, None),
        ("model", "a", "org/x"): (None, None, "org/x"),
        ("account-model", "a", "team", "org/x"): ("team", None, "org/x"),
        ("key-model", "a", "k1", "org/x"): (None, "k1", "org/x"),
    }
    for place in places:
        standing.hold(place, now.mono + 60, "why", since=now)
    held = {tuple(entry["id"].split("/", 2)): entry for entry in of(world).holds()}
    assert len(held) == len(places)
    for entry in held.values():
        place = next(place for place in places if "/".join(place) == entry["id"])
        assert (entry["account"], entry["key"], entry["model"]) == places[place]
        assert (entry["scope"], entry["provider"], entry["reason"]) == (place[0], "a", "why")
        assert (entry["since"], entry["until"]) == (now.wall, now.wall + 60)


async def test_a_refused_key_is_held_until_somebody_lifts_that_and_then_asked_again():
    world = World(provider("a"), a=[Kind.KEY_INVALID])
    await world.fails(UpstreamFailed)
    operations = of(world)
    [entry] = operations.holds("a")
    assert (entry["id"], entry["verdict"], entry["until"]) == ("key/a/k1", "key_invalid", None)
    operations.lift([operations.hold("key/a/k1")])
    assert operations.holds() == []
    await world.ask()
    assert len(world.upstream.asked) == 2


async def test_holds_of_one_provider_are_told_apart_from_all():
    world = World(provider("a"), provider("b"))
    for name, seconds in (("b", 5), ("a", math.inf)):
        world.gateway.standing.hold(("provider", name), world.clock.now().mono + seconds, "why")
    operations = of(world)
    assert [entry["provider"] for entry in operations.holds()] == ["b", "a"]
    operations.lift(operations.holds("a"))
    [left] = operations.holds()
    assert (left["provider"], left["since"]) == ("b", None)


def test_whoever_waits_goes_on_when_a_hold_is_lifted():
    async def scenario() -> None:
        world = World(provider("a"), clock=LoopClock(), max_wait=100)
        world.gateway.standing.hold(("provider", "a"), world.clock.now().mono + 90, "why", quota=True)
        waiting = asyncio.create_task(world.ask())
        await asyncio.sleep(1)
        operations = of(world)
        operations.lift(operations.holds())
        await waiting
        assert world.receipts.last.queued == pytest.approx(1, abs=0.1)

    run(scenario())


async def test_breakers_are_listed_provider_by_provider_and_closed_one_by_one():
    world = World(provider("b", model("y")), provider("a", model("x")), a=[Kind.UNREACHABLE])
    operations = of(world)
    assert [entry["id"] for entry in operations.breakers()] == ["a", "a/x#k1", "b", "b/y#k1"]
    assert {entry["state"] for entry in operations.breakers()} == {"closed"}
    await world.fails(UpstreamFailed, "a/x")
    whole, own = operations.breakers("a")
    assert (whole["state"], whole["openings"], whole["failures"]) == ("open", 1, None)
    assert whole["until"] > world.clock.now().wall
    assert (own["state"], own["failures"], own["suspect"], own["until"]) == ("closed", 1, True, None)
    operations.close([operations.breaker("a")])
    assert operations.breaker("a")["state"] == "closed"
    assert operations.breaker("a/x#k1")["suspect"] is True
    operations.close(operations.breakers())
    assert operations.breaker("a/x#k1")["suspect"] is False


async def test_an_open_candidate_says_until_when():
    world = World(provider("a", model("x")), a=[Kind.FAULT] * 3)
    for _ in range(3):
        await world.fails(UpstreamFailed, "a/x")
    own = of(world).breaker("a/x#k1")
    assert own["state"] == "open"
    assert own["until"] > world.clock.now().wall


async def test_a_limit_that_was_told_stands_beside_the_published_one_and_is_forgotten():
    world = World(provider("a", limits=(PER_MINUTE,)), a=[told(0, 1)])
    await world.ask()
    operations = of(world)
    [entry] = operations.limits()
    assert (entry["id"], entry["published"], entry["limit"], entry["used"]) == (ACCOUNT, 30, 1, 1)
    assert (entry["learned"], entry["source"], entry["confidence"]) == (True, "header", "configured")
    await world.fails(CapacityExhausted)
    operations.forget(operations.learned_of(ACCOUNT))
    [entry] = operations.limits("a")
    assert (entry["limit"], entry["used"], entry["learned"], entry["source"]) == (30, 1, False, "configured")
    assert operations.learned() == []
    await world.ask()


async def test_a_limit_that_only_answers_told_of_is_gone_once_it_is_forgotten():
    world = World(provider("a", model("x"), limits=(PER_MINUTE,)), a=[told(0, 50, 86_400.0)])
    await world.ask()
    operations = of(world)
    [day] = operations.learned("a")
    assert (day["model"], day["published"], day["confidence"], day["limit"]) == ("x", None, None, 50)
    await world.fails(CapacityExhausted)
    operations.forget(operations.learned_of("a/x"))
    assert [entry["label"] for entry in operations.limits()] == ["requests/minute"]
    await world.ask()
    assert world.counters.told_of() == {}


async def test_a_limit_that_nobody_knows_has_no_number():
    world = World(provider("a", limits=(UNKNOWN,)))
    [entry] = of(world).limits()
    assert (entry["published"], entry["limit"], entry["learned"]) == (None, None, False)


async def test_what_errors_taught_of_a_model_is_shown_and_forgotten():
    world = World(provider("a", model("x"), model("y")))
    standing, now = world.gateway.standing, world.clock.now()
    x, y = world.candidate("a/x#k1"), world.candidate("a/y#k1")
    standing.learn_context(x, 4096, now)
    standing.learn_refusal(x, "logprobs", now)
    standing.refuses(y, "prefill", until=now.mono + 60)
    world.clock.advance(5)
    operations = of(world)
    first, second = operations.lessons("a")
    assert (first["id"], first["context"], first["refuses"]) == ("a/x", 4096, ["logprobs"])
    assert (first["published"], first["age"]) == ({"context": 100_000}, 5)
    assert (second["spared"], second["age"]) == ({"prefill": now.wall + 60}, None)
    operations.forget(operations.learned_of("a/x"))
    assert [entry["id"] for entry in operations.lessons()] == ["a/y"]
    operations.forget(operations.learned())
    assert operations.learned() == []


async def test_a_model_is_forgotten_with_the_limits_that_are_its_own():
    own = Limit(Unit.REQUESTS, 5, 3600.0, span="hour", scope=UNKNOWN.scope)
    world = World(provider("a", model("x", limits=(own,)), limits=(PER_MINUTE,)))
    fact, minute = RateFact(Unit.REQUESTS, 3600.0, 4, 3), RateFact(Unit.REQUESTS, 60.0, 20, 19)
    served = Sent(Outcome(Kind.SERVED), Answer(b'{"choices":[]}', Usage(1, 1), "stop"), facts=(fact, minute))
    world.upstream.scripts["a"] = [served]
    await world.ask()
    operations = of(world)
    assert len(operations.learned()) == 2
    operations.forget(operations.learned_of("a/x"))
    assert [entry["id"] for entry in operations.learned()] == [ACCOUNT]


@pytest.mark.parametrize(
    ("verb", "name", "near"),
    [
        ("hold", "key/a/k2", "key/a/k1"),
        ("breaker", "a/y#k1", "a/x#k1"),
        ("learned_of", "a/xx", "a/x"),
        ("holds", "b", None),
        ("breakers", "aa", None),
        ("limits", "", None),
    ],
)
async def test_a_name_that_nothing_has_is_told_with_those_that_are_near(verb, name, near):
    world = World(provider("a", model("x")))
    world.gateway.standing.hold(("key", "a", "k1"), math.inf, "why")
    with pytest.raises(NotFound) as caught:
        getattr(of(world), verb)(name)
    assert repr(name) in caught.value.message
    assert (near or "") in caught.value.message
