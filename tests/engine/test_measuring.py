"""Limits that nobody tells, found by a gateway in virtual time from nothing but refusals."""

import asyncio
import contextlib

import pytest

from freeroute.domain.catalogue import Limit, Unit
from freeroute.domain.counters import GUARD
from freeroute.domain.measuring import PATIENCE, UNKNOWN
from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.rates import RateFact
from freeroute.engine.attempts import LAG, Routing
from freeroute.engine.ports import Answer, Sent
from freeroute.errors import CapacityExhausted, UpstreamFailed
from tests.support.judge import WINDOW, Judges, Line, steady
from tests.support.virtual import LoopClock, run
from tests.support.world import World, provider

REAL = {"a": 30, "b": 15, "c": 30, "d": 5}
TWO_THIRDS = {"a": 20, "b": 10, "c": 20, "d": 3}
# Steady callers, by the seconds between them: over and just above what is granted. Both ends, both hints.
RUNS = pytest.mark.parametrize(
    ("seed", "hints", "every"),
    [(1, False, 60 / 140), (2, False, 60 / 90), (3, True, 60 / 100)],
)
MINUTES = 4


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
    return {reading.pool.id.partition("/")[0]: reading.limit for reading in readings}


async def overload(gateway: World, every: float) -> tuple[float, float]:
    """Ask steadily; return when the limits must have been found, and when it ended."""
    began = gateway.clock.now().mono
    await steady(gateway, every, MINUTES * WINDOW)
    return began + WINDOW, began + MINUTES * WINDOW


@pytest.mark.parametrize("late", [LAG / 2, 0.8])
@pytest.mark.parametrize("kind", [Kind.SERVED, Kind.FAULT])
async def test_a_call_that_goes_out_late_holds_its_slot_from_then_on(kind, late):
    world = World(provider("a", limits=(per_minute(1),)), seconds=2.0)
    began = world.clock.now()
    answer = Answer(b"{}") if kind is Kind.SERVED else None
    world.upstream.scripts["a"] = [Sent(Outcome(kind), answer=answer, sent_at=began.later(late))]
    with contextlib.suppress(UpstreamFailed, CapacityExhausted):
        await world.ask("a/m")
    [reading] = world.counters.readings(world.candidate("a/m#k1").pools, began.later(2.0))
    assert reading.resets_in == pytest.approx(WINDOW + GUARD - 2.0 + (late if late > LAG else 0.0))


@RUNS
def test_limits_that_hold_are_used_up_and_never_passed(seed, hints, every):
    async def scene():
        judges = Judges(REAL, hints=hints, seed=seed)
        gateway = published(judges)
        since, until = await overload(gateway, every)
        assert judges.refused == dict.fromkeys(REAL, 0)
        assert all(judges.delivered(name, since, until) >= 0.98 for name in REAL)
        assert found(gateway) == REAL

    run(scene())


@RUNS
def test_limits_lower_than_published_are_found_exactly(seed, hints, every):
    async def scene():
        judges = Judges(TWO_THIRDS, hints=hints, seed=seed)
        gateway = published(judges)
        since, until = await overload(gateway, every)
        assert max(judges.refused.values()) <= 3
        assert found(gateway) == TWO_THIRDS
        assert all(judges.delivered(name, since, until) >= 0.98 for name in REAL)

    run(scene())


def claimed(limit: float, remaining: float) -> tuple[RateFact, ...]:
    return (RateFact(Unit.REQUESTS, WINDOW, limit, remaining, reset_in=WINDOW),)


@pytest.mark.parametrize(
    "claims",
    [
        lambda name, granted: claimed(1_000, 999),
        lambda name, granted: claimed(REAL[name], REAL[name] - 1),
        lambda name, granted: claimed(REAL[name], REAL[name] - granted),
        lambda name, granted: claimed(1_000, 1_000 - granted),
    ],
    ids=["far too much", "all but this call", "the published limit", "a limit far too high"],
)
@pytest.mark.parametrize("refusing", [True, False], ids=["always", "where served"])
@RUNS
def test_what_answers_claim_does_not_keep_refusals_from_teaching(seed, hints, every, claims, refusing):
    async def scene():
        judges = Judges(TWO_THIRDS, hints=hints, seed=seed, claims=claims, claims_refusing=refusing)
        gateway = published(judges)
        since, until = await overload(gateway, every)
        assert found(gateway) == TWO_THIRDS
        assert max(judges.refused.values()) <= 3
        assert all(judges.delivered(name, since, until) >= 0.98 for name in REAL)

    run(scene())


@RUNS
def test_unknown_limits_are_found_exactly(seed, hints, every):
    async def scene():
        judges = Judges(REAL, hints=hints, seed=seed)
        gateway = unknown(judges)
        since, until = await overload(gateway, every)
        assert max(judges.refused.values()) <= 2
        assert found(gateway) == REAL
        assert all(judges.delivered(name, since + WINDOW, until) >= 0.95 for name in REAL)

    run(scene())


def test_a_burst_on_unknown_limits_nobody_was_asked_under_is_answered():
    async def scene():
        gateway = unknown(Judges(REAL))
        began = gateway.clock.now().mono
        await asyncio.gather(*(gateway.ask() for _ in range(70)))
        assert gateway.clock.now().mono - began < 5

    run(scene())


def test_a_line_slower_than_the_guard_costs_a_refused_call_and_no_limit():
    async def scene():
        judges = Judges(REAL, Line(0.3, 1.5, 2.0), seed=3)
        gateway = published(judges)
        since, until = await overload(gateway, 60 / 140)
        assert 1 <= max(judges.refused.values()) <= 2
        assert found(gateway) == REAL
        assert all(judges.delivered(name, since, until) >= 0.95 for name in REAL)

    run(scene())


def test_a_limit_that_is_raised_again_is_found_again_step_by_step():
    async def scene():
        judges = Judges({"a": 6})
        gateway = world(judges, a=per_minute(8))
        await steady(gateway, 5, 3 * WINDOW)
        assert found(gateway) == {"a": 6}
        refused = judges.refused["a"]
        judges.grants["a"].limit = 8
        await steady(gateway, 5, (PATIENCE + 4) * WINDOW)
        assert found(gateway) == {"a": 8}
        assert judges.refused["a"] == refused

    run(scene())


def test_a_step_too_far_costs_one_call_in_ten_windows():
    async def scene():
        judges = Judges({"a": 6})
        gateway = world(judges, a=per_minute(8))
        await steady(gateway, 5, 25 * WINDOW)
        assert found(gateway) == {"a": 6}
        assert 2 <= judges.refused["a"] <= 5

    run(scene())


def test_whose_turn_comes_when_is_reckoned_by_the_limit_that_was_found():
    async def scene():
        judges = Judges({"a": 2})
        gateway = world(judges, a=per_minute(8))
        hasty = [gateway.ask(context=gateway.context(max_wait=0)) for _ in range(3)]
        await asyncio.gather(*hasty, return_exceptions=True)
        assert found(gateway) == {"a": 2}
        waiting = [asyncio.create_task(gateway.ask(context=gateway.context(max_wait=100))) for _ in range(2)]
        await asyncio.sleep(1)
        began = gateway.clock.now().mono
        error = await gateway.fails(CapacityExhausted, context=gateway.context(max_wait=100))
        assert gateway.clock.now().mono == began
        assert 100 < (error.retry_after or 0) <= 122
        await asyncio.gather(*waiting)

    run(scene())
