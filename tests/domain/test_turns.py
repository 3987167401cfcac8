"""Turns: first come first served within a queue, by weight between them, and when a turn may come."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.domain.catalogue import Limit, Scope, Unit, WindowKind, candidates_of
from freeroute.domain.leases import Lease, charges_of
from freeroute.domain.rates import RateFact
from freeroute.domain.resolve import Target
from freeroute.domain.selection import Need, Tried
from freeroute.domain.standing import Standing
from freeroute.domain.turns import Turns, projected, soonest
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
    turns = joined(*"aaaabb", weights={"a": 2.0})
    assert [waiter[0] for waiter in turns.in_order()] == ["a", "b", "a", "a", "b", "a"]


def test_a_served_turn_is_charged_and_one_given_up_is_not():
    turns = joined("a", "a", "b")
    turns.leave("a", "a0", served=True)
    assert list(turns.in_order()) == ["b2", "a1"]
    turns = joined("a", "a", "b")
    turns.leave("a", "a0", served=False)
    assert list(turns.in_order()) == ["a1", "b2"]


def test_being_away_saves_nothing_up():
    turns = joined("a", "a", "a", "a")
    for waiter in ("a0", "a1", "a2"):
        turns.leave("a", waiter, served=True)
    turns.join("late", 1.0, "late1")
    turns.join("late", 1.0, "late2")
    assert list(turns.in_order()) == ["late1", "a3", "late2"]


def test_whoever_just_came_goes_before_an_equal_that_had_its_turn():
    turns = joined("busy", "busy", "busy")
    turns.leave("busy", "busy0", served=True)
    assert turns.ahead_of("calm", 1.0, everybody) == []
    turns.join("calm", 1.0, "calm3")
    assert list(turns.in_order()) == ["calm3", "busy1", "busy2"]


def test_coming_back_at_once_earns_no_second_turn():
    turns = joined("busy", "busy", "busy")
    turns.leave("busy", "busy0", served=True)
    for number in (3, 4):
        turns.join("calm", 1.0, f"calm{number}")
        if number == 3:
            turns.leave("calm", "calm3", served=True)
    assert list(turns.in_order()) == ["busy1", "calm4", "busy2"]


def test_how_many_come_before_one_more():
    turns = joined("a", "a", "a", "a", "b")
    assert sorted(turns.ahead_of("a", 1.0, everybody)) == ["a0", "a1", "a2", "a3", "b4"]
    assert len(turns.ahead_of("b", 1.0, everybody)) == 3
    assert len(turns.ahead_of("c", 1.0, everybody)) == 1
    assert turns.ahead_of("c", 10.0, everybody) == []
    assert turns.ahead_of("a", 1.0, lambda waiter: waiter == "b4") == ["b4"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([0.5, 1.0, 3.0])), max_size=30))
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
    assert await place.turn_in(2, tried=Tried(candidates={"a/m0#k1"})) == pytest.approx(60, abs=1)
    assert await place.turn_in(0, tried=Tried(providers={"a"})) == math.inf
    assert await place.turn_in(3, tried=Tried(providers={"a"})) == math.inf


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
        charges, at = soonest(need, place.fit, place.standing, Tried(candidates=set(names)), now)
        return [charge.pool.id for charge in charges], at - now.mono

    assert first() == (["a/account:default/model:m2/requests/60s"], 0)
    assert first("a/m2#k1") == (["a/account:default/model:m1/requests/60s"], 5)
    assert first("a/m2#k1", "a/m1#k1")[1] == pytest.approx(60, abs=1)
    assert first("a/m0#k1", "a/m1#k1", "a/m2#k1") == ([], math.inf)
