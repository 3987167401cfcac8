"""Counters in memory: the store of one process.

No verb awaits anything, so whatever the event loop does, choosing and acquiring cannot be interleaved.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from msgspec import Struct, structs

from freeroute.clock import Now
from freeroute.domain.catalogue import Limit, Pool, Unit
from freeroute.domain.counters import GUARD, Counter, Slip
from freeroute.domain.guards import Guard
from freeroute.domain.keepsake import KeptGuard, KeptPool, KeptTold, Name, Rebase
from freeroute.domain.leases import Charge, Denied, Lease, Reading, summed
from freeroute.domain.limits import RELOOK, adapted, counter_for, restored
from freeroute.domain.measuring import LONGEST, PATIENCE, SOME_PATIENCE, SOON, Measure, pool_blamed
from freeroute.domain.outcome import Outcome
from freeroute.domain.rates import TOLD, RateFact, pool_meant, room_told, used_by


class _Held(Struct, eq=False):
    """One charge of a lease where it was taken; a counter replaced meanwhile gets its slip back still."""

    counter: Counter
    slip: Slip


class _Learned(Struct, frozen=True):
    """From where (``header``, ``body`` or ``measured``) and when (mono) a limit was last learned.

    *given* is the pool's limit by the settings: what was learned holds as long as they give the same.
    """

    source: str
    at: float
    given: Limit


class MemoryCounters:
    """Counters of every pool, made when first asked for. Satisfies `engine.ports.Counters`."""

    def __init__(self, guard: float = GUARD) -> None:
        """Start with no counters; *guard* is that of `domain.counters`."""
        self._guard = guard
        self._counters: dict[str, Counter] = {}
        self._learned: dict[str, _Learned] = {}
        self._measures: dict[str, Measure] = {}
        self._guards: dict[str, Guard] = {}
        self._in_flight = 0
        self._changed: set[Name] = set()

    def fits_at(self, charges: Sequence[Charge], now: Now) -> float:
        """Return when (mono) all *charges* fit together: ``now.mono`` if now, ``inf`` if never."""
        until = now.mono
        for charge in summed(charges):  # on the way of every choice
            if (at := self._fits_at(charge, now)) > until:
                until = at
        return until

    async def acquire(self, charges: Sequence[Charge], now: Now) -> Lease | Denied:
        """Take all of *charges* or none; say until when the one that fits last is taken."""
        all_of_them = summed(charges)
        until, last = now.mono, None
        for charge in all_of_them:
            if (at := self._fits_at(charge, now)) > until:
                until, last = at, charge.pool
        if last is not None:
            return Denied(until, last)
        self._in_flight += 1
        self._touch(all_of_them)
        return Lease(all_of_them, tuple(self._hold(charge, now) for charge in all_of_them))

    async def sent(self, lease: Lease, now: Now) -> None:
        """Note that the call of *lease* went out only at *now*, and is counted as much later."""
        if lease.open:
            self._touch(lease.charges)
            for held in _held(lease):
                held.counter.sent(held.slip, now)

    async def confirm(self, lease: Lease, now: Now) -> bool:
        """Note that the provider's answer began: it counted the call at this moment at the latest.

        Say whether there is more room now: the first answers under an unknown limit let more calls go.
        """
        wider = False
        if lease.open:
            self._touch(lease.charges)
            for charge, held in zip(lease.charges, _held(lease), strict=True):
                held.counter.confirm(held.slip, now)
                self._guard_of(charge.pool).answered(now.mono - held.slip.at)
                wider = self._granted(charge.pool, held, now) or wider
        return wider

    async def settle(self, lease: Lease, actual: Mapping[str, float] | None, now: Now) -> None:
        """End *lease*: free its slot and set pools to *actual* amounts by pool id (None: as charged)."""
        if self._end(lease):
            known = actual or {}
            for charge, held in zip(lease.charges, _held(lease), strict=True):
                held.counter.settle(held.slip, known.get(charge.pool.id), now)

    async def cancel(self, lease: Lease, now: Now) -> None:
        """End *lease* as if it had never been: nothing can have been counted."""
        if self._end(lease):
            for held in _held(lease):
                held.counter.cancel(held.slip, now)

    async def learn(self, lease: Lease, facts: Sequence[RateFact], now: Now) -> bool:
        """Correct the counters of *lease* by what the answer to its call says; say whether any changed."""
        held = dict(zip((charge.pool.id for charge in lease.charges), _held(lease), strict=True))
        pools = [charge.pool for charge in lease.charges]
        changed = [
            self._learn(pool, held[pool.id], fact, now)
            for fact in facts
            if (pool := pool_meant(fact, pools)) is not None
        ]
        return any(changed)

    async def begin(self, pool: Pool, fact: RateFact, now: Now) -> None:
        """Count for *pool* from now on, beginning with what *fact*, which made it known, says is used."""
        counter = self._counter(pool, now)
        used = used_by(fact, pool.limit.amount)
        if used is not None and used > counter.used(now):
            counter.correct(used, now, fact.reset_in)
        self._learned[pool.id] = _Learned(fact.source, now.mono, pool.limit)
        self._changed.add(("pool", pool.id))

    async def refused(self, lease: Lease, outcome: Outcome, facts: Sequence[RateFact], now: Now) -> bool:
        """Measure a limit: the call of *lease*, which has ended, fitted, and was refused as out of quota.

        Where *facts* tell that a pool is spent, none is measured that they tell of. Else what answers told
        of the pool is wrong, surely if it gave back calls of ours. A refusal right after a slot came back is
        put down to our guard, once. Say whether anything changed.
        """
        self._touch(lease.charges)
        held = dict(zip((charge.pool.id for charge in lease.charges), _held(lease), strict=True))
        own = [c.pool for c in lease.charges if self._counters.get(c.pool.id) is held[c.pool.id].counter]
        pool = pool_blamed(outcome, self.readings(own, now))
        room = room_told(facts, lease.charges)
        if pool is None or (pool.id in room and not all(room.values())):
            return False
        counter, slip = held[pool.id].counter, held[pool.id].slip
        measure = self._measures.setdefault(pool.id, Measure(counter.limit.amount))
        seconds = counter.limit.seconds
        if counter.was_tight(slip, SOON) and measure.excuse(seconds, now):
            self._lengthen(pool.owner, now)
            return True
        patience: float = PATIENCE
        if (pool.id in room or self._is_told(pool)) and not measure.against_told:
            patience = PATIENCE if counter.recall(now) else SOME_PATIENCE
            given = min(pool.limit.amount, counter.limit.amount)
            measure = Measure(max(given, counter.counted_beside(slip, now) + 1), against_told=True)
        if measure.refused(counter.counted_beside(slip, now), seconds, now, patience):
            self._measures[pool.id] = measure
            self._learned[pool.id] = _Learned("measured", now.mono, pool.limit)
            return True
        return False

    def ceiling(self, pool: Pool, now: Now) -> float:
        """Return the present limit of *pool*: learned, else given; ``inf`` if nobody knows it."""
        return self._counter(pool, now).limit.amount

    def left(self, pools: Sequence[Pool], now: Now) -> float:
        """Return the smallest share (0 to 1) of quota left over *pools*, concurrency apart; 1 without any."""
        return min((counter.left(now) for counter in self._quotas(pools, now)), default=1.0)

    def lead(self, pools: Sequence[Pool], now: Now) -> float:
        """Return how far the scarcest of *pools* is ahead of its clock, -1 to 1; concurrency apart."""
        least = 1.0
        for pool in pools:  # on the way of every choice
            if pool.limit.unit is not Unit.CONCURRENCY and (
                (lead := self._counter(pool, now).lead(now)) < least
            ):
                least = lead
        return least

    def readings(self, pools: Sequence[Pool], now: Now) -> list[Reading]:
        """Return where *pools* stand; the limit of one that nobody knows is ``inf``.

        The source is ``header`` or ``body`` once an answer told, ``measured`` once a refusal showed, with
        its age; until then the confidence that the limit was given with.
        """
        return [self._reading(pool, now) for pool in pools]

    def adopt(self, pools: Iterable[Pool], now: Now) -> None:
        """Go on with *pools* after a reload: use is kept, limits become those of *pools*.

        What answers told of a limit holds as long as the settings give the same one as before.
        Pools that are gone are forgotten once nothing is taken from them: a key that is removed and given
        again has not regained its day.
        """
        wanted = {pool.id: pool for pool in pools}
        self.touch_all()
        for name, counter in list(self._counters.items()):
            learned = self._learned.get(name)
            if learned is not None and (name not in wanted or wanted[name].limit != learned.given):
                del self._learned[name]
                self._measures.pop(name, None)
                learned = None
            if name in wanted and learned is None:
                self._counters[name] = adapted(counter, wanted[name].limit, now, self._guard)
                measure = self._measures.get(name)
                if measure is None or measure.given != wanted[name].limit.amount:
                    self._measure_anew(wanted[name])
            elif name not in wanted and not counter.used(now):
                del self._counters[name]
                self._measures.pop(name, None)

    def unlearn(self, pools: Iterable[Pool], now: Now) -> list[Pool]:
        """Go by what *pools* were given with, not by what answers taught; return those that had learned.

        What is taken of them stays taken.
        """
        taught = [pool for pool in pools if pool.id in self._learned]
        for pool in taught:
            del self._learned[pool.id]
            self._measures.pop(pool.id, None)
            self._counters[pool.id] = adapted(self._counter(pool, now), pool.limit, now, self._guard)
            self._measure_anew(pool)
        self._changed.update(("pool", pool.id) for pool in taught)
        return taught

    def in_flight(self) -> int:
        """Return how many leases are open."""
        return self._in_flight

    # --- from one run to the next --------------------------------------------------------------------

    def changed(self) -> set[Name]:
        """Return the names of the counters, and of the guards, that changed since this was last asked."""
        changed, self._changed = self._changed, set()
        return changed

    def touch_all(self) -> None:
        """Let everything count as changed."""
        self._changed.update(("pool", name) for name in self._counters)
        self._changed.update(("guard", owner) for owner in self._guards)

    def kept(self, name: Name, now: Now) -> KeptPool | KeptGuard | None:
        """Return what outlives the process of what is called *name*; None if there is nothing, or no more."""
        if name[0] == "guard":
            guard = self._guards.get(name[1])
            return None if guard is None else guard.kept()
        counter = self._counters.get(name[1])
        window = None if counter is None else counter.kept(now)
        if counter is None or window is None:
            return None
        counter.note_peak()
        learned, measure = self._learned.get(name[1]), self._measures.get(name[1])
        return KeptPool(
            limit=counter.limit,
            window=window,
            peak=counter.peak,
            raised=counter.raised,
            told=None if learned is None else KeptTold(learned.source, learned.at, learned.given),
            measure=None if measure is None else measure.kept(),
        )

    def restore(self, name: Name, kept: KeptPool | KeptGuard, rebase: Rebase, *, lost: bool) -> None:
        """Go on from what an earlier run *kept*; *lost* if counters may have taken more since.

        To be followed by `adopt`, which fits the counters to the present settings.
        """
        if isinstance(kept, KeptGuard):
            self._guards[name[1]] = Guard.restored(self._guard, kept, rebase)
            return
        self._counters[name[1]] = restored(kept, rebase, self._guard, lost=lost)
        told = kept.told
        if told is not None and not rebase.fresh(told.at):
            return
        if told is not None:
            self._learned[name[1]] = _Learned(told.source, rebase.mono(told.at), told.given)
        if kept.measure is not None:
            self._measures[name[1]] = Measure.restored(kept.measure, rebase)

    def told_of(self) -> dict[str, Limit]:
        """Return by the ids of their pools the limits that only answers told of."""
        return {name: known.given for name, known in self._learned.items() if known.given.confidence in TOLD}

    def _touch(self, charges: Iterable[Charge]) -> None:
        for charge in charges:
            self._changed.add(("pool", charge.pool.id))

    def _counter(self, pool: Pool, now: Now) -> Counter:
        counter = self._counters.get(pool.id)
        if counter is None:
            counter = self._counters[pool.id] = counter_for(pool.limit, self._guard)
            self._measure_anew(pool)
        measure = self._measures.get(pool.id)
        if measure is not None and (amount := measure.amount(now)) != counter.limit.amount:
            counter.resize(structs.replace(counter.limit, amount=amount), now)
        return counter

    def _quotas(self, pools: Sequence[Pool], now: Now) -> Iterable[Counter]:
        return (self._counter(pool, now) for pool in pools if pool.limit.unit is not Unit.CONCURRENCY)

    def _measure_anew(self, pool: Pool) -> None:
        """Forget what was measured of *pool*; a limit that nobody knows goes on being measured."""
        before = self._measures.pop(pool.id, None)
        if math.isinf(pool.limit.amount):
            untouched = before is not None and before.given == before.level == math.inf
            self._measures[pool.id] = before if before and untouched else Measure.unknown()

    def _granted(self, pool: Pool, held: _Held, now: Now) -> bool:
        measure = self._measures.get(pool.id)
        if measure is None or self._counters.get(pool.id) is not held.counter:
            return False
        wider = measure.served(held.slip.level, held.slip.at, held.counter.limit.seconds, now)
        if measure.is_over:
            del self._measures[pool.id]
            self._learned.pop(pool.id, None)
        return wider

    def _guard_of(self, pool: Pool) -> Guard:
        guard = self._guards.get(pool.owner)
        if guard is None:
            guard = self._guards[pool.owner] = Guard(self._guard)
        return guard

    def _lengthen(self, owner: str, now: Now) -> None:
        guard = self._guards.setdefault(owner, Guard(self._guard))
        guard.too_short(now)
        self._changed.add(("guard", owner))
        for name, counter in self._counters.items():
            if name.startswith(f"{owner}/"):
                counter.lengthen(guard.seconds(now), now)
                self._changed.add(("pool", name))

    def _is_told(self, pool: Pool) -> bool:
        learned = self._learned.get(pool.id)
        return learned is not None and learned.source in TOLD

    def _learn(self, pool: Pool, held: _Held, fact: RateFact, now: Now) -> bool:
        counter = held.counter
        if self._counters.get(pool.id) is not counter:  # replaced by a reload: this slip is of the old one
            return False
        self._changed.add(("pool", pool.id))
        before = counter.used(now), counter.limit.amount
        measure = self._measures.get(pool.id)
        if measure is not None and measure.against_told:
            if fact.remaining is not None and fact.remaining < 1:
                counter.learn(held.slip, counter.limit.amount, None, now, fact.reset_in)
        elif counter.learn(held.slip, used_by(fact, counter.limit.amount), fact.limit, now, fact.reset_in):
            if fact.limit is not None:
                self._measures.pop(pool.id, None)
            self._learned[pool.id] = _Learned(fact.source, now.mono, pool.limit)
        return before != (counter.used(now), counter.limit.amount)

    def _fits_at(self, charge: Charge, now: Now) -> float:
        counter = self._counter(charge.pool, now)
        measure = self._measures.get(charge.pool.id)
        if measure is not None and counter.in_flight >= measure.width:
            return now.mono + RELOOK
        limit, learned = counter.limit, self._learned.get(charge.pool.id)
        if learned is None or not limit.amount < charge.amount <= _given(charge.pool):
            return counter.fits_at(charge.amount, now)
        # Only answers say that it is too large: one may go again a while after they were last heard.
        again = learned.at + min(PATIENCE * limit.seconds, LONGEST)
        return max(counter.fits_at(limit.amount, now), again)

    def _hold(self, charge: Charge, now: Now) -> _Held:
        counter = self._counter(charge.pool, now)
        guard = self._guards.get(charge.pool.owner)
        if guard is not None:
            counter.guard = guard.seconds(now)
        return _Held(counter, counter.take(charge.amount, now))

    def _end(self, lease: Lease) -> bool:
        if not lease.open:
            return False
        lease.open = False
        self._in_flight -= 1
        self._touch(lease.charges)
        return True

    def _reading(self, pool: Pool, now: Now) -> Reading:
        counter = self._counter(pool, now)
        limit = counter.limit
        source, age = limit.confidence, 0.0
        if (learned := self._learned.get(pool.id)) is not None:
            source, age = learned.source, max(0.0, now.mono - learned.at)
        return Reading(pool, counter.used(now), limit.amount, counter.resets_in(now), source, age)


def _given(pool: Pool) -> float:
    """Return the limit of *pool* by settings or catalogue; ``inf`` if they give none."""
    return math.inf if pool.limit.confidence in TOLD else pool.limit.amount


def _held(lease: Lease) -> tuple[_Held, ...]:
    return cast("tuple[_Held, ...]", lease.slips)
