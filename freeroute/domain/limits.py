"""Counters: how much of a limit is taken, and when more of it fits. One class for each kind of window.

All share the interface of `counters.Counter`. Time is an argument; a counter forgets what is over when it
is read.
"""

import math
from bisect import bisect_left, bisect_right, insort
from itertools import accumulate, takewhile
from operator import attrgetter

from freeroute.clock import Now
from freeroute.domain.calendars import period
from freeroute.domain.catalogue import Limit, Unit, WindowKind
from freeroute.domain.counters import NOISE, Counter, Slip

GUARD = 0.5
"""Seconds a call may be under way before the provider counts it. Own design: a few round trips over a poor
line; freeing a slot earlier turns network delay into a refusal, later gives capacity away."""

RELOOK = 0.25
"""Seconds until another look at full concurrency: nobody knows when a call ends. Own design."""

SKEW = 60.0
"""Seconds after a reset in which a provider may still count for the period before. Own design."""

MERGE_AT = 4096
"""Entries of a sliding window above which finished ones are merged. Own design: 0.5 MB at most."""

GRAINS = 600
"""Parts of a window into which entries are merged; a slot then comes back at most 1/600 late. Own design."""

_mark = attrgetter("mark")


class Sliding(Counter):
    """At most so much within any span of the limit's seconds, on the monotonic clock.

    What a call took comes back one window after the latest moment the provider plausibly counted it:
    *guard* seconds after it was sent, or when its answer began if that came sooner. What a call used
    beyond its estimate was counted by the time it was settled. Slips are kept in the order they come back.
    """

    def __init__(self, limit: Limit, guard: float = GUARD) -> None:
        """Start empty; *guard* may be changed at any time."""
        super().__init__(limit)
        self.guard = guard
        self._slips: list[Slip] = []
        self._total = 0.0
        self._seen = -math.inf
        self._merge_at = MERGE_AT

    def _take(self, amount: float, now: Now) -> Slip:
        return self._add(Slip(amount, now.mono + self.guard + self.limit.seconds), now)

    def confirm(self, slip: Slip, now: Now) -> None:
        """Start the window of *slip* now, if its guard would have started it later."""
        self._expire(now)
        mark = now.mono + self.limit.seconds
        if slip.open and self._seen < slip.mark > mark:
            at = bisect_left(self._slips, slip.mark, key=_mark)
            while self._slips[at] is not slip:
                at += 1
            del self._slips[at]
            slip.mark = mark
            insort(self._slips, slip, key=_mark)

    def used(self, now: Now) -> float:
        """Return how much is taken within the window."""
        self._expire(now)
        return self._total

    def resets_in(self, now: Now) -> float:
        """Return the seconds until the last slip comes back."""
        self._expire(now)
        return next((slip.mark - now.mono for slip in reversed(self._slips) if slip.amount), 0.0)

    def correct(self, used: float, now: Now, back_in: float | None = None) -> None:
        """Let *used* be taken from now on; what is too much goes oldest first, calls under way apart."""
        change = used - self.used(now)
        if change > 0:
            span = self.limit.seconds if not back_in else min(back_in, self.limit.seconds)
            self._add(Slip(change, now.mono + span, open=False), now)
        for slip in self._slips:
            if change < 0 and not slip.open:
                part = min(slip.amount, -change)
                slip.amount -= part
                self._total -= part
                change += part

    def _returned(self, slip: Slip, now: Now) -> float:
        soon = self._seen + self.guard
        due = takewhile(lambda other: other.mark <= soon, self._slips)
        return self._freed - slip.freed + sum(other.amount for other in due)

    def _back_at(self, amount: float, now: Now) -> float:
        missing = self._total + amount - self.limit.amount - NOISE
        freed = accumulate(slip.amount for slip in self._slips)
        marks = (slip.mark for slip, sum_ in zip(self._slips, freed, strict=True) if sum_ >= missing)
        return next(marks, self._slips[-1].mark)

    def _close(self, slip: Slip, change: float, now: Now) -> None:
        self._expire(now)
        if change > 0:
            self._add(Slip(change, now.mono + self.limit.seconds, open=False), now)
        elif slip.mark > self._seen:
            slip.amount += change
            self._total += change

    def _add(self, slip: Slip, now: Now) -> Slip:
        self._expire(now)
        insort(self._slips, slip, key=_mark)
        self._total += slip.amount
        if len(self._slips) > self._merge_at:
            self._merge()
        return slip

    def _expire(self, now: Now) -> None:
        # A caller's instant may be a little older than one already seen; what is gone stays gone.
        self._seen = max(self._seen, now.mono)
        if self._slips and self._slips[0].mark <= self._seen:
            over = bisect_right(self._slips, self._seen, key=_mark)
            gone = sum(slip.amount for slip in self._slips[:over])
            self._total -= gone
            self._freed += gone
            del self._slips[:over]
        if not self._slips:
            self._total = 0.0

    def _merge(self) -> None:
        # The latest of each grain stands for all, so that nothing comes back early. Slips of calls under
        # way stay as they are: they may still change, and are no more than the calls under way.
        grain = self.limit.seconds / GRAINS
        kept: list[Slip] = []
        merged: dict[int, Slip] = {}
        for slip in self._slips:
            if slip.open:
                kept.append(slip)
                continue
            one = merged.setdefault(int(slip.mark // grain), Slip(0.0, open=False))
            one.amount += slip.amount
            one.mark = slip.mark
        self._slips = sorted([*kept, *merged.values()], key=_mark)
        self._total = math.fsum(slip.amount for slip in self._slips)
        self._merge_at = max(MERGE_AT, 2 * len(self._slips))


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
        self._debt = 0.0
        self._from = -math.inf  # when refilling of the debt begins
        self._open: set[Slip] = set()

    def _take(self, amount: float, now: Now) -> Slip:
        self._owe(amount, self.guard, now)
        slip = Slip(amount, math.inf)
        self._open.add(slip)
        return slip

    def used(self, now: Now) -> float:
        """Return what is missing from a full bucket."""
        return max(0.0, self._debt - max(0.0, now.mono - self._from) * self._rate)

    def resets_in(self, now: Now) -> float:
        """Return the seconds until the bucket is full."""
        return max(0.0, self._from + self._seconds(self._debt) - now.mono) if self._debt else 0.0

    def resize(self, limit: Limit, now: Now) -> None:
        """Change capacity and refill; what is missing stays missing."""
        self._refill(now)
        self.limit = limit

    def correct(self, used: float, now: Now, back_in: float | None = None) -> None:
        """Let *used* be missing from now on."""
        change = used - self.used(now)
        if change > 0:
            self._owe(change, 0.0, now)
        else:
            self._repay(-change, now)

    def _returned(self, slip: Slip, now: Now) -> float:
        refilled = (now.mono - slip.at + self.guard) * self._rate
        return self._freed - slip.freed + refilled

    @property
    def _grain(self) -> float:
        return 0.0 if self.limit.unit is Unit.USD else 1.0

    @property
    def _rate(self) -> float:
        return self.limit.amount / self.limit.seconds

    def _seconds(self, amount: float) -> float:
        return amount / self._rate if self._rate else math.inf

    def _back_at(self, amount: float, now: Now) -> float:
        return max(now.mono, self._from + self._seconds(self._debt + amount - self.limit.amount))

    def _close(self, slip: Slip, change: float, now: Now) -> None:
        self._open.discard(slip)
        if change > 0:
            self._owe(change, 0.0, now)
        else:
            self._repay(min(-change, slip.mark), now)

    def _owe(self, amount: float, guard: float, now: Now) -> None:
        self._refill(now)
        for slip in self._open:
            slip.mark = min(slip.mark, max(0.0, self._debt - guard * self._rate))
        self._from = max(self._from, now.mono + max(0.0, guard - self._seconds(self._debt)))
        self._debt += amount

    def _repay(self, amount: float, now: Now) -> None:
        self._refill(now)
        paid = min(amount, self._debt)
        self._debt -= paid
        for slip in self._open:
            slip.mark = max(0.0, slip.mark - paid)

    def _refill(self, now: Now) -> None:
        self._debt = self.used(now)
        self._from = max(self._from, now.mono)


class Calendar(Counter):
    """So much in each period of the provider's calendar, on the wall clock; see `calendars.period`.

    A call under way at a reset counts in both periods: nobody knows in which the provider counted it.
    `fits_at` takes it that calls under way end before the reset.

    A period is opened once. A clock that was set back neither opens it again nor holds the quota for long:
    once a period's length has passed on the monotonic clock, the next boundary counts whatever its date.
    """

    def __init__(self, limit: Limit) -> None:
        """Start empty, in no period."""
        super().__init__(limit)
        self._used = 0.0
        self._start = self._end = self._newest = self._opened = -math.inf
        self._open: set[Slip] = set()

    def _take(self, amount: float, now: Now) -> Slip:
        self._turn(now)
        slip = Slip(amount)
        self._open.add(slip)
        self._used += amount
        return slip

    def used(self, now: Now) -> float:
        """Return how much is taken in the present period."""
        self._turn(now)
        return self._used

    def resets_in(self, now: Now) -> float:
        """Return the seconds until the period ends."""
        self._turn(now)
        return self._end - now.wall

    def lead(self, now: Now) -> float:
        """Return the share of the quota left minus the share of the period left."""
        return self.left(now) - (self._end - now.wall) / (self._end - self._start)

    def resize(self, limit: Limit, now: Now) -> None:
        """Change amount, zone or period; what is taken counts in the new period."""
        self._turn(now)
        old, self.limit = self.limit, limit
        if (old.span, old.seconds, old.tz) != (limit.span, limit.seconds, limit.tz):
            self._start, self._end = period(limit, now.wall)
            self._newest = self._start

    def correct(self, used: float, now: Now, back_in: float | None = None) -> None:
        """Let *used* be taken in the present period."""
        self._turn(now)
        self._used = used

    def _returned(self, slip: Slip, now: Now) -> float:
        return self._freed - slip.freed

    def _heeds(self, slip: Slip, now: Now) -> bool:
        # Around a reset nobody knows which period was counted: their clock is not ours.
        self._turn(now)
        return slip.at - (now.mono - (now.wall - self._start)) >= SKEW

    def _back_at(self, amount: float, now: Now) -> float:
        return now.mono + (self._end - now.wall)

    def _close(self, slip: Slip, change: float, now: Now) -> None:
        self._turn(now)
        self._open.discard(slip)
        self._used = max(0.0, self._used + change)

    def _turn(self, now: Now) -> None:
        if self._start <= now.wall < self._end:
            return
        self._start, self._end = period(self.limit, now.wall)
        passed = now.mono - self._opened >= self._end - self._start
        if self._start > self._newest or passed:
            self._newest, self._opened = self._start, now.mono
            self._used = math.fsum(slip.amount for slip in self._open)


class Concurrency(Counter):
    """So many calls under way at once."""

    def __init__(self, limit: Limit) -> None:
        """Start with every slot free."""
        super().__init__(limit)
        self._used = 0.0

    def _take(self, amount: float, now: Now) -> Slip:
        self._used += amount
        return Slip(amount)

    def used(self, now: Now) -> float:
        """Return the slots taken."""
        return self._used

    def resets_in(self, now: Now) -> float:
        """Return 0: slots come back as calls end, not with time."""
        return 0.0

    def correct(self, used: float, now: Now, back_in: float | None = None) -> None:
        """Do nothing: what is under way is known here best."""

    def _returned(self, slip: Slip, now: Now) -> float:
        return self._freed - slip.freed

    def _back_at(self, amount: float, now: Now) -> float:
        return now.mono + RELOOK

    def _close(self, slip: Slip, change: float, now: Now) -> None:
        self._used -= slip.amount


def counter_for(limit: Limit, guard: float = GUARD) -> Counter:
    """Return an empty counter for *limit*."""
    if limit.unit is Unit.CONCURRENCY:
        return Concurrency(limit)
    if limit.window is WindowKind.CALENDAR:
        return Calendar(limit)
    return (Bucket if limit.window is WindowKind.BUCKET else Sliding)(limit, guard)


def adapted(counter: Counter, limit: Limit, now: Now, guard: float = GUARD) -> Counter:
    """Return a counter for *limit* that keeps what *counter* has taken.

    It is *counter* itself unless the kind or length of the window changed. Then calls under way stay as
    they were charged, since their slips belong to the old counter.
    """
    old = counter.limit
    if (old.unit, old.window, old.seconds) == (limit.unit, limit.window, limit.seconds):
        counter.resize(limit, now)
        return counter
    fresh = counter_for(limit, guard)
    fresh.settle(fresh.take(counter.used(now), now), None, now)
    return fresh
