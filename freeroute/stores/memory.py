"""Counters in memory: the store of one process.

No verb awaits anything, so whatever the event loop does, choosing and acquiring cannot be interleaved.
"""

from collections.abc import Awaitable, Iterable, Mapping, Sequence

from freeroute.clock import Now
from freeroute.domain.catalogue import Limit, Pool, Unit
from freeroute.domain.counters import GUARD, Counter
from freeroute.domain.guards import Guard
from freeroute.domain.keepsake import KeptGuard, KeptPool, KeptTold, Name, Rebase
from freeroute.domain.leases import Charges, Denied, Lease, Reading
from freeroute.domain.limits import adapted, counter_for, restored
from freeroute.domain.measuring import PATIENCE, SOME_PATIENCE, SOON, Measure, pool_blamed
from freeroute.domain.outcome import Outcome
from freeroute.domain.rates import TOLD, RateFact, pool_meant, room_told, used_by
from freeroute.engine.served import DONE, NO, YES
from freeroute.stores.cells import Cell, Learned
from freeroute.stores.sheets import Held, Sheet, held_by

_SLOTS = Unit.CONCURRENCY  # of every pool that is looked at; a member of an enum is looked up at length
_UNSEEN = None, None, None  # nothing was found to fit, at no time, on no sheet


class MemoryCounters:
    """Counters of every pool, made when first asked for. Satisfies `engine.ports.Counters`."""

    def __init__(self, guard: float = GUARD) -> None:
        """Start with no counters; *guard* is that of `domain.counters`."""
        self._guard = guard
        self._cells: dict[str, Cell] = {}
        self._guards: dict[str, Guard] = {}
        self._sheets: dict[int, Sheet] = {}  # by the identities of their pools, while what they hold stays
        self._in_flight = 0
        self._touched: list[Sheet] = []
        self._fitting: tuple[Charges | None, Now | None, Sheet | None] = _UNSEEN  # what was found to last
        self._changed: set[Name] = set()

    def fits_at(self, charges: Charges, now: Now) -> float:
        """Return when (mono) all *charges* fit together: ``now.mono`` if now, ``inf`` if never."""
        known = self._sheets.get(id(charges.pools))
        denied = (known or self._sheet(charges.pools)).denied(charges, now)
        if denied is None:
            self._fitting = charges, now, known
            return now.mono
        self._fitting = _UNSEEN
        return denied.until

    def acquire(self, charges: Charges, now: Now) -> Awaitable[Lease | Denied]:
        """Take all of *charges* or none; say until when the one that fits last is taken."""
        # Whoever chose them has just been told that these very charges fit: it comes with the same instant.
        (seen, at, known), self._fitting = self._fitting, _UNSEEN
        fits = seen is charges and at is now
        sheet = (known if fits else self._sheets.get(id(charges.pools))) or self._remembered(charges.pools)
        if not fits and (denied := sheet.denied(charges, now)) is not None:
            return denied
        self._in_flight += 1
        # Counters begin with the ordinary guard, which is nearly always still the one.
        if sheet.guard is not None and sheet.guard.moved:
            sheet.lengthen(sheet.guard.seconds(now))
        if not sheet.touched:
            self._touch_all_of(sheet)
        return Lease(charges, sheet, sheet.take(charges.amounts, now))

    async def sent(self, lease: Lease, now: Now) -> None:
        """Note that the call of *lease* went out only at *now*, and is counted as much later."""
        if lease.open:
            for cell, counter, slip in held_by(lease):
                counter.sent(slip, now)
                self._touch(cell)

    def confirm(self, lease: Lease, now: Now) -> Awaitable[bool]:
        """Note that the provider's answer began: it counted the call at this moment at the latest.

        Say whether there is more room now: the first answers under an unknown limit let more calls go.
        """
        wider = False
        if lease.open and lease.slips:
            sheet: Sheet = lease.sheet
            guard = sheet.guard or self._guard_of(sheet.owner)
            guard.answered(now.mono - lease.slips[0].at)
            for at, confirm in sheet.confirms:
                confirm(lease.slips[at], now)
                if not sheet.touched:
                    self._touch(sheet.cells[at])
            for cell in sheet.cells:
                if cell.measure is not None:
                    wider = self._granted(cell, lease, now) or wider
        return YES if wider else NO

    def settle(self, lease: Lease, actual: Mapping[Unit, float], now: Now) -> Awaitable[None]:
        """End *lease* and free its slot; it took the *actual* amounts, of other units as charged."""
        if lease.open:
            lease.open = False
            self._in_flight -= 1
            sheet: Sheet = lease.sheet
            slips, known = lease.slips, actual.get
            for at, settle, unit in sheet.settles:
                settle(slips[at], known(unit), now)
            if not sheet.touched:
                self._touch_all_of(sheet)
        return DONE

    async def cancel(self, lease: Lease, now: Now) -> None:
        """End *lease* as if it had never been: nothing can have been counted."""
        await self.settle(lease, _NOTHING, now)

    async def learn(self, lease: Lease, facts: Sequence[RateFact], now: Now) -> bool:
        """Correct the counters of *lease* by what the answer to its call says; say whether any changed."""
        held = _by_pool(lease)
        pools = lease.charges.pools
        changed = [
            self._learn(pool, held[pool.id], fact, now)
            for fact in facts
            if (pool := pool_meant(fact, pools)) is not None
        ]
        return any(changed)

    async def begin(self, pool: Pool, fact: RateFact, now: Now) -> None:
        """Count for *pool* from now on, beginning with what *fact*, which made it known, says is used."""
        cell = self._cell(pool)
        counter = cell.present(now)
        used = used_by(fact, pool.limit.amount)
        if used is not None and used > counter.used(now):
            counter.correct(used, now, fact.reset_in)
        cell.learned = Learned(fact.source, now.mono, pool.limit)
        self._touch(cell)
        self._renew()  # who is charged for it has other pools from now on

    async def refused(self, lease: Lease, outcome: Outcome, facts: Sequence[RateFact], now: Now) -> bool:
        """Measure a limit: the call of *lease*, which has ended, fitted, and was refused as out of quota.

        Where *facts* tell that a pool is spent, none is measured that they tell of. Else what answers told
        of the pool is wrong, surely if it gave back calls of ours. A refusal right after a slot came back is
        put down to our guard, once. Say whether anything changed.
        """
        held = _by_pool(lease)
        for cell, _, _ in held.values():
            self._touch(cell)
        self._renew()
        own = [pool for pool in lease.charges.pools if _is_current(held[pool.id])]
        pool = pool_blamed(outcome, self.readings(own, now))
        room = room_told(facts, lease.charges)
        if pool is None or (pool.id in room and not all(room.values())):
            return False
        cell, counter, slip = held[pool.id]
        measure = cell.measure = cell.measure or Measure(counter.limit.amount)
        seconds = counter.limit.seconds
        if counter.was_tight(slip, SOON) and measure.excuse(seconds, now):
            self._lengthen(cell.owner, now)
            return True
        patience: float = PATIENCE
        if (pool.id in room or cell.is_told) and not measure.against_told:
            patience = PATIENCE if counter.recall(now) else SOME_PATIENCE
            given = min(pool.limit.amount, counter.limit.amount)
            measure = Measure(max(given, counter.counted_beside(slip, now) + 1), against_told=True)
        if measure.refused(counter.counted_beside(slip, now), seconds, now, patience):
            cell.measure = measure
            cell.learned = Learned("measured", now.mono, pool.limit)
            return True
        return False

    def ceiling(self, pool: Pool, now: Now) -> float:
        """Return the present limit of *pool*: learned, else given; ``inf`` if nobody knows it."""
        return self._cell(pool).present(now).limit.amount

    def left(self, pools: Sequence[Pool], now: Now) -> float:
        """Return the smallest share (0 to 1) of quota left over *pools*, concurrency apart; 1 without any."""
        return min((counter.left(now) for counter in self._quotas(pools, now)), default=1.0)

    def lead(self, pools: Sequence[Pool], now: Now) -> float:
        """Return how far the scarcest of *pools* is ahead of its clock, -1 to 1; concurrency apart."""
        least = 1.0
        for pool in pools:  # on the way of every choice
            if pool.limit.unit is not _SLOTS:
                cell = self._cells.get(pool.id) or self._cell(pool)
                counter = cell.counter if cell.measure is None else cell.present(now)
                lead = counter.lead(now)
                if lead < least:
                    least = lead
        return least

    def remaining(self, pools: tuple[Pool, ...], now: Now) -> tuple[list[float], list[float]]:
        """Return the limits of *pools*, and in turn what is left of each and when all of it is back."""
        return (self._sheets.get(id(pools)) or self._remembered(pools)).left(now)

    def readings(self, pools: Sequence[Pool], now: Now) -> list[Reading]:
        """Return where *pools* stand; the limit of one that nobody knows is ``inf``.

        The source is ``header`` or ``body`` once an answer told, ``measured`` once a refusal showed, with
        its age; until then the confidence that the limit was given with.
        """
        readings: list[Reading] = []
        for pool in pools:
            cell = self._cell(pool)
            counter = cell.counter if cell.measure is None else cell.present(now)
            limit, learned = counter.limit, cell.learned
            if learned is None:
                source, age = limit.confidence, 0.0
            else:
                source, age = learned.source, max(0.0, now.mono - learned.at)
            used, resets_in = counter.used(now), counter.resets_in(now)
            readings.append(Reading(pool, used, limit.amount, resets_in, source, age))
        return readings

    def adopt(self, pools: Iterable[Pool], now: Now) -> None:
        """Go on with *pools* after a reload: use is kept, limits become those of *pools*.

        What answers told of a limit holds as long as the settings give the same one as before.
        Pools that are gone are forgotten once nothing is taken from them: a key that is removed and given
        again has not regained its day.
        """
        wanted = {pool.id: pool for pool in pools}
        self.touch_all()
        self._renew()
        for name, cell in list(self._cells.items()):
            pool = wanted.get(name)
            if cell.learned is not None and (pool is None or pool.limit != cell.learned.given):
                cell.unlearn()
            if pool is not None and cell.learned is None:
                cell.counter = adapted(cell.counter, pool.limit, now, self._guard)
                if cell.measure is None or cell.measure.given != pool.limit.amount:
                    cell.measure_anew(pool.limit)
            elif pool is None and not cell.counter.used(now):
                del self._cells[name]

    def unlearn(self, pools: Iterable[Pool], now: Now) -> list[Pool]:
        """Go by what *pools* were given with, not by what answers taught; return those that had learned.

        What is taken of them stays taken.
        """
        taught = [(pool, self._cells[pool.id]) for pool in pools if pool.id in self._cells]
        taught = [(pool, cell) for pool, cell in taught if cell.learned is not None]
        for pool, cell in taught:
            counter = cell.present(now)
            cell.unlearn()
            cell.counter = adapted(counter, pool.limit, now, self._guard)
            cell.measure_anew(pool.limit)
            self._touch(cell)
        self._renew()
        return [pool for pool, _ in taught]

    def in_flight(self) -> int:
        """Return how many leases are open."""
        return self._in_flight

    # --- from one run to the next --------------------------------------------------------------------

    def changed(self) -> set[Name]:
        """Return the names of the counters, and of the guards, that changed since this was last asked."""
        self._note_touched()
        changed, self._changed = self._changed, set()
        return changed

    def touch_all(self) -> None:
        """Let everything count as changed."""
        for cell in self._cells.values():
            self._touch(cell)
        self._changed.update(("guard", owner) for owner in self._guards)

    def kept(self, name: Name, now: Now) -> KeptPool | KeptGuard | None:
        """Return what outlives the process of what is called *name*; None if there is nothing, or no more."""
        if name[0] == "guard":
            guard = self._guards.get(name[1])
            return None if guard is None else guard.kept()
        cell = self._cells.get(name[1])
        window = None if cell is None else cell.counter.kept(now)
        if cell is None or window is None:
            return None
        counter, learned, measure = cell.counter, cell.learned, cell.measure
        counter.note_peak()
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
        self._renew()
        if isinstance(kept, KeptGuard):
            self._guards[name[1]] = Guard.restored(self._guard, kept, rebase)
            return
        cell = Cell.of(name[1], restored(kept, rebase, self._guard, lost=lost))
        self._cells[name[1]] = cell
        told = kept.told
        if told is not None and not rebase.fresh(told.at):
            return
        if told is not None:
            cell.learned = Learned(told.source, rebase.mono(told.at), told.given)
        if kept.measure is not None:
            cell.measure = Measure.restored(kept.measure, rebase)

    def told_of(self) -> dict[str, Limit]:
        """Return by the ids of their pools the limits that only answers told of."""
        told = ((name, cell.learned) for name, cell in self._cells.items())
        return {name: known.given for name, known in told if known and known.given.confidence in TOLD}

    def _cell(self, pool: Pool) -> Cell:
        cell = self._cells.get(pool.id)
        if cell is None:
            cell = self._cells[pool.id] = Cell.of(pool.id, counter_for(pool.limit, self._guard))
            cell.measure_anew(pool.limit)
        return cell

    def _quotas(self, pools: Sequence[Pool], now: Now) -> Iterable[Counter]:
        return (self._cell(pool).present(now) for pool in pools if pool.limit.unit is not _SLOTS)

    def _sheet(self, pools: tuple[Pool, ...]) -> Sheet:
        cells = tuple([self._cell(pool) for pool in pools])
        return Sheet.of(pools, cells, self._guards.get(cells[0].owner) if cells else None)

    def _remembered(self, pools: tuple[Pool, ...]) -> Sheet:
        """Return the sheet of *pools*, found by them from now on: while it holds them, no others are they."""
        sheet = self._sheets[id(pools)] = self._sheet(pools)
        return sheet

    def _renew(self) -> None:
        """Let sheets be made anew: a counter, a limit, a measure or a guard is another, or may be."""
        self._note_touched()
        self._sheets.clear()
        self._fitting = _UNSEEN

    def _note_touched(self) -> None:
        for sheet in self._touched:
            sheet.touched = False
            self._changed.update([cell.name for cell in sheet.cells])
        self._touched.clear()

    def _touch(self, cell: Cell) -> None:
        self._changed.add(cell.name)

    def _touch_all_of(self, sheet: Sheet) -> None:
        sheet.touched = True
        self._touched.append(sheet)

    def _granted(self, cell: Cell, lease: Lease, now: Now) -> bool:
        """Note that the call of *lease* was granted by *cell*, which is measured; say whether more may go."""
        sheet: Sheet = lease.sheet
        at = sheet.cells.index(cell)
        if sheet.counters[at] is not cell.counter:  # this slip is of the old one
            return False
        wider = cell.granted(lease.slips[at], now)
        if cell.measure is None:
            self._renew()
        self._touch(cell)
        return wider

    def _guard_of(self, owner: str) -> Guard:
        guard = self._guards.get(owner)
        if guard is None:
            guard = self._guards[owner] = Guard(self._guard)
            self._renew()
        return guard

    def _lengthen(self, owner: str, now: Now) -> None:
        guard = self._guard_of(owner)
        guard.too_short(now)
        self._changed.add(("guard", owner))
        for cell in self._cells.values():
            if cell.owner == owner:
                cell.counter.lengthen(guard.seconds(now), now)
                self._touch(cell)

    def _learn(self, pool: Pool, held: Held, fact: RateFact, now: Now) -> bool:
        if not _is_current(held):  # this slip is of the old one
            return False
        cell, counter, slip = held
        self._touch(cell)
        before, measured = (counter.used(now), counter.limit.amount), cell.measure
        if cell.measure is not None and cell.measure.against_told:
            if fact.remaining is not None and fact.remaining < 1:
                counter.learn(slip, counter.limit.amount, None, now, fact.reset_in)
        elif counter.learn(slip, used_by(fact, counter.limit.amount), fact.limit, now, fact.reset_in):
            if fact.limit is not None:
                cell.measure = None
            cell.learned = Learned(fact.source, now.mono, pool.limit)
        if counter.limit.amount != before[1] or cell.measure is not measured:
            self._renew()
        return before != (counter.used(now), counter.limit.amount)


_NOTHING: Mapping[Unit, float] = dict.fromkeys(Unit, 0.0)


def _by_pool(lease: Lease) -> dict[str, Held]:
    return {held[0].name[1]: held for held in held_by(lease)}


def _is_current(held: Held) -> bool:
    """Say whether its counter was not replaced by a reload."""
    cell, counter, _ = held
    return cell.counter is counter
