"""Background probes take the trial before a caller needs it, and spend only spare quota."""

import asyncio

import pytest

from freeroute.domain.breaker import State
from freeroute.domain.catalogue import Limit, Unit
from freeroute.domain.leases import charges_of
from freeroute.domain.outcome import Kind
from freeroute.domain.usage import Demand
from freeroute.engine.attempts import Routing
from freeroute.engine.probes import Probes, affordable
from freeroute.errors import UpstreamFailed
from tests.support.virtual import LoopClock, run
from tests.support.world import World, model, provider


async def broken(world: World) -> Probes:
    for name in list(world.upstream.scripts):
        world.upstream.scripts[name] = [Kind.UNREACHABLE]
    with pytest.raises(Exception, match=r"attempts? failed"):
        await world.ask()
    world.clock.advance(20)
    return Probes(world.gateway)


async def test_a_probe_brings_a_rested_provider_back():
    world = World(provider("a", model("x"), model("y")), a=[])
    probes = await broken(world)
    await probes.sweep()
    assert world.gateway.standing.provider_breaker("a").state(world.clock.now()) is State.CLOSED
    assert world.upstream.terms[-1].probe
    assert world.upstream.calls[-1].demand.max_output == 16
    assert len(world.upstream.asked) == 2
    assert world.counters.in_flight() == 0
    assert probes.due() == []


async def test_a_failed_probe_lets_it_rest_longer():
    world = World(provider("a"), a=[])
    probes = await broken(world)
    world.upstream.scripts["a"] = [Kind.UNREACHABLE]
    await probes.sweep()
    assert world.gateway.standing.provider_breaker("a").state(world.clock.now()) is State.OPEN
    assert probes.due() == []


async def test_a_probe_that_breaks_does_not_end_the_sweep():
    world = World(provider("a"), provider("b"), a=[], b=[])
    probes = await broken(world)
    world.upstream.scripts["a"] = [RuntimeError("boom")]
    await probes.sweep()
    assert world.gateway.standing.provider_breaker("b").state(world.clock.now()) is State.CLOSED


async def test_nothing_is_probed_while_it_rests_or_has_no_quota():
    limit = Limit(Unit.REQUESTS, 1, 3600.0)
    world = World(provider("a", limits=(limit,)), a=[Kind.FAULT])
    with pytest.raises(Exception, match="out of quota"):
        await world.ask()
    assert Probes(world.gateway).due() == []


@pytest.mark.parametrize(
    ("facts", "spare"),
    [
        ({}, True),
        ({"probes": False}, False),
        ({"failed_calls_count": True}, False),
        ({"limits": (Limit(Unit.REQUESTS, 50, 86400.0, span="day"),)}, False),
        ({"limits": (Limit(Unit.REQUESTS, 1000, 86400.0, span="day"),)}, True),
        ({"limits": (Limit(Unit.REQUESTS, 1000, 30 * 86400.0, span="month"),)}, False),
        ({"limits": (Limit(Unit.REQUESTS, 5, 60.0, span="minute"),)}, True),
    ],
)
def test_probes_spend_only_what_is_spare(facts, spare):
    world = World(provider("a", **facts))
    candidate = world.candidate("a/m#k1")
    assert affordable(candidate, world.counters.readings(candidate.pools, world.clock.now())) is spare


async def test_the_last_tenth_of_a_quota_is_left_to_callers():
    limit = Limit(Unit.REQUESTS, 20, 3600.0, span="hour")
    world = World(provider("a", limits=(limit,)), a=[])
    for _ in range(16):
        await world.ask()
    probes = await broken(world)
    assert len(probes.due()) == 1
    charges = charges_of(world.candidate("a/m#k1"), Demand(1))
    await world.counters.acquire(charges, world.clock.now())
    assert probes.due() == []


def test_providers_that_hang_do_not_keep_probes_from_the_others():
    async def scene():
        world = World(*(provider(f"p{i}") for i in range(6)), clock=LoopClock(), seconds=5.0)
        now = world.clock.now()
        for candidate in world.gateway.catalogue.candidates:
            trial = world.gateway.standing.begin(candidate, now)
            world.gateway.standing.failed(candidate, trial, Kind.UNREACHABLE, now, jitter=0.0)
        await asyncio.sleep(20)
        probes = Probes(world.gateway)
        sweep = asyncio.create_task(probes.sweep())
        await asyncio.sleep(1)
        late = world.candidate("p5/m#k1")
        world.gateway.standing.succeeded(
            late, world.gateway.standing.begin(late, world.clock.now()), world.clock.now()
        )
        await sweep
        assert world.upstream.asked == [f"p{i}/m#k1" for i in range(5)]
        assert world.clock.now().mono == 1_030.0

    run(scene())


async def test_of_two_keys_that_rest_with_their_provider_one_speaks_for_both():
    world = World(provider("a", keys=("k1", "k2")), a=[])
    probes = await broken(world)
    assert [candidate.id for candidate in probes.due()] == ["a/m#k1"]


async def test_a_candidate_that_rests_alone_is_probed_alone():
    world = World(provider("a", model("x")), a=[Kind.FAULT] * 3)
    for _ in range(3):
        await world.fails(UpstreamFailed)
    world.clock.advance(20)
    probes = Probes(world.gateway)
    assert [candidate.id for candidate in probes.due()] == ["a/x#k1"]
    assert await probes.probe(world.candidate("a/x#k1"))


async def test_a_candidate_that_is_held_is_not_probed():
    world = World(provider("a", model("x")), a=[Kind.FAULT] * 3)
    for _ in range(3):
        await world.fails(UpstreamFailed)
    world.clock.advance(20)
    world.gateway.standing.hold(("provider", "a"), world.clock.now().mono + 60, "why")
    assert Probes(world.gateway).due() == []


async def test_probing_goes_on_until_it_is_cancelled():
    world = World(provider("a"), routing=Routing(probes=1e-9), a=[])
    probes = await broken(world)
    running = asyncio.create_task(probes.run())
    for _ in range(100):
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert world.upstream.terms[-1].probe


async def test_probes_that_are_off_ask_nobody():
    world = World(provider("a"), routing=Routing(probes=0.0), a=[])
    probes = await broken(world)
    assert probes.due() == []
