"""For whom of those who wait something may still come free in their time, as far as anybody knows. Pure."""

import math
from collections.abc import Hashable

from msgspec import Struct

from freeroute.clock import Now
from freeroute.domain.catalogue import ONE_EACH, Candidate, Pool, Scope
from freeroute.domain.leases import Charges, charges_of
from freeroute.domain.limits import RELOOK
from freeroute.domain.needs import Need, Tried
from freeroute.domain.openings import Wish
from freeroute.domain.selection import demand_at
from freeroute.domain.standing import Standing
from freeroute.domain.usage import Demand


class _Hope(Struct, frozen=True):
    """That *candidate* may have room for *need* before it is too late (*until*, mono)."""

    candidate: Candidate
    need: Need
    tried: Tried
    until: float

    def covers(self, demand: Demand, until: float) -> bool:
        """Say whether this is a hope as well for whoever asks for *demand* and waits *until* then."""
        own, tokenizer = self.need.demand, self.candidate.tokenizer
        return (
            demand.prompt_of(tokenizer) <= own.prompt_of(tokenizer)
            and (demand.max_output or 0) <= (own.max_output or 0)
            and until >= self.until
        )


class Hopes:
    """What those who wait hope for: one candidate is enough, and whoever asks for no more shares it.

    While a hope stands none of those who share it is looked at. Once one has gone they are `doubted`, and
    each is looked at: it finds another hope, or waits in vain. *looks* counts that work.
    """

    def __init__(self, standing: Standing) -> None:
        """Look through *standing*."""
        self.looks = 0
        self._standing = standing
        self._kept: dict[Hashable, list[_Hope]] = {}
        self._doubted: set[Hashable] = set()
        self._looked_into: set[Hashable] = set()

    def join(self, wish: Wish, now: Now) -> None:
        """Let *wish* hope too, which comes now because its turn does in time."""
        self._finds(wish, now)

    def look(self, now: Now) -> None:
        """Doubt those whose hopes have gone; what nobody hopes for any more is forgotten in time."""
        for kind, hopes in list(self._kept.items()):
            if not hopes:
                del self._kept[kind]
            elif not all(self._stands(hope, now) for hope in hopes):
                self._doubt(kind)
        self._looked_into = set(self._doubted)

    def doubt(self) -> None:
        """Doubt everybody: candidates are others than those that were hoped for."""
        self._looked_into.clear()
        for kind in self._kept:
            self._doubt(kind)

    def is_vain(self, wish: Wish, now: Now) -> bool:
        """Say whether nothing comes free for *wish* in its time, for certain."""
        if not self._doubted or _kind(wish) not in self._doubted or wish.until <= now.mono:
            return False
        return not self._finds(wish, now)

    def settle(self) -> None:
        """Doubt those no more who were doubted at the last `look`: each was looked at since."""
        self._doubted -= self._looked_into

    def _doubt(self, kind: Hashable) -> None:
        self._kept[kind] = []
        self._doubted.add(kind)

    def _finds(self, wish: Wish, now: Now) -> bool:
        hopes = self._kept.setdefault(_kind(wish), [])
        demand, until = wish.need.demand, wish.until
        if any(hope.covers(demand, until) for hope in hopes):
            return True
        for _, candidate in wish.fit:
            if candidate.id in wish.names:
                new = _Hope(candidate, wish.need, wish.tried, until)
                if self._stands(new, now):
                    # Those who shared a lesser hope of the same candidate share this one.
                    hopes[:] = [hope for hope in hopes if not _is_within(hope, new)] + [new]
                    return True
        return False

    def _stands(self, hope: _Hope, now: Now) -> bool:
        """Say whether there may be room in time, or what calls under way have taken may make some."""
        self.looks += 1
        candidate, standing = hope.candidate, self._standing
        if hope.tried.covers(candidate, standing) or standing.free_at(candidate, now) > hope.until:
            return False
        charges = charges_of(candidate, demand_at(candidate, hope.need, standing, hope.tried))
        at = standing.room.fits_at(charges, now)
        # Nobody knows when a call ends that has the last slot: those who are to look again soon still may.
        if at <= max(hope.until, now.mono + RELOOK):
            return True
        if at == math.inf:
            return False
        lacking = [
            pool
            for pool, amount in zip(charges.pools, charges.amounts, strict=True)
            if standing.room.fits_at(Charges((pool,), (amount,)), now) > hope.until
        ]
        return all(_may_give_back(candidate, pool, standing) for pool in lacking)


def _may_give_back(candidate: Candidate, pool: Pool, standing: Standing) -> bool:
    """Say whether calls under way may give back some of what they took of *pool*, which is *candidate*'s.

    Any may of which nothing has come: it may never have been counted. Of tokens, one may that is being
    answered too: they are known in the end.
    """
    names = [candidate.name]
    if pool.limit.scope is not Scope.MODEL:
        names = [f"{candidate.provider.id}/{model.id}" for model in candidate.provider.models]
    sized = pool.limit.unit not in ONE_EACH
    calls = [found for name in names if (found := standing.under_way(name)) is not None]
    return any(found.is_any or (sized and found.streams) for found in calls)


def _is_within(hope: _Hope, new: _Hope) -> bool:
    return hope.candidate is new.candidate and new.covers(hope.need.demand, hope.until)


def _kind(wish: Wish) -> Hashable:
    """Return what has to be alike for two wishes to be compared: a bound of ours is no known number."""
    outputs = tuple(wish.tried.outputs.items())
    return wish.names, wish.need.clamp, wish.need.demand.max_output is None, outputs
