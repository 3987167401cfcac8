"""The limiter against an oracle: several counters a call, shared by keys and models, at awkward dates.

The provider here counts each call at an instant of its own between sending and answer, in its own way (see
`tests.support.oracle`). As long as estimates are right it never has to refuse; what is denied is denied no
longer than need be; and nothing is ever lost.
"""

import math

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import structs

from freeroute.clock import Now
from freeroute.domain.catalogue import Candidate, Limit, Pool, Unit, WindowKind, candidates_of
from freeroute.domain.leases import Charges, Denied, charges_of
from freeroute.domain.rates import RateFact
from freeroute.domain.usage import Demand
from freeroute.engine.ports import Counters
from freeroute.stores.memory import MemoryCounters
from tests.stores.awkward import (
    DAY,
    GUARD,
    KEYS,
    LIMITS,
    MODELS,
    MOMENTS,
    NOISE,
    SPANS,
    Call,
    Place,
    drawn,
    place_of,
)
from tests.support.oracle import Count, Quota, used
from tests.support.scenery import at_once
from tests.support.world import model, provider

LATE = 1.6 * GUARD  # answers that begin late lengthen the guard so far, refusals apart
STORES = {"memory": lambda: MemoryCounters(guard=GUARD)}


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
        charges = Charges(candidate.pools, [charged[pool.limit.unit] for pool in candidate.pools])
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
                    call
                    for call in self.under_way
                    if any(own.id == pool.id for own in call.lease.charges.pools)
                ]
                [reading] = self.store.readings([pool], self.ours)
                assert reading.used == len(mine)

    @invariant()
    def what_is_remembered_of_a_candidate_s_counters_is_as_if_they_were_looked_up_anew(self):
        for candidate in self.candidates:
            for tokens in (1, 40):
                asked = charges_of(candidate, Demand(tokens))
                anew = Charges((*asked.pools[:1], *asked.pools[1:]), asked.amounts)
                assert self.store.fits_at(asked, self.ours) == self.store.fits_at(anew, self.ours)

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
            assert self.store.fits_at(Charges((pool,), (pool.limit.amount,)), self.ours) == self.now.mono


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
