"""The limiter against an oracle: several counters a call, shared by keys and models, at awkward dates.

The provider here counts each call at an instant of its own between sending and answer, in its own way (see
`tests.support.oracle`). As long as estimates are right it never has to refuse; what is denied is denied no
longer than need be; and nothing is ever lost.
"""

import math
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import Struct, structs

from freeroute.clock import Now
from freeroute.domain.catalogue import Candidate, Key, Limit, Pool, Scope, Unit, WindowKind, candidates_of
from freeroute.domain.leases import Charge, Denied, Lease
from freeroute.domain.rates import RateFact
from freeroute.engine.ports import Counters
from freeroute.stores.memory import MemoryCounters
from tests.support.oracle import Count, Quota, used
from tests.support.world import model, provider

T = TypeVar("T")

GUARD = 2.0
LATE = 1.6 * GUARD  # answers that begin late lengthen the guard so far, refusals apart
STORES = {"memory": lambda: MemoryCounters(guard=GUARD)}

DAY, MONTH = 86_400.0, 30 * 86_400.0
ZONES = ("America/New_York", "America/Los_Angeles", "Europe/Berlin", "UTC")
NOISE = 1e-6

# Each a few minutes before something: clocks go forward or back in New York, Los Angeles and Berlin, a month
# ends, a leap day begins, a year ends in UTC and elsewhere, an ordinary noon.
MOMENTS = (
    1_772_952_900.0,  # 2026-03-08T06:55Z
    1_772_963_700.0,  # 2026-03-08T09:55Z
    1_793_512_500.0,  # 2026-11-01T05:55Z
    1_774_745_700.0,  # 2026-03-29T00:55Z
    1_793_505_300.0,  # 2026-11-01T03:55Z
    1_835_395_000.0,  # 2028-02-28T23:56:40Z
    1_798_761_300.0,  # 2026-12-31T23:55Z
    1_790_000_000.0,
)
SPANS = st.sampled_from(
    [0.0, 1 / 64, 0.25, 1.0, GUARD, 5.5, 13.0, 29.75, 58.0, 60.0, 62.25, 3_600.0, 43_200.0, DAY, 40 * DAY]
)
WINDOWS = st.sampled_from(
    [
        (WindowKind.SLIDING, "minute", 60.0),
        (WindowKind.SLIDING, "", 10.0),
        (WindowKind.BUCKET, "minute", 60.0),
        (WindowKind.BUCKET, "day", DAY),
        (WindowKind.CALENDAR, "day", DAY),
        (WindowKind.CALENDAR, "month", MONTH),
    ]
)
QUOTAS = st.builds(
    lambda unit, window, amount, scope, zone: Limit(
        unit, amount, window[2], window[0], window[1], zone, scope
    ),
    st.sampled_from([Unit.REQUESTS, Unit.TOKENS]),
    WINDOWS,
    st.integers(1, 8).map(float),
    st.sampled_from(list(Scope)),
    st.sampled_from(ZONES),
)
SLOTS = st.builds(
    lambda amount, scope: Limit(Unit.CONCURRENCY, amount, scope=scope),
    st.integers(1, 3).map(float),
    st.sampled_from(list(Scope)),
)
LIMITS = st.lists(QUOTAS | SLOTS, min_size=1, max_size=4, unique_by=lambda limit: (limit.label, limit.scope))

# Two accounts: the first has two keys, which share its counters.
KEYS = (Key("s1", "k1", "one"), Key("s2", "k2", "one"), Key("s3", "k3", "two"))
MODELS = ("m1", "m2")
Place = tuple[str, ...]


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a verb, which must not wait: choosing and leasing are one step."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the verb waited")


def drawn(data: st.DataObject, things: Sequence[T]) -> T:
    """Draw by place: a report then shows numbers instead of whole calls."""
    return things[data.draw(st.integers(0, len(things) - 1))]


def place_of(limit: Limit, candidate: Candidate) -> Place:
    """Return where *limit* is counted for a call by *candidate*, as the documentation has it."""
    key = candidate.key
    place = {
        Scope.ACCOUNT: (key.account,),
        Scope.MODEL: (key.account, candidate.model.id),
        Scope.KEY: (key.label,),
        Scope.IP: (),
    }
    return (limit.label, limit.scope.value, *place[limit.scope])


class Call(Struct, eq=False):
    """A call as the provider sees it: *delay* after it was *sent* it is there, or when the answer began.

    *sent* is by our clocks, *true_sent* by the true ones. *charged* and *real* are by unit, *real* unknown
    until the end; what it was more than charged is counted then. *ceilings* are the limits when it was sent.
    """

    candidate: Candidate
    lease: Lease
    sent: Now
    true_sent: Now
    delay: float
    charged: dict[Unit, float]
    ceilings: dict[tuple[str, str], float]
    real: dict[Unit, float] | None = None
    head: Now | None = None
    ended: Now | None = None

    def arrived(self) -> float:
        heard = self.head or self.ended
        by = math.inf if heard is None else heard.mono - self.true_sent.mono
        return self.true_sent.mono + min(self.delay, by)


class Limiter(RuleBasedStateMachine):
    """Calls through a store, and the provider that counts them."""

    store: Counters

    @initialize(
        limits=LIMITS,
        moment=st.sampled_from(MOMENTS),
        refunds=st.booleans(),
        store=st.sampled_from(sorted(STORES)),
    )
    def begin(self, limits, moment, refunds, store):
        self.store = STORES[store]()
        self.now = Now(1_000.0, moment)  # the true time
        self.skew = 0.0  # by how much our wall clock is off
        self.refunds = refunds  # whether the provider counts the estimate until the call has ended
        self.calls: list[Call] = []
        self.resized: set[tuple[str, str]] = set()
        self.wall_sets = 0
        self.late_is_wrong = True
        self.gone: set[str] = set()  # keys that a reload took away
        self.build(limits)

    def build(self, limits: list[Limit]) -> None:
        self.limits = {(limit.label, limit.scope.value): limit for limit in limits}
        place = provider("p", *map(model, MODELS), keys=KEYS, limits=tuple(limits))
        self.candidates = candidates_of(place)
        self.pools = {pool.id: pool for candidate in self.candidates for pool in candidate.pools}

    @property
    def ours(self) -> Now:
        """What our clocks say."""
        return Now(self.now.mono, self.now.wall + self.skew)

    @property
    def under_way(self) -> list[Call]:
        return [call for call in self.calls if call.ended is None]

    # --- what happens -------------------------------------------------------------------------------

    @rule(seconds=SPANS)
    def time_passes_or_the_machine_sleeps(self, seconds):
        self.now = self.now.later(seconds)

    @rule(data=st.data())
    def a_quota_is_about_to_come_back(self, data):
        [reading] = self.store.readings([drawn(data, list(self.pools.values()))], self.ours)
        self.now = self.now.later(max(0.0, reading.resets_in - 1.0))

    @rule(data=st.data(), tokens=st.integers(0, 9), delay=st.sampled_from([0.0, 0.25, 1.0, GUARD]))
    def a_call_begins_if_it_fits(self, data, tokens, delay):
        self.try_one(self.drawn_candidate(data), tokens, delay)

    @rule(
        data=st.data(),
        tokens=st.integers(0, 9),
        delay=st.sampled_from([0.0, GUARD]),
        ended_after=st.sampled_from([0.0, 1.0, 5.0, 50_000.0, math.inf]),
    )
    def a_call_comes_back_when_it_was_told_to(self, data, tokens, delay, ended_after):
        candidate = self.drawn_candidate(data)
        denied = self.try_one(candidate, tokens, delay)
        if denied is None or denied.until == math.inf:
            return
        # Before any reset, if there is one to come: that is what the time was worked out for.
        if not any(limit.window is WindowKind.CALENDAR for limit in self.limits.values()):
            self.now = self.now.later(min(ended_after, denied.until - self.now.mono))
        for call in self.under_way:
            self.end(call, dict(call.charged))
        self.now = self.now.later(max(0.0, denied.until - self.now.mono) + NOISE)
        assert self.try_one(candidate, tokens, delay) is None

    @rule(data=st.data(), count=st.integers(2, 6), tokens=st.integers(0, 3))
    def a_burst_comes(self, data, count, tokens):
        candidate = self.drawn_candidate(data)
        for _ in range(count):
            self.try_one(candidate, tokens, data.draw(st.sampled_from([0.0, 1.0, GUARD])))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), told=st.booleans())
    def an_answer_begins(self, data, told):
        call = drawn(data, self.under_way)
        if call.head is None:
            call.head = self.now
            at_once(self.store.confirm(call.lease, self.ours))
            if told:
                at_once(self.store.learn(call.lease, self.told(call), self.ours))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), told=st.booleans())
    def a_call_ends_having_used_no_more_than_expected(self, data, told):
        call = drawn(data, self.under_way)
        tokens = data.draw(st.integers(0, int(call.charged[Unit.TOKENS])))
        self.end(call, {**call.charged, Unit.TOKENS: tokens})
        if told and not self.refunds:  # what is settled, an answer must tell as settled too
            at_once(self.store.learn(call.lease, self.told(call), self.ours))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), more=st.integers(1, 20))
    def a_call_ends_having_used_more(self, data, more):
        call = drawn(data, self.under_way)
        self.end(call, {**call.charged, Unit.TOKENS: call.charged[Unit.TOKENS] + more})

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def a_call_is_never_sent(self, data):
        call = drawn(data, self.under_way)
        if call.head is None:
            call.real, call.ended = dict.fromkeys(call.charged, 0.0), self.now
            at_once(self.store.cancel(call.lease, self.ours))

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def what_has_ended_ends_again(self, data):
        call = drawn(data, self.calls)
        if call.ended is not None:
            before = self.state()
            at_once(self.store.settle(call.lease, dict.fromkeys(Unit, 0.0), self.ours))
            at_once(self.store.cancel(call.lease, self.ours))
            at_once(self.store.confirm(call.lease, self.ours))
            assert self.state() == before

    # --- how it is done -----------------------------------------------------------------------------

    def drawn_candidate(self, data: st.DataObject) -> Candidate:
        return drawn(data, self.candidates)

    def reload(self) -> None:
        self.build(list(self.limits.values()))
        here = [candidate for candidate in self.candidates if candidate.key.label not in self.gone]
        self.store.adopt([pool for candidate in here for pool in candidate.pools], self.ours)

    def try_one(self, candidate: Candidate, tokens: int, delay: float) -> Denied | None:
        if candidate.key.label in self.gone:
            return None
        charged = {Unit.REQUESTS: 1.0, Unit.TOKENS: float(tokens), Unit.CONCURRENCY: 1.0}
        charges = [Charge(pool, charged[pool.limit.unit]) for pool in candidate.pools]
        fits_at = self.store.fits_at(charges, self.ours)
        lease = at_once(self.store.acquire(charges, self.ours))
        if isinstance(lease, Denied):
            assert lease.until == fits_at > self.now.mono
            self.the_denial_is_just(candidate, charged, lease)
            return lease
        assert fits_at == self.now.mono
        ceilings = {name: limit.amount for name, limit in self.limits.items()}
        self.calls.append(Call(candidate, lease, self.ours, self.now, delay, charged, ceilings))
        return None

    def end(self, call: Call, real: dict[Unit, float]) -> None:
        call.real, call.ended = real, self.now
        at_once(self.store.settle(call.lease, real, self.ours))

    def told(self, call: Call) -> tuple[RateFact, ...]:
        """Return what the answer to *call* says: the provider's counts when it arrived."""
        at = call.arrived()
        wall = self.now.wall - (self.now.mono - at)
        facts = []
        for name, limit in self.limits.items():
            if limit.unit is not Unit.CONCURRENCY:
                count = used(
                    quota_of(limit), self.counts(place_of(limit, call.candidate), name, at), at, wall
                )
                left = float(max(0, math.floor(limit.amount - count)))
                facts.append(
                    RateFact(limit.unit, limit.seconds, limit.amount, left, None, "header", limit.scope)
                )
        return tuple(facts)

    def counts(
        self, place: Place, name: tuple[str, str], until: float, known: float = math.inf
    ) -> list[Count]:
        """Return what was counted at *place* until then; beyond estimates what ended before *known*."""
        limit, found = self.limits[name], []
        for call in self.calls:
            if place_of(limit, call.candidate) != place or (at := call.arrived()) > until:
                continue
            wall = call.true_sent.wall + at - call.true_sent.mono
            charged = call.charged[limit.unit]
            real = charged if call.real is None else call.real[limit.unit]
            over = call.ended is not None and call.ended.mono <= until
            found.append(
                Count(at, wall, charged if self.refunds and real and not over else min(charged, real))
            )
            if (
                call.ended is not None
                and real > charged
                and call.ended.mono <= until
                and call.ended.mono < known
            ):
                found.append(Count(call.ended.mono, call.ended.wall, real - charged))
        return found

    def state(self) -> list[float]:
        return [reading.used for reading in self.store.readings(list(self.pools.values()), self.ours)]

    # --- what must hold -----------------------------------------------------------------------------

    def the_denial_is_just(self, candidate: Candidate, charged: dict[Unit, float], denied: Denied) -> None:
        """Hold that the provider itself would have refused until at most a guard before *until*."""
        for limit in self.limits.values():
            if charged[limit.unit] > limit.amount:
                assert denied.until == math.inf
                return
        assert denied.until < math.inf
        if not self.late_is_wrong or self.wall_sets or denied.pool.limit.unit is Unit.CONCURRENCY:
            return
        if any(
            limit.window is WindowKind.BUCKET and name in self.resized for name, limit in self.limits.items()
        ):
            return
        at = denied.until - LATE - self.paused_in_vain(denied.pool) - NOISE - 1 / 64
        if at <= self.now.mono:
            return
        wall = self.now.wall + at - self.now.mono
        assert any(
            used(quota_of(limit), self.doubtful(place_of(limit, candidate), name, at, limit), at, wall)
            + charged[limit.unit]
            > limit.amount
            for name, limit in self.limits.items()
            if limit.unit is not Unit.CONCURRENCY
        )

    def paused_in_vain(self, pool: Pool) -> float:
        """Return how long a bucket may have been taken not to refill for calls that were never sent."""
        if pool.limit.window is not WindowKind.BUCKET:
            return 0.0
        return GUARD * sum(call.real is not None and not any(call.real.values()) for call in self.calls)

    def doubtful(self, place: Place, name: tuple[str, str], until: float, limit: Limit) -> list[Count]:
        """Return `counts` as a gateway must take them: what was under way at a reset counts on both sides."""
        counts = self.counts(place, name, until)
        if limit.window is not WindowKind.CALENDAR:
            return counts
        for call in self.calls:
            if place_of(limit, call.candidate) == place:
                ended = call.ended or self.now
                real = (call.real or call.charged)[limit.unit]
                for at in (call.true_sent, ended):
                    there = Count(at.mono, at.wall, 0.0)
                    arrived = Count(
                        call.arrived(), call.true_sent.wall + call.arrived() - call.true_sent.mono, 0.0
                    )
                    if not same_period(limit, there.wall, arrived.wall):
                        counts.append(Count(at.mono, at.wall, real))
        return counts

    @invariant()
    def no_ceiling_is_passed(self):
        for call in self.calls[-8:]:
            for name, limit in self.limits.items():
                self.within(call, name, limit)

    def within(self, call: Call, name: tuple[str, str], limit: Limit) -> None:
        if limit.unit is Unit.CONCURRENCY or (limit.window is WindowKind.BUCKET and name in self.resized):
            return  # a bucket refilled at another rate has another history
        if not call.charged[limit.unit]:
            return
        place, at = place_of(limit, call.candidate), call.arrived()
        there = [one for one in self.calls if place_of(limit, one.candidate) == place and one.arrived() <= at]
        known = -math.inf if self.wall_sets else max(one.sent.mono for one in there)
        ceiling = max(one.ceilings[name] for one in there if one.sent.mono >= call.sent.mono)
        if limit.window is WindowKind.CALENDAR and self.wall_sets:  # a day more for each time it was set
            ceiling = (1 + self.wall_sets) * max(one.ceilings[name] for one in there)
        wall = call.true_sent.wall + at - call.true_sent.mono
        assert used(quota_of(limit), self.counts(place, name, at, known), at, wall) <= ceiling + NOISE

    @invariant()
    def slots_are_those_under_way(self):
        for pool in self.pools.values():
            if pool.limit.unit is Unit.CONCURRENCY:
                mine = [
                    call for call in self.under_way if any(c.pool.id == pool.id for c in call.lease.charges)
                ]
                [reading] = self.store.readings([pool], self.ours)
                assert reading.used == len(mine)

    def teardown(self):
        if not hasattr(self, "limits"):
            return
        for call in self.under_way:
            self.end(call, dict(call.charged))
        self.no_ceiling_is_passed()
        assert self.store.in_flight() == 0  # type: ignore[attr-defined]
        self.gone.clear()
        self.reload()
        self.now = self.now.later(2 * max(31 * DAY, GUARD))
        for pool in self.pools.values():
            [reading] = self.store.readings([pool], self.ours)
            assert abs(reading.used) <= NOISE
            assert self.store.fits_at([Charge(pool, pool.limit.amount)], self.ours) == self.now.mono


class TroubledLimiter(Limiter):
    """Reloads, clocks that are set, and calls of which nobody knows whether they counted."""

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def a_call_breaks_that_the_provider_did_not_count(self, data):
        call = drawn(data, self.under_way)
        if call.head is None:
            self.late_is_wrong = False  # we keep the charge, to be safe
            call.real, call.ended = dict.fromkeys(call.charged, 0.0), self.now
            at_once(self.store.settle(call.lease, {}, self.ours))

    @rule(data=st.data())
    def a_reload_changes_an_amount_as_the_provider_did(self, data):
        name = drawn(data, sorted(self.limits))
        amount = float(data.draw(st.integers(1, 12)))
        self.limits[name] = structs.replace(self.limits[name], amount=amount)
        self.resized.add(name)
        self.reload()

    @rule(data=st.data())
    def a_reload_takes_a_key_away_or_brings_it_back(self, data):
        self.gone ^= {drawn(data, KEYS).label}
        self.reload()

    @rule(seconds=st.sampled_from([-40 * DAY, -DAY, -3_600.0, -90.0, 90.0, 3_600.0, DAY, 40 * DAY]))
    def somebody_sets_the_wall_clock(self, seconds):
        self.skew = 0.0 if self.skew else seconds
        self.wall_sets += 1


def quota_of(limit: Limit) -> Quota:
    kind = limit.span if limit.window is WindowKind.CALENDAR else limit.window.value
    return Quota(kind, limit.amount, limit.seconds, limit.tz)


def same_period(limit: Limit, one: float, other: float) -> bool:
    quota = quota_of(limit)
    return used(quota, [Count(0.0, one, 1.0)], 0.0, other) == 1.0


AWKWARD = settings(max_examples=150, stateful_step_count=30, deadline=None)

TestLimiter = Limiter.TestCase
TestLimiter.settings = AWKWARD
TestTroubledLimiter = TroubledLimiter.TestCase
TestTroubledLimiter.settings = AWKWARD
