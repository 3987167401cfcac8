"""Turns: first come first served within a queue, by weight between them, and when a turn may come."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.domain.catalogue import Limit, Scope, Unit, WindowKind, candidates_of
from freeroute.domain.leases import Lease, charges_of
from freeroute.domain.needs import Need, Tried
from freeroute.domain.rates import RateFact
from freeroute.domain.resolve import Target
from freeroute.domain.standing import Standing
from freeroute.domain.turns import MOST_AWAY, Turns, projected, soonest
from freeroute.domain.usage import Demand
from freeroute.stores.memory import MemoryCounters
from tests.support.clocks import ManualClock
from tests.support.world import model, provider


def everybody(waiter) -> bool:
    return True


def joined(*names: str, weights: dict[str, float] | None = None) -> Turns[str]:
    turns: Turns[str] = Turns()
    for number, name in enumerate(names):
        turns.join(name, (weights or {}).get(name, 1.0), f"{name}{number}")
    return turns


def test_queues_take_turns_whatever_their_length():
    turns = joined("a", "a", "a", "b", "c")
    assert list(turns.in_order()) == ["b3", "c4", "a0", "a1", "a2"]


def test_a_weight_of_two_gets_two_turns_of_three():
    turns = joined(*"aaaaaabb", weights={"a": 2.0})
    order = [waiter[0] for waiter in turns.in_order()]
    assert order == ["b", "b", "a", "a", "a", "a", "a", "a"]
    turns = joined(*"aaabbaaaabbb", weights={"a": 2.0})
    for _ in range(6):
        first = next(turns.in_order())
        turns.leave(first[0], first, served=True)
    assert [waiter[0] for waiter in turns.in_order()] == ["b", "a", "a", "b", "a", "a"]


def test_a_served_turn_is_charged_and_one_given_up_is_not():
    turns = served(joined("a", "a", "b", "b", "b", "b"), "b2", "b3")
    assert list(turns.in_order()) == ["a0", "b4", "a1", "b5"]
    turns.leave("a", "a0", served=False)
    assert list(turns.in_order()) == ["a1", "b4", "b5"]


def served(turns: Turns[str], *waiters: str) -> Turns[str]:
    for waiter in waiters:
        turns.leave(waiter.rstrip("0123456789"), waiter, served=True)
    return turns


def test_whoever_comes_goes_before_the_others_twice_and_saves_no_more_up():
    turns = served(joined(*["busy"] * 8), *(f"busy{number}" for number in range(5)))
    for number in range(4):
        turns.join("calm", 1.0, f"calm{number}")
    assert list(turns.in_order()) == ["calm0", "calm1", "busy5", "calm2", "busy6", "calm3", "busy7"]


def test_coming_back_earns_no_further_turn():
    turns = joined(*["busy"] * 5)
    for number in range(3):
        turns.join("calm", 1.0, f"calm{number}")
        assert next(turns.in_order()) == f"calm{number}"
        served(turns, f"calm{number}")
    turns.join("calm", 1.0, "calm3")
    assert list(turns.in_order())[:2] == ["busy0", "calm3"]


def test_who_comes_to_an_empty_room_goes_before_nobody():
    turns = served(joined("a"), "a0")
    turns.join("b", 1.0, "b1")
    turns.join("b", 1.0, "b2")
    turns.join("a", 1.0, "a3")
    assert list(turns.in_order()) == ["a3", "b1", "b2"]
    served(turns, "a3")
    turns.join("a", 1.0, "a4")
    assert list(turns.in_order()) == ["b1", "a4", "b2"]


def test_few_are_remembered_while_nobody_of_theirs_waits():
    turns = joined("busy", "busy")
    for number in range(MOST_AWAY + 1):
        turns.join(f"c{number}-", 1.0, f"c{number}-0")
        served(turns, f"c{number}-0")
    assert turns.ahead_of("c0-", 1.0, everybody) == turns.ahead_of("anew", 1.0, everybody)


def test_how_many_come_before_one_more():
    turns = joined("a", "a", "a", "a", "b")
    assert sorted(turns.ahead_of("a", 1.0, everybody)) == ["a0", "a1", "a2", "a3", "b4"]
    assert turns.ahead_of("b", 1.0, everybody) == ["b4"]
    assert turns.ahead_of("c", 1.0, everybody) == ["b4"]
    assert turns.ahead_of("c", 10.0, everybody) == []
    assert turns.ahead_of("a", 1.0, lambda waiter: waiter == "b4") == ["b4"]


# 1e-320 could stand in a file of a former freeroute.
WEIGHTS = st.sampled_from([1e-320, 0.001, 0.5, 1.0, 3.0, 1000.0, 1e308])


@given(st.lists(st.tuples(st.sampled_from("abc"), WEIGHTS), max_size=30), st.data())
def test_one_more_has_those_before_it_that_were_said_to_be(waiters, data):
    turns: Turns[int] = Turns()
    for number, (name, weight) in enumerate(waiters):
        turns.join(name, weight, number)
        if data.draw(st.booleans()):
            first = next(turns.in_order())
            turns.leave(waiters[first][0], first, served=True)
    weight = data.draw(WEIGHTS)
    for name in "abcd":
        ahead = turns.ahead_of(name, weight, everybody)
        assert len(ahead) == len(set(ahead)) <= len(turns)
    turns.join("d", weight, -1)
    before = list(turns.in_order()).index(-1)
    turns.leave("d", -1, served=False)
    assert len(turns.ahead_of("d", weight, everybody)) == before


@given(st.lists(st.tuples(st.sampled_from("abc"), WEIGHTS), max_size=30))
def test_everybody_comes_to_a_turn_exactly_once(waiters):
    turns: Turns[int] = Turns()
    for number, (name, weight) in enumerate(waiters):
        turns.join(name, weight, number)
    order = list(turns.in_order())
    assert sorted(order) == list(range(len(waiters)))
    for name in "abc":
        own = [number for number, (queue, _) in enumerate(waiters) if queue == name]
        assert [number for number in order if number in own] == own
    assert len(turns) == len(waiters)


class Place:
    """One provider with the given limits, some calls into them."""

    def __init__(self, *limits: Limit, spent: int = 0, models: int = 1) -> None:
        found = provider("a", *(model(f"m{n}") for n in range(models)), limits=limits)
        self.candidates = candidates_of(found)
        self.standing = Standing(MemoryCounters())
        self.clock = ManualClock()
        self.fit = [(0, candidate) for candidate in self.candidates]
        self.spent = spent

    async def turn_in(self, ahead: int | list[Demand], prompt: int = 10, tried: Tried | None = None) -> float:
        before = [Demand(prompt)] * ahead if isinstance(ahead, int) else ahead
        need = Need(targets=(Target("free", "free", self.candidates),), demand=Demand(prompt))
        room = self.standing.room
        assert isinstance(room, MemoryCounters)
        for _ in range(self.spent):
            lease = await room.acquire(charges_of(self.candidates[0], Demand(prompt)), self.clock.now())
            assert isinstance(lease, Lease)
            await room.confirm(lease, self.clock.now())
        at = projected(before, need, self.fit, self.standing, tried or Tried(), self.clock.now())
        return at - self.clock.now().mono


def per_minute(amount: float, unit=Unit.REQUESTS, **given) -> Limit:
    return Limit(unit, amount, 60.0, **given)


@pytest.mark.parametrize(
    ("limits", "spent", "ahead", "turn"),
    [
        ((per_minute(2),), 0, 0, 0),
        ((per_minute(2),), 0, 1, 0),
        ((per_minute(2),), 2, 0, 60),
        ((per_minute(2),), 2, 1, 60),
        ((per_minute(2),), 2, 2, 120),
        ((per_minute(2),), 2, 5, 180),
        ((), 0, 1000, 0),
        ((per_minute(5, Unit.TOKENS),), 0, 0, math.inf),
        ((per_minute(0),), 0, 0, math.inf),
        ((per_minute(2), per_minute(20, Unit.TOKENS)), 2, 2, 120),
    ],
)
async def test_turns_come_slot_by_slot_and_window_by_window(limits, spent, ahead, turn):
    assert await Place(*limits, spent=spent).turn_in(ahead) == pytest.approx(turn, abs=0.01)


async def test_a_bucket_gives_a_turn_as_it_refills():
    place = Place(per_minute(6, window=WindowKind.BUCKET), spent=6)
    assert await place.turn_in(0) == pytest.approx(10, abs=0.6)


async def test_turns_spread_over_all_that_may_be_used():
    place = Place(per_minute(1, scope=Scope.MODEL), models=3)
    assert await place.turn_in(2) == 0
    assert await place.turn_in(2, tried=Tried(candidates=frozenset({"a/m0#k1"}))) == pytest.approx(60, abs=1)
    assert await place.turn_in(0, tried=Tried(providers=frozenset({"a"}))) == math.inf
    assert await place.turn_in(3, tried=Tried(providers=frozenset({"a"}))) == math.inf


async def test_a_hold_puts_a_turn_off():
    place = Place()
    place.standing.hold(("provider", "a"), place.clock.now().mono + 33, "why", quota=True)
    assert await place.turn_in(0) == pytest.approx(33)


async def test_a_limit_that_proved_lower_than_the_settings_puts_turns_off_and_not_out_of_reach():
    place = Place(per_minute(8))
    store, now = MemoryCounters(guard=0.0), place.clock.now()
    place.standing = Standing(store)
    lease = await store.acquire(charges_of(place.candidates[0], Demand(10)), now)
    assert isinstance(lease, Lease)
    await store.learn(lease, [RateFact(Unit.REQUESTS, 60.0, 4, 3)], now)
    assert await place.turn_in(2) == 0
    assert await place.turn_in(3) == pytest.approx(60)
    assert await place.turn_in(6) < 180


async def test_those_before_count_with_what_they_take():
    place = Place(per_minute(6000, Unit.TOKENS))
    assert await place.turn_in([Demand(200)] * 15, prompt=3000) == 0
    assert await place.turn_in([Demand(200)] * 16, prompt=3000) == pytest.approx(60, abs=1)
    assert await place.turn_in([Demand(3000), Demand(3000, 50)], prompt=200) == pytest.approx(60, abs=1)
    assert await place.turn_in([Demand(9000)], prompt=200) == 0


async def test_a_call_comes_soonest_where_it_fits_first():
    place = Place(per_minute(1, scope=Scope.MODEL), models=3, spent=1)
    await place.turn_in(0)
    now = place.clock.now()
    need = Need(targets=(Target("free", "free", place.candidates),), demand=Demand(10))
    place.standing.hold(("model", "a", "m1"), now.mono + 5, "why", quota=True)

    def first(*names: str) -> tuple[list[str], float]:
        charges, at = soonest(need, place.fit, place.standing, Tried(candidates=frozenset(names)), now)
        return [pool.id for pool in charges.pools], at - now.mono

    assert first() == (["a/account:default/model:m2/requests/60s"], 0)
    assert first("a/m2#k1") == (["a/account:default/model:m1/requests/60s"], 5)
    assert first("a/m2#k1", "a/m1#k1")[1] == pytest.approx(60, abs=1)
    assert first("a/m0#k1", "a/m1#k1", "a/m2#k1") == ([], math.inf)
