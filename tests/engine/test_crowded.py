"""Where as many calls as we make at a time are under way: nobody's fault, and a turn to wait for."""

import pytest

from freeroute.domain.outcome import Kind, Outcome
from freeroute.engine.attempts import Routing
from freeroute.engine.ports import SOON
from freeroute.errors import CapacityExhausted, Unavailable, UpstreamFailed
from tests.support.world import PER_MINUTE, World, model, provider, two

CROWDED = Outcome(Kind.CROWDED, counted=False)


async def test_another_provider_is_asked_and_nothing_is_held_against_the_first():
    world = two(a=[CROWDED])
    await world.ask("free-smart")
    assert world.trail == [("a", Kind.CROWDED), ("b", Kind.SERVED)]
    assert (world.used("a"), world.is_suspect("a/m#k1")) == ([0], False)
    await world.ask("free-smart")
    assert world.trail == [("a", Kind.SERVED)]


async def test_it_uses_up_no_attempt():
    world = World(
        provider("a", model(quality=90)), provider("b"), routing=Routing(max_attempts=1), a=[CROWDED]
    )
    await world.ask("free-smart")
    assert world.upstream.providers_asked == ["a", "b"]


async def test_other_models_of_the_provider_go_the_same_way_and_are_not_asked():
    world = World(provider("a", model("x", quality=90), model("y", quality=90)), provider("b"), a=[CROWDED])
    await world.ask("free-smart")
    assert world.upstream.providers_asked == ["a", "b"]


async def test_the_first_turn_is_short_and_the_last_is_as_long_as_the_call_may_wait():
    world = World(provider("a"), max_wait=20.0, a=[CROWDED])
    await world.ask()
    assert world.trail == [("a", Kind.CROWDED), ("a", Kind.SERVED)]
    assert [terms.room for terms in world.upstream.terms] == [SOON, 20.0]


async def test_the_others_come_first_and_then_its_turn():
    better = model(quality=90)
    world = World(provider("a", better), provider("b"), max_wait=20.0, a=[CROWDED], b=[Kind.FAULT])
    await world.ask("free-smart")
    assert world.upstream.providers_asked == ["a", "b", "a"]


async def test_a_call_waits_for_its_turn_once():
    world = World(provider("a"), max_wait=20.0, a=[CROWDED] * 9)
    error = await world.fails(Unavailable, match="as many calls to a are under way as freeroute makes")
    assert (error.status, error.code, error.retry_after) == (503, "unavailable", SOON)
    assert world.upstream.providers_asked == ["a", "a"]


@pytest.mark.parametrize("given", [{"max_wait": 0.0}, {"strict": True}])
async def test_a_call_that_may_not_wait_has_the_short_turn_alone(given):
    world = World(provider("a"), max_wait=20.0, a=[CROWDED] * 9)
    await world.fails(Unavailable, context=world.context(**given))
    assert world.upstream.providers_asked == ["a"]


async def test_who_is_crowded_everywhere_is_told_of_all():
    await two(a=[CROWDED], b=[CROWDED]).fails(Unavailable, "free-smart", match="to a, b are under way")


async def test_what_failed_or_is_out_of_quota_is_told_first():
    await two(a=[CROWDED], b=[Kind.FAULT]).fails(UpstreamFailed, "free-smart")
    spent = World(provider("a"), provider("b", limits=(PER_MINUTE,)), a=[CROWDED], b=[Kind.RATE_LIMITED])
    await spent.fails(CapacityExhausted)
