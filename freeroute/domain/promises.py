"""Room that is kept for a larger call that waits, so that small ones do not nibble it away for ever."""

from collections.abc import Sequence

from msgspec import Struct

from freeroute.clock import Now
from freeroute.domain.catalogue import Unit
from freeroute.domain.counters import GUARD, NOISE
from freeroute.domain.leases import Charge

_ALIKE = frozenset({Unit.REQUESTS, Unit.CONCURRENCY})


class Promise(Struct, eq=False, frozen=True):
    """*charges* fit together *at* (mono), if nobody takes what delays that. Kept until *ends* at most."""

    charges: tuple[Charge, ...]
    at: float
    ends: float

    def wanted(self, charges: Sequence[Charge]) -> list[Charge]:
        """Return what of *charges* the promise is about, with what is promised added."""
        own = {charge.pool.id: charge.amount for charge in self.charges}
        return [Charge(c.pool, c.amount + own[c.pool.id]) for c in charges if c.pool.id in own]


def promise_of(charges: Sequence[Charge], at: float, now: Now, ends: float | None) -> Promise | None:
    """Return the promise of *charges* for *at*, one window long unless it *ends* already; None if it is idle.

    Where all calls are alike, whoever is first in turn fits if anybody does. Slots say nothing of when they
    come back, so they are not promised.
    """
    windows = [charge.pool.limit.seconds for charge in charges if charge.pool.limit.unit not in _ALIKE]
    if not windows:
        return None
    kept = tuple(charge for charge in charges if charge.pool.limit.unit is not Unit.CONCURRENCY)
    return Promise(kept, at, max(at, now.mono + max(windows) + GUARD) if ends is None else ends)


class Promises:
    """At most one promise for each pool."""

    def __init__(self) -> None:
        """Start with nothing promised; *by_pool* are the promises by the ids of pools."""
        self.by_pool: dict[str, Promise] = {}

    def give(self, promise: Promise) -> bool:
        """Keep *promise*, unless something is promised already of one of its pools."""
        pools = [charge.pool.id for charge in promise.charges]
        if any(pool in self.by_pool for pool in pools):
            return False
        self.by_pool.update(dict.fromkeys(pools, promise))
        return True

    def forget(self) -> None:
        """Keep nothing any more."""
        self.by_pool.clear()

    def withdraw(self, promise: Promise) -> None:
        """Keep *promise* no longer."""
        self.by_pool = {pool: kept for pool, kept in self.by_pool.items() if kept is not promise}

    def touched(self, charges: Sequence[Charge], now: Now) -> list[Promise]:
        """Return the promises that stand and are about a pool of *charges*."""
        found = {id(p): p for c in charges if (p := self.by_pool.get(c.pool.id)) is not None}
        return [promise for promise in found.values() if promise.ends > now.mono]


def delays(promise: Promise, fits_at: float, now: Now) -> bool:
    """Say whether *promise* could not be kept if what it is about and more fit together only at *fits_at*."""
    return fits_at > max(promise.at, now.mono) + NOISE
