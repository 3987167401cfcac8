"""The bucket: it refills evenly, and nothing is kept beyond its capacity."""

import math

from freeroute.clock import Now
from freeroute.domain.catalogue import Limit, Unit
from freeroute.domain.counters import GUARD, Counter, Slip
from freeroute.domain.guards import LONGEST
from freeroute.domain.keepsake import KeptBucket, Rebase


class Bucket(Counter):
    """A bucket of the limit's amount that refills evenly, all of it in the limit's seconds; mono clock.

    Kept as debt: what was taken and has not been refilled yet; it may exceed the capacity. A full bucket
    gains nothing while a call is on its way, so refilling pauses for what *guard* would overflow it.

    What a call gives back was perhaps refilled meanwhile. A slip's mark is the least debt there was since
    it was taken: with a smaller charge the bucket would have been full then, so no more comes back.
    """

    def __init__(self, limit: Limit, guard: float = GUARD) -> None:
        """Start full; *guard* may be changed at any time."""
        super().__init__(limit)
        self.guard = guard
        self._from = -math.inf  # when refilling of the debt begins
        self._rate = limit.amount / limit.seconds
        self._open: set[Slip] = set()

    @classmethod
    def restored(cls, limit: Limit, kept: KeptBucket, rebase: Rebase, guard: float = GUARD) -> "Bucket":
        """Return the bucket of *limit* as it was *kept*, refilled since."""
        made = cls(limit, guard)
        made.level, made._from = kept.debt, rebase.mono(kept.since, rebase.now.mono + LONGEST * guard)
        return made

    def kept(self, now: Now) -> KeptBucket:
        """Return what is missing and since when it refills."""
        return KeptBucket(self.level, self._from)

    def take(self, amount: float, now: Now) -> Slip:
        """Take *amount*, whether it fits or not."""
        self._owe(amount, self.guard, now)
        slip = self._turnover.took(amount, math.inf, self.level, now)
        self._open.add(slip)
        return slip

    def settle(self, slip: Slip, actual: float | None, now: Now) -> None:
        """End *slip* with the *actual* amount, or as taken if None; a second time does nothing."""
        if slip.open:
            self._open.discard(slip)
            change = self._turnover.ended(slip, actual)
            if change > 0.0:
                self._owe(change, 0.0, now)
            elif change:
                self._give_back(slip, -change, now)

    def used(self, now: Now) -> float:
        """Return what is missing from a full bucket."""
        if (refilling := now.mono - self._from) <= 0:
            return self.level
        if (left := self.level - refilling * self._rate) > 0.0:
            return left
        return 0.0

    def resets_in(self, now: Now) -> float:
        """Return the seconds until the bucket is full."""
        return max(0.0, self._from + self._seconds(self.level) - now.mono) if self.level else 0.0

    def resize(self, limit: Limit, now: Now) -> None:
        """Change capacity and refill; what is missing stays missing."""
        self._refill(now)
        self.limit = limit
        self._rate = limit.amount / limit.seconds

    def _correct(self, used: float, now: Now, back_in: float | None) -> None:
        """Let *used* be missing from now on."""
        change = used - self.used(now)
        if change > 0:
            self._owe(change, 0.0, now)
        else:
            self._repay(-change, now)
            for slip in self._open:
                slip.mark = max(0.0, slip.mark + change)

    def _returned(self, slip: Slip, now: Now) -> float:
        refilled = (now.mono - slip.at + self.guard) * self._rate
        return self._turnover.freed - slip.freed + refilled

    @property
    def _grain(self) -> float:
        return 0.0 if self.limit.unit is Unit.USD else 1.0

    def _seconds(self, amount: float) -> float:
        return amount / self._rate if self._rate else math.inf

    def _back_at(self, amount: float, now: Now) -> float:
        return max(now.mono, self._from + self._seconds(self.level + amount - self.limit.amount))

    def _owe(self, amount: float, guard: float, now: Now) -> None:
        mono, level = now.mono, self.used(now)
        if self._open:
            pause = max(0.0, mono + guard - max(mono, self._from))  # beyond the one there is already
            least = max(0.0, level - pause * self._rate)
            for slip in self._open:  # all calls under way: no more than a comparison for each
                if slip.mark > least:
                    slip.mark = least
        begins = mono
        if guard * self._rate > level:  # what is refilled within the guard would overflow
            begins += guard - level / self._rate
        if begins > self._from:
            self._from = begins
        self.level = level + amount

    def _give_back(self, ended: Slip, amount: float, now: Now) -> None:
        """Take *amount* of what *ended* took as never taken: the debt was less ever since then."""
        least = min(ended.mark, self.used(now))
        paid = self._repay(min(amount, least), now)
        for slip in self._open:
            if slip.taken > ended.taken:
                slip.mark = slip.mark - paid if slip.mark > paid else 0.0
            elif slip.mark > least - paid:
                slip.mark = least - paid

    def _repay(self, amount: float, now: Now) -> float:
        """Lower the debt by *amount*, or what there is of it; return by how much."""
        self._refill(now)
        paid = min(amount, self.level)
        self.level -= paid
        return paid

    def _refill(self, now: Now) -> None:
        self.level = self.used(now)
        if now.mono > self._from:
            self._from = now.mono
