"""Room that is kept for a larger call that waits, so that small ones do not nibble it away for ever."""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from freeroute.clock import Now
from freeroute.domain.catalogue import ONE_EACH, Pool, Unit
from freeroute.domain.counters import GUARD, NOISE
from freeroute.domain.leases import Charges


class Promise(Struct, eq=False, frozen=True):
    """*charges* fit together *at* (mono), if nobody takes what delays that. Kept until *ends* at most."""

    charges: Charges
    at: float
    ends: float

    def wanted(self, charges: Charges) -> Charges:
        """Return what of *charges* the promise is about, with what is promised added."""
        own = {pool.id: amount for pool, amount in _each(self.charges)}
        return _charges((pool, amount + own[pool.id]) for pool, amount in _each(charges) if pool.id in own)


def promise_of(charges: Charges, at: float, now: Now, ends: float | None) -> Promise | None:
    """Return the promise of *charges* for *at*, one window long unless it *ends* already; None if it is idle.

    Where all calls are alike, whoever is first in turn fits if anybody does. Slots say nothing of when they
    come back, so they are not promised.
    """
    windows = [pool.limit.seconds for pool in charges.pools if pool.limit.unit not in ONE_EACH]
    if not windows:
        return None
    kept = _charges(each for each in _each(charges) if each[0].limit.unit is not Unit.CONCURRENCY)
    return Promise(kept, at, max(at, now.mono + max(windows) + GUARD) if ends is None else ends)


class Promises:
    """At most one promise for each pool."""

    def __init__(self) -> None:
        """Start with nothing promised; *by_pool* are the promises by the ids of pools."""
        self.by_pool: dict[str, Promise] = {}

    def give(self, promise: Promise) -> bool:
        """Keep *promise*, unless something is promised already of one of its pools."""
        pools = [pool.id for pool in promise.charges.pools]
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

    def touched(self, charges: Charges, now: Now) -> list[Promise]:
        """Return the promises that stand and are about a pool of *charges*."""
        found = {id(p): p for pool in charges.pools if (p := self.by_pool.get(pool.id)) is not None}
        return [promise for promise in found.values() if promise.ends > now.mono]


def _each(charges: Charges) -> Iterator[tuple[Pool, float]]:
    return zip(charges.pools, charges.amounts, strict=True)


def _charges(each: Iterable[tuple[Pool, float]]) -> Charges:
    taken = tuple(each)
    return Charges(tuple([pool for pool, _ in taken]), [amount for _, amount in taken])


def delays(promise: Promise, fits_at: float, now: Now) -> bool:
    """Say whether *promise* could not be kept if what it is about and more fit together only at *fits_at*."""
    return fits_at > max(promise.at, now.mono) + NOISE
