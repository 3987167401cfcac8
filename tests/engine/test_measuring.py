"""Limits that nobody tells, found by a gateway in virtual time from nothing but refusals."""

import asyncio

import pytest

from freeroute.domain.catalogue import Limit, Unit
from freeroute.domain.measuring import UNKNOWN
from freeroute.engine.attempts import Routing
from tests.support.judge import WINDOW, Judges, Line, steady
from tests.support.virtual import LoopClock, run
from tests.support.world import World, provider

REAL = {"a": 30, "b": 15, "c": 30, "d": 5}
TWO_THIRDS = {"a": 20, "b": 10, "c": 20, "d": 3}
SEEDS = pytest.mark.parametrize("seed", range(4))
HINTS = pytest.mark.parametrize("hints", [False, True])


def per_minute(amount: float) -> Limit:
    return Limit(Unit.REQUESTS, amount, WINDOW, span="minute")


def world(judges: Judges, **limits: Limit) -> World:
    places = [provider(name, limits=(limit,)) for name, limit in limits.items()]
    routing = Routing(deadline=600, max_wait_cap=600)
    gateway = World(*places, clock=LoopClock(), routing=routing, max_wait=60)
    gateway.gateway.loop.upstreams = {"openai": judges}
    return gateway


def published(judges: Judges) -> World:
    return world(judges, **{name: per_minute(amount) for name, amount in REAL.items()})


def unknown(judges: Judges) -> World:
    return world(judges, **dict.fromkeys(REAL, UNKNOWN))


def found(gateway: World) -> dict[str, float]:
    """Return the limits that are kept to now."""
    catalogue = gateway.gateway.catalogue
    pools = [candidate.pools[0] for candidate in catalogue.candidates]
    readings = gateway.counters.readings(pools, gateway.clock.now())
    return {pool.owner: reading.limit for pool, reading in zip(pools, readings, strict=True)}


@SEEDS
@pytest.mark.parametrize("every", [60 / 140, 60 / 90])
def test_limits_that_hold_are_used_up_and_never_passed(seed, every):
    async def scene():
        judges = Judges(REAL, seed=seed)
        gateway = published(judges)
        began = gateway.clock.now().mono
        await steady(gateway, every, 6 * WINDOW)
        assert judges.refused == dict.fromkeys(REAL, 0)
        for name in REAL:
            assert judges.delivered(name, began + WINDOW, began + 6 * WINDOW) >= 0.98
        assert found(gateway) == REAL

    run(scene())


@SEEDS
@HINTS
@pytest.mark.parametrize("every", [60 / 140, 60 / 75, 60 / 60])
def test_limits_lower_than_published_are_found_exactly(seed, hints, every):
    async def scene():
        judges = Judges(TWO_THIRDS, hints=hints, seed=seed)
        gateway = published(judges)
        began = gateway.clock.now().mono
        await steady(gateway, every, 8 * WINDOW)
        print(seed, hints, every, judges.refused, found(gateway), {n: judges.delivered(n, began, began + 8 * WINDOW) for n in REAL})
        assert max(judges.refused.values()) <= 3
        assert found(gateway) == TWO_THIRDS
        for name in REAL:
            assert judges.delivered(name, began + WINDOW, began + 8 * WINDOW) >= 0.98

    run(scene())


@SEEDS
@HINTS
@pytest.mark.parametrize("every", [60 / 140, 60 / 90])
def test_unknown_limits_are_found_exactly(seed, hints, every):
    async def scene():
        judges = Judges(REAL, hints=hints, seed=seed)
        gateway = unknown(judges)
        began = gateway.clock.now().mono
        await steady(gateway, every, 8 * WINDOW)
        print(seed, hints, every, judges.refused, found(gateway), {n: judges.delivered(n, began, began + 8 * WINDOW) for n in REAL})
        assert max(judges.refused.values()) <= 2
        assert found(gateway) == REAL
        for name in REAL:
            assert judges.delivered(name, began + 2 * WINDOW, began + 8 * WINDOW) >= 0.95

    run(scene())


@SEEDS
def test_a_burst_on_fresh_unknown_limits_is_answered(seed):
    async def scene():
        judges = Judges(REAL, seed=seed)
        gateway = unknown(judges)
        began = gateway.clock.now().mono
        await asyncio.gather(*(gateway.ask() for _ in range(70)))
        print(gateway.clock.now().mono - began, judges.refused)
        assert gateway.clock.now().mono - began < 10

    run(scene())


@SEEDS
@pytest.mark.parametrize("most", [0.9, 1.5])
def test_a_line_slower_than_the_guard_costs_a_few_refusals_and_no_limit(seed, most):
    async def scene():
        judges = Judges(REAL, Line(0.3, most, 2.0), seed=seed)
        gateway = published(judges)
        began = gateway.clock.now().mono
        await steady(gateway, 60 / 140, 20 * WINDOW)
        print(judges.refused, found(gateway), {n: judges.delivered(n, began, began + 20 * WINDOW) for n in REAL})
        assert max(judges.refused.values()) <= 3
        assert found(gateway) == REAL

    run(scene())
