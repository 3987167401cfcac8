"""Stores that are told what the provider counts: which counter it is for, and how it is shown."""

import math

import pytest

from freeroute.domain.catalogue import Limit, Pool, Unit, WindowKind
from freeroute.domain.leases import Charges, Denied, Lease
from freeroute.domain.measuring import UNKNOWN
from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.rates import RateFact
from freeroute.stores.memory import MemoryCounters
from tests.support.clocks import ManualClock

REQUESTS = Pool("p/requests", Limit(Unit.REQUESTS, 30, 60))
DAY = Pool("p/day", Limit(Unit.REQUESTS, 1_000, 86_400, WindowKind.BUCKET, "day"))
SLOTS = Pool("p/slots", Limit(Unit.CONCURRENCY, 2))
POOLS = (REQUESTS, DAY, SLOTS)

STORES = {"memory": lambda: MemoryCounters(guard=0.0)}


@pytest.fixture(params=sorted(STORES))
def store(request):
    return STORES[request.param]()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def leased(store, clock) -> Lease:
    lease = await store.acquire(Charges(POOLS, [1] * len(POOLS)), clock.now())
    assert isinstance(lease, Lease)
    return lease


def minute(remaining: float | None, limit: float | None = None, **told) -> RateFact:
    return RateFact(Unit.REQUESTS, 60.0, limit, remaining, **told)


async def test_a_fact_corrects_the_counter_it_is_about_and_no_other(store, clock):
    lease = await leased(store, clock)
    assert await store.learn(lease, [minute(10)], clock.now())
    assert [reading.used for reading in store.readings(POOLS, clock.now())] == [20, 1, 1]


async def test_facts_of_no_counter_change_nothing(store, clock):
    lease = await leased(store, clock)
    tokens = RateFact(Unit.TOKENS, 60.0, 100, 0)
    assert not await store.learn(lease, [tokens, RateFact(Unit.REQUESTS, 3_600.0, 5, 0)], clock.now())
    assert {reading.source for reading in store.readings(POOLS, clock.now())} == {"configured"}


async def test_a_reading_tells_who_told_and_how_long_ago(store, clock):
    lease = await leased(store, clock)
    assert not await store.learn(lease, [minute(29, 30)], clock.now())  # just as we thought
    await store.learn(lease, [RateFact(Unit.REQUESTS, 86_400.0, 50, 0, source="body")], clock.now())
    requests, day, slots = store.readings(POOLS, clock.advance(7))
    assert (requests.source, requests.age, requests.limit) == ("header", 7, 30)
    assert (day.source, day.age, day.limit) == ("body", 7, 50)
    assert (slots.source, slots.age) == ("configured", 0)


async def test_a_limit_told_lower_denies_at_once(store, clock):
    lease = await leased(store, clock)
    assert await store.learn(lease, [minute(None, 1)], clock.now())
    assert store.fits_at(Charges((REQUESTS,), (1,)), clock.now()) == clock.now().mono + 60


async def test_a_call_larger_than_a_told_limit_may_go_when_nobody_said_so_for_a_while(store, clock):
    tokens = Pool("p/tokens", Limit(Unit.TOKENS, 8_000, 60, span="minute"))
    large = Charges((tokens,), (500,))
    lease = await store.acquire(Charges((tokens,), (90,)), clock.now())
    await store.learn(lease, [RateFact(Unit.TOKENS, 60.0, 100, 10)], clock.now())
    await store.settle(lease, {}, clock.now())
    told_at = clock.now().mono
    assert store.fits_at(large, clock.now()) == told_at + 600
    assert store.fits_at(Charges((tokens,), (8_001,)), clock.now()) == math.inf
    clock.advance(600)
    first = await store.acquire(large, clock.now())
    assert isinstance(first, Lease)
    await store.learn(first, [RateFact(Unit.TOKENS, 60.0, 8_000, 7_500)], clock.now())
    assert isinstance(await store.acquire(large, clock.now()), Lease)


async def test_a_call_that_a_limit_nobody_gives_is_too_small_for_waits_as_well(store, clock):
    day = Limit(Unit.TOKENS, 300, 86_400.0, span="day", confidence="header")
    pool = Pool("p/tokens/day", day)
    await store.begin(pool, RateFact(Unit.TOKENS, 86_400.0, 300, 300), clock.now())
    assert store.fits_at(Charges((pool,), (500,)), clock.now()) == clock.now().mono + 3_600


async def test_garbage_moves_nothing(store, clock):
    lease = await leased(store, clock)
    assert not await store.learn(lease, [minute(0, 999_999_999_999)], clock.now())
    assert store.readings([REQUESTS], clock.now())[0].source == "configured"


async def test_a_failed_call_teaches_after_its_lease_has_ended(store, clock):
    lease = await leased(store, clock)
    await store.settle(lease, {}, clock.now())
    await store.learn(lease, [minute(0)], clock.now())
    assert store.readings([REQUESTS], clock.now())[0].used == 30


async def test_a_reload_keeps_what_was_learned_until_the_settings_say_otherwise(store, clock):
    lease = await leased(store, clock)
    await store.learn(lease, [minute(5, 20)], clock.now())
    store.adopt(POOLS, clock.now())
    assert store.readings([REQUESTS], clock.now())[0].limit == 20
    other = Pool(REQUESTS.id, Limit(Unit.REQUESTS, 40, 60))
    store.adopt([other, DAY, SLOTS], clock.now())
    [reading] = store.readings([other], clock.now())
    assert (reading.used, reading.limit, reading.source) == (15, 40, "configured")


async def test_what_answers_taught_is_forgotten_on_demand_and_use_is_kept(store, clock):
    lease = await leased(store, clock)
    await store.learn(lease, [minute(5, 20)], clock.now())
    store.changed()
    assert store.unlearn(POOLS, clock.now()) == [REQUESTS]
    assert store.changed() == {("pool", REQUESTS.id)}
    [reading] = store.readings([REQUESTS], clock.now())
    assert (reading.used, reading.limit, reading.source) == (15, 30, "configured")
    kept = store.kept(("pool", REQUESTS.id), clock.now())
    assert (kept.limit, kept.told, kept.measure) == (REQUESTS.limit, None, None)
    assert store.unlearn(POOLS, clock.now()) == []


async def test_a_limit_that_was_measured_is_measured_anew_once_forgotten(store, clock):
    lease = await store.acquire(Charges((UNKNOWN_POOL,), (1,)), clock.now())
    await store.confirm(lease, clock.now())
    await store.settle(lease, {}, clock.now())
    lease = await store.acquire(Charges((UNKNOWN_POOL,), (1,)), clock.now())
    await store.cancel(lease, clock.now())
    assert await store.refused(lease, REFUSED, [], clock.now())
    assert store.readings([UNKNOWN_POOL], clock.now())[0].limit == 1
    store.unlearn([UNKNOWN_POOL], clock.now())
    assert store.readings([UNKNOWN_POOL], clock.now())[0].limit == math.inf
    assert isinstance(await store.acquire(Charges((UNKNOWN_POOL,), (1,)), clock.now()), Lease)


async def test_what_was_learned_of_a_pool_that_is_gone_is_forgotten(store, clock):
    lease = await leased(store, clock)
    await store.learn(lease, [minute(5, 20)], clock.now())
    store.adopt([DAY], clock.now())
    store.adopt(POOLS, clock.now())
    [reading] = store.readings([REQUESTS], clock.now())
    assert (reading.used, reading.limit, reading.source) == (15, 30, "configured")


async def test_an_answer_from_before_a_counter_was_replaced_says_nothing_of_the_new_one(store, clock):
    lease = await leased(store, clock)
    bucket = Pool(REQUESTS.id, Limit(Unit.REQUESTS, 30, 60, WindowKind.BUCKET))
    store.adopt([bucket, DAY, SLOTS], clock.now())
    assert not await store.learn(lease, [minute(0)], clock.now())
    assert store.readings([bucket], clock.now())[0].used == 1


UNKNOWN_POOL = Pool("p/unknown", UNKNOWN)
REFUSED = Outcome(Kind.RATE_LIMITED, 429)


async def taken(store, clock, pool, *, served: bool = True) -> Lease:
    lease = await store.acquire(Charges((pool,), (1,)), clock.now())
    assert isinstance(lease, Lease)
    if served:
        await store.confirm(lease, clock.now())
        await store.settle(lease, {}, clock.now())
    return lease


async def refused(store, clock, pool, *facts: RateFact) -> bool:
    lease = await taken(store, clock, pool, served=False)
    await store.cancel(lease, clock.now())
    return await store.refused(lease, REFUSED, facts, clock.now())


async def test_an_unknown_limit_lets_one_call_go_and_more_with_every_answer(store, clock):
    first = await taken(store, clock, UNKNOWN_POOL, served=False)
    assert isinstance(await store.acquire(Charges((UNKNOWN_POOL,), (1,)), clock.now()), Denied)
    assert await store.confirm(first, clock.now())
    await taken(store, clock, UNKNOWN_POOL, served=False)
    assert store.ceiling(UNKNOWN_POOL, clock.now()) == math.inf
    assert store.left([UNKNOWN_POOL], clock.now()) == 1


async def test_a_refusal_measures_the_limit_and_steps_bring_it_back(store, clock):
    for _ in range(20):
        await taken(store, clock, REQUESTS)
    assert await refused(store, clock, REQUESTS)
    [reading] = store.readings([REQUESTS], clock.advance(3))
    assert (reading.used, reading.limit, reading.source, reading.age) == (20, 20, "measured", 3)
    store.adopt(POOLS, clock.now())
    assert store.ceiling(REQUESTS, clock.now()) == 20
    clock.advance(700)
    while store.ceiling(REQUESTS, clock.now()) < 30:
        for _ in range(int(store.ceiling(REQUESTS, clock.now()))):
            await taken(store, clock, REQUESTS)
        clock.advance(60)
    for _ in range(30):
        await taken(store, clock, REQUESTS)
    [reading] = store.readings([REQUESTS], clock.now())
    assert (reading.limit, reading.source) == (30, "configured")


async def test_a_refusal_that_told_of_the_limit_measures_nothing(store, clock):
    for _ in range(20):
        await taken(store, clock, REQUESTS)
    assert not await refused(store, clock, REQUESTS, minute(0))
    assert not await refused(store, clock, SLOTS)
    assert store.ceiling(REQUESTS, clock.now()) == 30


async def asked(store, clock, fact: RateFact) -> None:
    lease = await taken(store, clock, REQUESTS)
    await store.learn(lease, [fact], clock.now())


async def told_no(store, clock, *facts: RateFact) -> bool:
    lease = await taken(store, clock, REQUESTS, served=False)
    await store.cancel(lease, clock.now())
    await store.learn(lease, facts, clock.now())
    return await store.refused(lease, REFUSED, facts, clock.now())


@pytest.mark.parametrize("again", [(), (minute(999, 1_000),)], ids=["silent", "saying so again"])
async def test_a_refusal_is_believed_rather_than_answers_that_gave_back_calls_of_ours(store, clock, again):
    for _ in range(20):
        await asked(store, clock, minute(999, 1_000))
    assert await told_no(store, clock, *again)
    [reading] = store.readings([REQUESTS], clock.now())
    assert (reading.used, reading.limit, reading.source) == (20, 20, "measured")
    clock.advance(61)
    await asked(store, clock, minute(999, 1_000))
    await asked(store, clock, minute(None, 40))
    [reading] = store.readings([REQUESTS], clock.now())
    assert (reading.used, reading.limit, reading.source) == (2, 20, "measured")
    await asked(store, clock, minute(0, 30, reset_in=9.0))  # but that nothing is left is heard
    [reading] = store.readings([REQUESTS], clock.now())
    assert (reading.used, reading.limit, reading.source) == (20, 20, "measured")
    assert store.fits_at(Charges((REQUESTS,), (1,)), clock.now()) == clock.now().mono + 9


async def test_answers_that_count_as_we_do_are_doubted_for_a_window_until_a_second_refusal(store, clock):
    for used in range(20):
        await asked(store, clock, minute(29 - used, 30))
    assert await told_no(store, clock, minute(10, 30))
    assert store.ceiling(REQUESTS, clock.now()) == 20
    assert store.ceiling(REQUESTS, clock.advance(61)) == 22
    for used in range(20):
        await asked(store, clock, minute(29 - used, 30))
    assert await told_no(store, clock, minute(10, 30))
    assert store.ceiling(REQUESTS, clock.advance(9 * 60)) == 20


async def test_a_refusal_that_tells_of_another_counter_that_is_spent_doubts_nothing(store, clock):
    for _ in range(20):
        await asked(store, clock, minute(999, 1_000))
    spent = RateFact(Unit.REQUESTS, 86_400.0, 1_000, 0)
    lease = await leased(store, clock)
    await store.cancel(lease, clock.now())
    assert not await store.refused(lease, REFUSED, [minute(999, 1_000), spent], clock.now())


async def test_answers_are_heard_again_once_the_measured_limit_is_back_at_the_given_one(store, clock):
    for _ in range(20):
        await asked(store, clock, minute(29, 30))
    assert await told_no(store, clock, minute(29, 30))
    clock.advance(700)
    while store.ceiling(REQUESTS, clock.now()) < 30:
        for _ in range(int(store.ceiling(REQUESTS, clock.now()))):
            await taken(store, clock, REQUESTS)
        clock.advance(60)
    for _ in range(30):
        await taken(store, clock, REQUESTS)
    clock.advance(61)
    await asked(store, clock, minute(90, 100))
    [reading] = store.readings([REQUESTS], clock.now())
    assert (reading.used, reading.limit, reading.source) == (10, 100, "header")


async def test_a_refusal_of_next_to_nothing_lowers_nothing(store, clock):
    assert not await refused(store, clock, REQUESTS)
    assert not await refused(store, clock, UNKNOWN_POOL)
    assert store.ceiling(REQUESTS, clock.now()) == 30


async def test_a_refusal_right_after_a_slot_came_back_lengthens_the_guard_once(clock):
    store = MemoryCounters(guard=0.5)
    pool = Pool("p/two", Limit(Unit.REQUESTS, 2, 60.0, span="minute"))
    for _ in range(2):
        await store.settle(await taken(store, clock, pool, served=False), {}, clock.now())
    clock.advance(60.5)
    assert await refused(store, clock, pool)
    assert store.ceiling(pool, clock.now()) == 2
    assert store.fits_at(Charges((pool,), (1,)), clock.now()) == clock.now().mono + 0.5


async def test_a_told_limit_takes_the_place_of_a_measured_one_and_other_settings_of_both(store, clock):
    for _ in range(20):
        await taken(store, clock, REQUESTS)
    await refused(store, clock, REQUESTS)
    clock.advance(61)
    lease = await taken(store, clock, REQUESTS)
    await store.learn(lease, [minute(24, 25)], clock.now())
    assert store.ceiling(REQUESTS, clock.now()) == 25
    await taken(store, clock, UNKNOWN_POOL)
    known = Pool(UNKNOWN_POOL.id, Limit(Unit.REQUESTS, 9, 60.0, span="minute"))
    store.adopt([REQUESTS, known], clock.now())
    assert store.ceiling(known, clock.now()) == 9
    store.adopt([REQUESTS, UNKNOWN_POOL], clock.now())
    assert store.ceiling(UNKNOWN_POOL, clock.now()) == math.inf


async def test_a_counter_begins_with_what_made_it_known(store, clock):
    await store.begin(DAY, RateFact(Unit.REQUESTS, 86_400.0, 1_000, 990), clock.now())
    await store.begin(DAY, RateFact(Unit.REQUESTS, 86_400.0, 1_000, None), clock.now())
    [reading] = store.readings([DAY], clock.now())
    assert (reading.used, reading.source) == (10, "header")
