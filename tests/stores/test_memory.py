"""The stores' contract: atomic verbs over many counters; and what is the memory store's own."""

import math

import pytest
from hypothesis import assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from freeroute.clock import Now
from freeroute.domain.catalogue import Limit, Pool, Unit, WindowKind
from freeroute.domain.leases import Charges, Denied, Lease
from freeroute.engine.ports import Counters
from freeroute.stores.memory import MemoryCounters
from tests.support.clocks import ManualClock
from tests.support.scenery import at_once

REQUESTS = Pool("p/requests", Limit(Unit.REQUESTS, 3, 60))
TOKENS = Pool("p/tokens", Limit(Unit.TOKENS, 100, 60, WindowKind.BUCKET))
DAY = Pool("p/day", Limit(Unit.TOKENS, 200, 86_400, WindowKind.CALENDAR, "day", confidence="documented"))
SLOTS = Pool("p/slots", Limit(Unit.CONCURRENCY, 2))
POOLS = (REQUESTS, TOKENS, DAY, SLOTS)

STORES = {"memory": lambda: MemoryCounters(guard=0.0)}


@pytest.fixture(params=sorted(STORES))
def store(request) -> Counters:
    return STORES[request.param]()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def charges(tokens: float) -> Charges:
    return Charges(POOLS, (1, tokens, tokens, 1))


def used(store: Counters, now: Now) -> list[float]:
    return [reading.used for reading in store.readings(POOLS, now)]


async def acquired(store: Counters, wanted: Charges, now: Now) -> Lease:
    lease = await store.acquire(wanted, now)
    assert isinstance(lease, Lease)
    return lease


async def test_a_lease_takes_every_charge(store, clock):
    await acquired(store, charges(40), clock.now())
    assert used(store, clock.now()) == [1, 40, 40, 1]


async def test_a_denial_takes_nothing_and_names_the_pool_that_is_back_last(store, clock):
    await acquired(store, charges(90), clock.now())
    denied = await store.acquire(charges(70), clock.advance(6))
    # 10 of the 90 tokens have been refilled; 50 more take 30 s.
    assert denied == Denied(clock.now().mono + 30, TOKENS)
    assert used(store, clock.now()) == [1, 80, 90, 1]
    assert store.fits_at(charges(70), clock.now()) == clock.now().mono + 30
    denied = await store.acquire(charges(120), clock.now())
    assert denied == Denied(math.inf, TOKENS)


async def test_what_was_found_to_fit_is_not_taken_once_a_rival_has_taken_it(store, clock):
    now, wanted = clock.now(), charges(60)
    assert store.fits_at(wanted, now) == now.mono
    await acquired(store, charges(60), now)
    assert isinstance(await store.acquire(wanted, now), Denied)
    assert store.fits_at(wanted, clock.advance(60)) == clock.now().mono
    await acquired(store, charges(60), clock.now())
    assert isinstance(await store.acquire(wanted, clock.advance(1)), Denied)
    assert used(store, clock.now())[0] == 1


async def test_no_charges_always_fit(store, clock):
    assert store.fits_at(Charges((), ()), clock.now()) == clock.now().mono
    await store.settle(await acquired(store, Charges((), ()), clock.now()), {}, clock.now())


async def test_settling_sets_what_is_known_and_frees_the_slot(store, clock):
    lease = await acquired(store, charges(40), clock.now())
    await store.confirm(lease, clock.now())
    await store.settle(lease, {Unit.TOKENS: 30, Unit.CONCURRENCY: 1}, clock.now())
    assert not lease.open
    assert used(store, clock.now()) == [1, 30, 30, 0]


async def test_settling_with_nothing_known_keeps_the_charge(store, clock):
    lease = await acquired(store, charges(40), clock.now())
    await store.settle(lease, {}, clock.now())
    assert used(store, clock.now()) == [1, 40, 40, 0]


async def test_a_confirmed_call_starts_its_window_when_the_answer_began(clock):
    store = MemoryCounters(guard=5.0)
    lease = await acquired(store, Charges((REQUESTS,), (3,)), clock.now())
    await store.confirm(lease, clock.advance(1))
    assert store.fits_at(Charges((REQUESTS,), (1,)), clock.now()) == clock.now().mono + 60


async def test_a_call_that_went_out_late_is_counted_from_then_on(clock):
    store = MemoryCounters(guard=5.0)
    lease = await acquired(store, Charges((REQUESTS,), (3,)), clock.now())
    await store.sent(lease, clock.advance(2))
    assert store.fits_at(Charges((REQUESTS,), (1,)), clock.now()) == clock.now().mono + 65
    await store.settle(lease, {}, clock.now())
    await store.sent(lease, clock.advance(2))
    assert store.fits_at(Charges((REQUESTS,), (1,)), clock.now()) == clock.now().mono + 63


async def test_a_closed_lease_stays_closed(store, clock):
    lease = await acquired(store, charges(40), clock.now())
    await store.settle(lease, {Unit.TOKENS: 30}, clock.now())
    await store.settle(lease, {Unit.TOKENS: 99}, clock.now())
    await store.cancel(lease, clock.now())
    await store.confirm(lease, clock.advance(-1))
    assert used(store, clock.advance(1)) == [1, 30, 30, 0]


async def test_cancelling_leaves_no_trace(store, clock):
    await store.cancel(await acquired(store, charges(40), clock.now()), clock.now())
    assert used(store, clock.now()) == [0, 0, 0, 0]


async def test_every_step_of_a_call_is_to_be_kept_anew(clock):
    store = MemoryCounters()
    unknown = Pool("p/unknown", Limit(Unit.TOKENS, math.inf, 86_400, WindowKind.CALENDAR, "day"))
    names = {("pool", unknown.id)}
    lease = await acquired(store, Charges((unknown,), (5,)), clock.now())
    assert store.changed() == names
    assert store.changed() == set()
    await store.confirm(lease, clock.now())  # which shows how much the limit holds
    assert store.changed() == names
    await store.settle(lease, {}, clock.now())
    assert store.changed() == names


async def test_a_reading_tells_use_limit_reset_and_source(store, clock):
    await acquired(store, charges(40), clock.now())
    requests, tokens, day, slots = store.readings(POOLS, clock.now())
    assert (requests.limit, requests.resets_in, requests.source) == (3, 60, "configured")
    assert (tokens.used, tokens.resets_in) == (40, 24)
    assert (day.resets_in, day.source) == (35_200, "documented")
    assert (slots.used, slots.limit, slots.resets_in) == (1, 2, 0)


async def test_what_is_left_is_that_of_the_scarcest_quota_slots_apart(store, clock):
    await acquired(store, charges(40), clock.now())
    assert store.left(POOLS, clock.now()) == pytest.approx(0.6)
    assert store.left([SLOTS], clock.now()) == 1
    assert store.lead([SLOTS], clock.now()) == 1
    assert store.lead([REQUESTS], clock.now()) == pytest.approx(2 / 3)
    assert store.lead(POOLS, clock.now()) == pytest.approx(0.8 - 35_200 / 86_400)


async def test_a_reload_keeps_use_and_takes_the_new_limits(clock):
    store = MemoryCounters(guard=0.0)
    lease = await acquired(store, charges(40), clock.now())
    roomier = Pool(REQUESTS.id, Limit(Unit.REQUESTS, 10, 60))
    sliding = Pool(TOKENS.id, Limit(Unit.TOKENS, 100, 60))
    store.adopt([roomier, sliding, DAY, SLOTS], clock.now())
    assert [reading.limit for reading in store.readings([roomier, sliding], clock.now())] == [10, 100]
    assert used(store, clock.now()) == [1, 40, 40, 1]
    await store.settle(lease, {Unit.TOKENS: 7}, clock.now())
    assert used(store, clock.now()) == [1, 40, 7, 0]  # a window of another kind keeps the charge


async def test_pools_that_are_gone_are_forgotten_when_nothing_is_taken(clock):
    store = MemoryCounters(guard=0.0)
    await store.settle(await acquired(store, charges(40), clock.now()), {}, clock.now())
    store.adopt([], clock.advance(120))
    assert sorted(store._cells) == [DAY.id]
    assert store.readings([DAY], clock.now())[0].used == 40


class Traffic(RuleBasedStateMachine):
    """Leases over several pools in any order, beside a tally that only adds and takes away."""

    def __init__(self):
        super().__init__()
        self.clock = ManualClock()
        self.store = MemoryCounters(guard=0.0)
        self.held: list[Lease] = []
        self.closed: list[Lease] = []

    @rule(seconds=st.sampled_from([0.0, 1.0, 20.0, 60.0, 86_400.0]))
    def time_passes(self, seconds):
        self.clock.advance(seconds)

    @rule(
        wanted=st.lists(
            st.tuples(st.sampled_from(POOLS), st.integers(0, 3) | st.integers(10, 120)),
            min_size=1,
            unique_by=lambda charge: charge[0].id,
        )
    )
    def a_call_asks(self, wanted):
        now = self.clock.now()
        before, asked = used(self.store, now), Charges(*map(tuple, zip(*wanted, strict=True)))
        at = self.store.fits_at(asked, now)
        granted = at_once(self.store.acquire(asked, now))
        sums = [sum(amount for pool, amount in wanted if pool is each) for each in POOLS]
        if isinstance(granted, Denied):
            assert granted.until == at > now.mono
            assert used(self.store, now) == before
            return
        assert at == now.mono
        assert used(self.store, now) == pytest.approx([a + b for a, b in zip(before, sums, strict=True)])
        for pool, total in zip(POOLS, used(self.store, now), strict=True):
            assert pool not in [pool for pool, _ in wanted] or total <= pool.limit.amount
        self.held.append(granted)

    @rule(tokens=st.integers(0, 100))
    def a_call_that_is_cancelled_at_once_leaves_no_trace(self, tokens):
        now = self.clock.now()
        before = used(self.store, now)
        lease = at_once(self.store.acquire(charges(tokens), now))
        assume(lease.__class__ is Lease)
        assert isinstance(lease, Lease)
        at_once(self.store.cancel(lease, now))
        assert used(self.store, now) == pytest.approx(before)

    @precondition(lambda self: self.held)
    @rule(
        data=st.data(),
        actual=st.none() | st.dictionaries(st.sampled_from([Unit.TOKENS]), st.integers(0, 150)),
    )
    def a_call_ends(self, data, actual):
        lease, now = data.draw(st.sampled_from(self.held)), self.clock.now()
        if data.draw(st.booleans()):
            at_once(self.store.confirm(lease, now))
        at_once(self.store.cancel(lease, now) if actual is None else self.store.settle(lease, actual, now))
        self.held.remove(lease)
        self.closed.append(lease)

    @precondition(lambda self: self.closed)
    @rule(data=st.data())
    def a_closed_lease_is_closed_again(self, data):
        lease, now = data.draw(st.sampled_from(self.closed)), self.clock.now()
        before = used(self.store, now)
        at_once(self.store.settle(lease, {Unit.TOKENS: 0}, now))
        at_once(self.store.cancel(lease, now))
        at_once(self.store.confirm(lease, now))
        assert used(self.store, now) == before

    @invariant()
    def slots_are_those_of_the_leases_that_are_open(self):
        taken = sum(
            amount
            for charges in [lease.charges for lease in self.held]
            for pool, amount in zip(charges.pools, charges.amounts, strict=True)
            if pool is SLOTS
        )
        assert used(self.store, self.clock.now())[3] == taken <= 2
        assert self.store.in_flight() == len(self.held)

    def teardown(self):
        for lease in self.held:
            at_once(self.store.settle(lease, {}, self.clock.now()))
        assert self.store.in_flight() == 0
        assert used(self.store, self.clock.advance(50 * 86_400)) == [0, 0, 0, 0]


TestTraffic = Traffic.TestCase
TestTraffic.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
