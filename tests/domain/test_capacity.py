import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from freeroute.domain.capacity import Capacity, Offer, calls, is_bounded, offer_of, room, within
from freeroute.domain.catalogue import (
    Key,
    Limit,
    Model,
    Pool,
    Provider,
    Scope,
    Unit,
    WindowKind,
    candidates_of,
)
from freeroute.domain.leases import Reading

DAY = Limit(Unit.REQUESTS, 100, 86_400.0, WindowKind.CALENDAR, "day")
MINUTE = Limit(Unit.REQUESTS, 30, 60.0, span="minute")
REFILLED = Limit(Unit.TOKENS, 2000, 100.0, WindowKind.BUCKET)
SLOTS = Limit(Unit.CONCURRENCY, 2)
HOUR = 3600.0


def reading(limit, used=0.0, resets_in=0.0, ceiling=None) -> Reading:
    return Reading(Pool("p", limit), used, limit.amount if ceiling is None else ceiling, resets_in)


ONE = (Key("", "k"),)


def offers(*limits, keys=ONE, models=("m",), of_models=(), each=1.0) -> list[Offer]:
    made = tuple(Model(id=name, family=name, limits=tuple(of_models)) for name in models)
    one = Provider("p", "P", "https://p.test", keys=tuple(keys), models=made, limits=tuple(limits))
    return [offer_of(c, {pool.id: each for pool in c.pools}) for c in candidates_of(one)]


def left_of(some) -> dict[str, float]:
    return {pool.id: pool.limit.amount for offer in some for pool in offer.candidate.pools}


def test_what_is_left_now_is_the_limit_less_what_is_used():
    assert within(reading(MINUTE, 10, 40), 0) == 20
    assert within(reading(MINUTE, 40, 40), 0) == 0


def test_a_bucket_refills_all_the_time():
    assert within(reading(REFILLED, 500), 50) == 1500 + 1000


@pytest.mark.parametrize(
    ("resets_in", "seconds", "expected"),
    [(HOUR, HOUR, 90), (HOUR, HOUR + 1, 190), (HOUR, 25 * HOUR + 1, 290), (48 * HOUR, HOUR, 90)],
)
def test_a_calendars_quota_is_whole_again_at_each_boundary_that_comes_before(resets_in, seconds, expected):
    assert within(reading(DAY, 10, resets_in), seconds) == expected


@pytest.mark.parametrize(
    ("used", "resets_in", "seconds", "expected"),
    [
        (0, 0, 59, 30),
        (0, 0, 60, 60),
        (0, 0, HOUR, 61 * 30),
        (10, 30, 20, 20),
        (10, 30, 31, 30),
        (10, 30, 91, 60),
    ],
)
def test_what_is_taken_of_a_sliding_window_comes_back_again_and_again(used, resets_in, seconds, expected):
    assert within(reading(MINUTE, used, resets_in), seconds) == expected


def test_slots_and_limits_that_nobody_knows_bound_nothing():
    unknown = reading(MINUTE, ceiling=math.inf)
    assert room([reading(SLOTS), unknown]) == {}
    [offer] = offers(SLOTS)
    assert not is_bounded(offer, {})


def test_slots_that_are_a_quota_of_nothing_have_no_time_to_come_back():
    assert within(reading(structs.replace(SLOTS, unit=Unit.REQUESTS), 1), HOUR) == 1


def test_models_add_up_and_what_they_share_caps_the_sum():
    per_model = structs.replace(MINUTE, scope=Scope.MODEL, amount=10)
    some = offers(of_models=[per_model], models=("a", "b"))
    assert calls(some, left_of(some)) == 20
    some = offers(structs.replace(MINUTE, amount=15), of_models=[per_model], models=("a", "b"))
    assert calls(some, left_of(some)) == 15


def test_keys_of_one_account_share_its_limits_and_accounts_add_up():
    some = offers(MINUTE, keys=(Key("", "k1"), Key("", "k2")))
    assert calls(some, left_of(some)) == 30
    some = offers(MINUTE, keys=(Key("", "k1", "one"), Key("", "k2", "two")))
    assert calls(some, left_of(some)) == 60


def test_an_address_caps_all_accounts_and_a_key_all_of_its_models():
    by_address = structs.replace(MINUTE, scope=Scope.IP)
    some = offers(by_address, keys=(Key("", "k1", "one"), Key("", "k2", "two")))
    assert calls(some, left_of(some)) == 30
    by_key = structs.replace(MINUTE, scope=Scope.KEY, amount=7)
    some = offers(by_key, MINUTE, keys=(Key("", "k1"), Key("", "k2")), models=("a", "b"))
    assert calls(some, left_of(some)) == 14


def test_calls_that_take_least_of_what_is_shared_go_first():
    small, large = offers(structs.replace(MINUTE, amount=10), models=("a", "b"))
    [name] = small.amounts
    some = [
        structs.replace(large, amounts={name: 4.0}),
        structs.replace(small, amounts={name: 1.0, "x": 1.0}),
    ]
    assert calls(some, {name: 10.0, "x": 2.0}) == 2 + 2


def test_a_part_of_a_call_is_none():
    some = offers(MINUTE, each=8.0)
    assert calls(some, left_of(some)) == 3


def test_capacities_add_up():
    assert Capacity(1, 2, 3) + Capacity(10, 20, 30) == Capacity(11, 22, 33)


# --- whatever the limits are ------------------------------------------------------------------------

LIMITS = st.builds(
    Limit,
    unit=st.sampled_from([Unit.REQUESTS, Unit.TOKENS]),
    amount=st.integers(0, 50).map(float),
    seconds=st.just(60.0),
    span=st.sampled_from(["minute", "hour"]),
    scope=st.sampled_from(Scope),
)
KEYS = st.lists(st.sampled_from(["one", "two"]), min_size=1, max_size=3).map(
    lambda accounts: tuple(Key("", f"k{n}", account) for n, account in enumerate(accounts))
)


@st.composite
def worlds(draw):
    shared = draw(st.lists(LIMITS, min_size=1, max_size=4, unique_by=lambda x: (x.label, x.scope)))
    models = [f"m{n}" for n in range(draw(st.integers(1, 3)))]
    # What a call takes depends on its model, not on the key.
    each = draw(
        st.fixed_dictionaries({name: st.lists(st.integers(1, 3), min_size=4, max_size=4) for name in models})
    )
    made = [
        offer_of(
            o.candidate,
            {pool.id: float(each[o.candidate.model.id][n]) for n, pool in enumerate(o.candidate.pools)},
        )
        for o in offers(*shared, keys=draw(KEYS), models=models)
    ]
    names = sorted({name for offer in made for name in offer.amounts})
    return made, {name: float(draw(st.integers(0, 40))) for name in names}


@given(worlds())
def test_there_is_never_more_than_a_pool_over_all_has_room_for(world):
    some, left = world
    least = min(each for offer in some for each in offer.amounts.values())
    for name in left:
        if all(name in offer.amounts for offer in some):
            assert calls(some, left) <= left[name] / least


@given(worlds(), st.data())
def test_another_candidate_never_lowers_it(world, data):
    some, left = world
    without = [offer for offer in some if data.draw(st.booleans())]
    assert calls(without, left) <= calls(some, left)


@given(worlds(), st.data())
def test_spending_never_raises_it(world, data):
    some, left = world
    spent = {name: data.draw(st.floats(0, amount)) for name, amount in left.items()}
    assert calls(some, spent) <= calls(some, left)


@given(
    st.sampled_from([DAY, MINUTE, REFILLED]),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(0, 2e5),
    st.floats(0, 1e5),
)
def test_later_there_is_never_less(limit, used, rest, seconds, more):
    now = reading(limit, used * limit.amount, rest * limit.seconds)
    assert within(now, seconds) <= within(now, seconds + more) + 1e-9
