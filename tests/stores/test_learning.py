"""Stores that are told what the provider counts: which counter it is for, and how it is shown."""

import pytest

from freeroute.domain.catalogue import Limit, Pool, Unit, WindowKind
from freeroute.domain.leases import Charge, Lease
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
    lease = await store.acquire([Charge(pool, 1) for pool in POOLS], clock.now())
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
    assert store.fits_at([Charge(REQUESTS, 1)], clock.now()) == clock.now().mono + 60


async def test_a_failed_call_teaches_after_its_lease_has_ended(store, clock):
    lease = await leased(store, clock)
    await store.settle(lease, None, clock.now())
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
