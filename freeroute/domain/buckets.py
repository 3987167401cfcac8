"""The bucket: it refills evenly, and nothing is kept beyond its capacity."""

import math
from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate, pairwise

from freeroute.clock import Now
from freeroute.domain.catalogue import Limit, Unit
from freeroute.domain.counters import GUARD, Counter, Slip
from freeroute.domain.guards import LONGEST
from freeroute.domain.keepsake import KeptBucket, Rebase

SPARE = 16
"""Lows beyond two for each call under way that are kept before those that nobody needs are dropped. Own
design: dropping them costs a look at each call under way."""


class Lows:
    """The least that was owed since each call under way was taken, whatever number of calls that is.

    A low is how little was owed at one moment. One is kept until a later one is no higher, so that those kept
    rise, and the least since a call is the first low after it. Calls and lows go by their *turn*: all that
    was ever taken by then. Of each is kept by how much it is above the one before it, so that to lower all
    that came after a call is to shorten one step.
    """

    __slots__ = ("_last", "_steps", "_turns")

    def __init__(self) -> None:
        """Start with none."""
        self._turns: list[float] = []
        self._steps: list[float] = []
        self._last = 0.0

    def note(self, low: float, turn: float) -> int:
        """Note that only *low* is owed at *turn*, no earlier than those before; return how many are kept."""
        turns, steps, last = self._turns, self._steps, self._last
        while steps and last >= low:
            turns.pop()
            last -= steps.pop()
        if not steps:
            last = 0.0
        turns.append(turn)
        steps.append(low - last)
        self._last = low
        return len(turns)

    def since(self, turn: float) -> float:
        """Return the least that was owed since *turn*, ``inf`` if that was not looked at."""
        at = bisect_left(self._turns, turn)
        return math.inf if at == len(self._turns) else sum(self._steps[: at + 1])

    def lower(self, turn: float, by: float) -> None:
        """Let what was owed since *turn* be less *by* so much, which is no more than the least of it."""
        turns, steps = self._turns, self._steps
        at = bisect_left(turns, turn)
        if at < len(turns):
            steps[at] -= by
            self._last -= by
            while at and steps[at] <= 0.0:  # those before it are no lower any more
                at -= 1
                steps[at] += steps.pop(at + 1)
                del turns[at]

    def lower_all(self, by: float) -> None:
        """Let what was owed be less *by* so much at all times, and nothing where it was less than that."""
        self._keep([(turn, max(0.0, low - by)) for turn, low in self._all()])

    def keep_for(self, turns: Iterable[float]) -> None:
        """Drop what is not the least since any of *turns*."""
        needed = {bisect_left(self._turns, turn) for turn in turns}
        self._keep([known for at, known in enumerate(self._all()) if at in needed])

    def _all(self) -> Iterable[tuple[float, float]]:
        return zip(self._turns, accumulate(self._steps), strict=True)

    def _keep(self, known: list[tuple[float, float]]) -> None:
        lows = [0.0, *(low for _, low in known)]
        self._turns = [turn for turn, _ in known]
        self._steps = [low - before for before, low in pairwise(lows)]
        self._last = lows[-1]


class Bucket(Counter):
    """A bucket of the limit's amount that refills evenly, all of it in the limit's seconds; mono clock.

    Kept as debt: what was taken and has not been refilled yet; it may exceed the capacity. A full bucket
    gains nothing while a call is on its way, so refilling pauses for what *guard* would overflow it.

    What a call gives back was perhaps refilled meanwhile. No more of it comes back than the least debt there
    was since it was taken: with a smaller charge the bucket would have been full then.
    """

    def __init__(self, limit: Limit, guard: float = GUARD) -> None:
        """Start full; *guard* may be changed at any time."""
        super().__init__(limit)
        self.guard = guard
        self._from = -math.inf  # when refilling of the debt begins
        self._rate = limit.amount / limit.seconds
        self._open: set[Slip] = set()
        self._lows = Lows()

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
        others = self.in_flight
        self.in_flight = others + amount
        self.taken = taken = self.taken + amount
        slip = Slip(amount, 0.0, True, False, now.mono, others, taken, self.freed, self.level, amount)
        self._open.add(slip)
        return slip

    def settle(self, slip: Slip, actual: float | None, now: Now) -> None:
        """End *slip* with the *actual* amount, or as taken if None; a second time does nothing."""
        if slip.open:
            slip.open = False
            self._open.discard(slip)
            self.in_flight -= slip.amount
            change = 0.0 if actual is None else self._turned_out(slip, actual)
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
            self._lows.lower_all(-change)

    def _returned(self, slip: Slip, now: Now) -> float:
        refilled = (now.mono - slip.at + self.guard) * self._rate
        return self.freed - slip.freed + refilled

    @property
    def _grain(self) -> float:
        return 0.0 if self.limit.unit is Unit.USD else 1.0

    def _seconds(self, amount: float) -> float:
        return amount / self._rate if self._rate else math.inf

    def _back_at(self, amount: float, now: Now) -> float:
        return max(now.mono, self._from + self._seconds(self.level + amount - self.limit.amount))

    def _owe(self, amount: float, guard: float, now: Now) -> None:
        mono, level, begins, rate = now.mono, self.level, self._from, self._rate
        if mono > begins:  # as in `used`
            begins, level = mono, level - (mono - begins) * rate
            if not level > 0.0:  # no number where nothing is ever refilled
                level = 0.0
        if self._open:
            self._note_low(level, guard, mono)
        if guard * rate > level and (paused := mono + (guard - level / rate)) > begins:
            begins = paused  # what is refilled within the guard would overflow
        self._from = begins
        self.level = level + amount

    def _note_low(self, level: float, guard: float, mono: float) -> None:
        """Note for calls under way how little is owed, without what a *guard* keeps from refilling."""
        lows, low = self._lows, level
        if (paused := guard if mono > self._from else mono + guard - self._from) > 0.0:  # by this call alone
            low -= paused * self._rate
            if low < 0.0:
                low = 0.0
        if lows.note(low, self.taken) > 2 * len(self._open) + SPARE:
            lows.keep_for(slip.taken for slip in self._open)

    def _give_back(self, ended: Slip, amount: float, now: Now) -> None:
        """Take *amount* of what *ended* took as never taken: the debt was less ever since then."""
        if (least := min(amount, self._lows.since(ended.taken))) > 0.0:
            self._lows.lower(ended.taken, self._repay(least, now))

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
