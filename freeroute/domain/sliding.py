"""The sliding window: at most so much within any span of its length."""

import math
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterable
from itertools import accumulate, takewhile
from operator import attrgetter

from freeroute.clock import Now
from freeroute.domain.catalogue import Limit
from freeroute.domain.counters import GUARD, NOISE, Counter, Slip
from freeroute.domain.guards import LONGEST
from freeroute.domain.keepsake import KeptSliding, Rebase

MERGE_AT = 4096
"""Entries of a sliding window above which finished ones are merged. Own design: 0.5 MB at most."""

GRAINS = 600
"""Parts of a window into which entries are merged; a slot then comes back at most 1/600 late. Own design."""

GONE = 64
"""Calls that are remembered after they came back, to look at them again when a refusal says that it was too
early. Own design: enough for a minute of any free tier; of a faster one only the latest matter."""

_mark = attrgetter("mark")


class Sliding(Counter):
    """At most so much within any span of the limit's seconds, on the monotonic clock.

    What a call took comes back one window after the latest moment the provider plausibly counted it:
    *guard* seconds after it was sent, or when its answer began if that came sooner. What a call used
    beyond its estimate was counted by the time it was settled. Slips are kept in the order they come back.
    """

    heeds_answers = True

    def __init__(self, limit: Limit, guard: float = GUARD) -> None:
        """Start empty; *guard* may be changed at any time."""
        super().__init__(limit)
        self.guard = guard
        self._slips: list[Slip] = []
        self._gone: deque[Slip] = deque(maxlen=GONE)
        self._seen = -math.inf
        self._merge_at = MERGE_AT

    @classmethod
    def restored(cls, limit: Limit, kept: KeptSliding, rebase: Rebase, guard: float = GUARD) -> "Sliding":
        """Return the window of *limit* as it was *kept*; nothing in it is held for longer than anew."""
        made = cls(limit, guard)
        latest = rebase.now.mono + LONGEST * guard + limit.seconds
        for mark, amount in kept.slips:
            made._add(Slip(amount, rebase.mono(mark, latest), open=False))
        return made

    def kept(self, now: Now) -> KeptSliding:
        """Return when how much comes back, calls under way included; many slips are kept in grains."""
        self._expire(now)
        slips: Iterable[Slip] = (slip for slip in self._slips if slip.amount)
        if len(self._slips) > GRAINS:
            slips = _grains(slips, self.limit.seconds / GRAINS)
        return KeptSliding([(slip.mark, slip.amount) for slip in slips])

    def take(self, amount: float, now: Now) -> Slip:
        """Take *amount*, whether it fits or not."""
        slips, mono = self._slips, now.mono
        if slips and slips[0].mark <= mono:
            self._expire(now)
        mark = mono + self.guard + self.limit.seconds
        slip = self._turnover.took(amount, mark, self.level + amount, now)
        if slips and slips[-1].mark <= mark and len(slips) < self._merge_at:  # as nearly always
            slips.append(slip)
            self.level = slip.level
        else:
            self._add(slip)
        return slip

    def settle(self, slip: Slip, actual: float | None, now: Now) -> None:
        """End *slip* with the *actual* amount, or as taken if None; a second time does nothing."""
        if not slip.open or not (change := self._turnover.ended(slip, actual)):
            return
        if change > 0.0:
            self._add(Slip(change, now.mono + self.limit.seconds, False, True))
            return
        self._expire(now)
        if slip.mark > self._seen:
            slip.amount += change
            self.level += change

    def sent(self, slip: Slip, now: Now) -> None:
        """Start the guard of *slip* at *now*, if it was taken before."""
        self._expire(now)
        mark = now.mono + self.guard + self.limit.seconds
        if slip.open and self._seen < slip.mark < mark:
            self._move(slip, mark)

    def confirm(self, slip: Slip, now: Now) -> None:
        """Start the window of *slip* now, if its guard would have started it later."""
        slips, mark = self._slips, now.mono + self.limit.seconds
        if slip.open and self._seen < slip.mark > mark:
            if slips[-1] is slip and (len(slips) == 1 or slips[-2].mark <= mark):
                slip.mark = mark
            else:
                self._move(slip, mark)
            slip.sure = True

    def _move(self, slip: Slip, mark: float) -> None:
        slips = self._slips
        at = bisect_left(slips, slip.mark, key=_mark)
        while slips[at] is not slip:
            at += 1
        del slips[at]
        slip.mark = mark
        insort(slips, slip, key=_mark)

    def used(self, now: Now) -> float:
        """Return how much is taken within the window."""
        if not self._slips or self._slips[0].mark <= now.mono:
            self._expire(now)
        return self.level

    def resets_in(self, now: Now) -> float:
        """Return the seconds until the last slip comes back."""
        slips, mono = self._slips, now.mono
        if not slips or slips[0].mark <= mono:
            self._expire(now)
        if slips and (last := slips[-1]).amount:  # as nearly always
            return last.mark - mono
        return max((slip.mark - now.mono for slip in self._slips if slip.amount), default=0.0)

    def _correct(self, used: float, now: Now, back_in: float | None) -> None:
        """Let *used* be taken from now on; what is too much goes oldest first, calls under way apart."""
        change = used - self.used(now)
        if change > 0:
            span = self.limit.seconds if not back_in else min(back_in, self.limit.seconds)
            self._add(Slip(change, now.mono + span, False, True))
        for slip in self._slips:
            if change < 0 and not slip.open:
                part = min(slip.amount, -change)
                slip.amount -= part
                self.level -= part
                change += part

    def counted_beside(self, slip: Slip, now: Now) -> float:
        """Return how much was counted when *slip*'s call was judged: what came back since was there still."""
        since = sum(gone.amount for gone in self._gone if gone is not slip and gone.mark > slip.at)
        return super().counted_beside(slip, now) + since

    def recall(self, now: Now) -> float:
        """Take again what answers gave back of calls that ended; return how much."""
        self._expire(now)
        again = 0.0
        for slip in self._slips:
            back = slip.charged + min(0.0, slip.change) - slip.amount  # what it cost beyond is another slip
            if not slip.open and back > 0:
                slip.amount += back
                again += back
        self.level += again
        self._raise(again)
        return again

    def was_tight(self, slip: Slip, soon: float) -> bool:
        """Say whether *slip* fitted only by what we guess came back in the *soon* seconds before it."""
        just = sum(
            gone.amount for gone in self._gone if not gone.sure and slip.at - soon < gone.mark <= slip.at
        )
        return just > 0 and slip.level + just > self.limit.amount + NOISE

    def lengthen(self, guard: float, now: Now) -> None:
        """Use a longer *guard* from now on; what came back too early by it is taken again."""
        self._expire(now)
        longer, self.guard = guard - self.guard, guard
        for slip in (*self._gone, *self._slips):
            if not slip.sure:
                slip.mark += longer
        back = [slip for slip in self._gone if slip.mark > self._seen]
        self._gone = deque((slip for slip in self._gone if slip.mark <= self._seen), GONE)
        self._slips = sorted([*back, *self._slips], key=_mark)
        again = sum(slip.amount for slip in back)
        self.level += again
        self._turnover.freed -= again

    def _returned(self, slip: Slip, now: Now) -> float:
        self._expire(now)
        soon = self._seen + self.guard
        due = takewhile(lambda other: other.mark <= soon, self._slips)
        return self._turnover.freed - slip.freed + sum(other.amount for other in due)

    def _back_at(self, amount: float, now: Now) -> float:
        missing = self.level + amount - self.limit.amount - NOISE
        freed = accumulate(slip.amount for slip in self._slips)
        marks = (slip.mark for slip, sum_ in zip(self._slips, freed, strict=True) if sum_ >= missing)
        return next(marks, self._slips[-1].mark)

    def _add(self, slip: Slip) -> None:
        slips = self._slips
        if slips and slips[-1].mark > slip.mark:
            insort(slips, slip, key=_mark)
        else:
            slips.append(slip)
        self.level += slip.amount
        if len(slips) > self._merge_at:
            self._merge()

    def _expire(self, now: Now) -> None:
        # A caller's instant may be a little older than one already seen; what is gone stays gone.
        if now.mono > self._seen:
            self._seen = now.mono
        if self._slips and self._slips[0].mark <= self._seen:
            over = bisect_right(self._slips, self._seen, key=_mark)
            gone = sum(slip.amount for slip in self._slips[:over])
            self._gone.extend(self._slips[:over])
            self.level -= gone
            self._turnover.freed += gone
            del self._slips[:over]
        if not self._slips:
            self.level = 0.0

    def _merge(self) -> None:
        # Slips of calls under way stay as they are: they may still change, and are no more than those calls.
        under_way = [slip for slip in self._slips if slip.open]
        ended = _grains((slip for slip in self._slips if not slip.open), self.limit.seconds / GRAINS)
        self._slips = sorted([*under_way, *ended], key=_mark)
        self.level = math.fsum(slip.amount for slip in self._slips)
        self._merge_at = max(MERGE_AT, 2 * len(self._slips))


def _grains(slips: Iterable[Slip], grain: float) -> list[Slip]:
    """Return one slip for all of each *grain* seconds: the latest, so that nothing comes back early."""
    merged: list[Slip] = []
    one, end = Slip(0.0), -math.inf
    for slip in slips:
        mark = slip.mark
        if mark >= end:
            one, end = Slip(0.0, open=False), mark + grain
            merged.append(one)
        one.amount += slip.amount
        one.mark = mark
    return merged
