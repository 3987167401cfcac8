"""The counters that one call takes from, as one thing: those of a candidate, or of a client."""

import math
from collections.abc import Callable, Sequence

from msgspec import Struct

from freeroute.clock import Now
from freeroute.domain.catalogue import Pool, Unit
from freeroute.domain.counters import Counter, Slip
from freeroute.domain.guards import Guard
from freeroute.domain.leases import Charges, Denied, Lease
from freeroute.stores.cells import Cell

Take = Callable[[float, Now], Slip]
Settle = Callable[[Slip, float | None, Now], None]
Confirm = Callable[[Slip, Now], None]

Held = tuple[Cell, Counter, Slip]
"""One charge of a lease: its cell, the counter that it was taken from, and the slip for it."""


class Sheet(Struct, eq=False):
    """The *cells* of *pools*, in their order, with the *counters* that they had when this was made.

    All are of one *owner*, whose *guard* is None until one of its calls was answered. What a call does with
    each counter is found here without a look at its cell, so a sheet is made anew once a counter, a limit, a
    measure or the guard is another; leases go on with the one that they were taken from. It is *touched* by
    calls, which change all of its counters, until that is kept.
    """

    pools: tuple[Pool, ...]
    cells: tuple[Cell, ...]
    owner: str
    guard: Guard | None
    counters: tuple[Counter, ...]
    ceilings: tuple[tuple[int, Counter, float], ...]
    takes: tuple[tuple[int, Take], ...]
    confirms: tuple[tuple[int, Confirm], ...]
    settles: tuple[tuple[int, Settle, Unit], ...]
    touched: bool = False

    @classmethod
    def of(cls, pools: tuple[Pool, ...], cells: tuple[Cell, ...], guard: Guard | None) -> "Sheet":
        """Return that of *pools*, which have these *cells* and, if it is known, this *guard*."""
        counters = tuple([cell.counter for cell in cells])
        numbered = list(enumerate(zip(cells, counters, strict=True)))
        return cls(
            pools,
            cells,
            cells[0].owner if cells else "",
            guard,
            counters,
            tuple([(at, counter, _ceiling(cell)) for at, (cell, counter) in numbered]),
            tuple([(at, counter.take) for at, (_, counter) in numbered]),
            tuple([(at, counter.confirm) for at, (_, counter) in numbered if counter.heeds_answers]),
            tuple([(at, counter.settle, cell.unit) for at, (cell, counter) in numbered]),
        )

    def denied(self, charges: Charges, now: Now) -> Denied | None:
        """Return until when *charges*, of its pools, do not fit together; None if they do."""
        denied: Denied | None = None
        amounts = charges.amounts
        for at, counter, ceiling in self.ceilings:
            # As nearly always it fits for certain: no clock is needed to see it.
            if counter.level + amounts[at] < ceiling:
                continue
            until = self.cells[at].fits_at(self.pools[at], amounts[at], now)
            if until > (now.mono if denied is None else denied.until):
                denied = Denied(until, self.pools[at])
        return denied

    def take(self, amounts: Sequence[float], now: Now) -> list[Slip]:
        """Take *amounts* of its pools."""
        slips: list[Slip] = []
        for at, take in self.takes:
            slips.append(take(amounts[at], now))
        return slips

    def lengthen(self, guard: float) -> None:
        """Let its counters use *guard* for the calls to come."""
        for counter in self.counters:
            counter.guard = guard

    def left(self, now: Now) -> tuple[list[float], list[float]]:
        """Return the limits, and in turn what is left of each and in how many seconds all of it is back."""
        limits, standing = [], []
        for cell in self.cells:
            counter = cell.counter if cell.measure is None else cell.present(now)
            limit, used = counter.limit.amount, counter.used(now)
            limits.append(limit)
            standing.append(limit - used if used < limit else 0.0)
            standing.append(counter.resets_in(now))
        return limits, standing


def held_by(lease: Lease) -> list[Held]:
    """Return what *lease* took, where: a counter that a reload replaced since gets its slip back still."""
    sheet: Sheet = lease.sheet
    return list(zip(sheet.cells, sheet.counters, lease.slips, strict=True))


def _ceiling(cell: Cell) -> float:
    """Return below what *cell* has room for certain: nowhere while its limit is measured."""
    return cell.counter.limit.amount if cell.measure is None else -math.inf
