"""The sliding window: at most so much within any span of its length."""

import math
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from heapq import merge
from itertools import chain, takewhile
from operator import attrgetter

from freeroute.clock import Now
from freeroute.domain.catalogue import Limit
from freeroute.domain.counters import GUARD, NOISE, Counter, Slip
from freeroute.domain.guards import LONGEST
from freeroute.domain.keepsake import KeptSliding, Rebase

GRAINS = 600
"""Parts of a window into which entries are merged; a slot then comes back at most 1/600 late, and as much
again if it is merged once more. Own design."""

MERGE_AT = 4 * GRAINS
"""Entries of a sliding window above which finished ones are merged. Own design: 0.5 MB at most, soon
saved."""

GONE = 64
"""Calls that are remembered after they came back, to look at them again when a refusal says that it was too
early. Own design: enough for a minute of any free tier; of a faster one only the latest matter."""

_mark, _amount = attrgetter("mark"), attrgetter("amount")


class Sliding(Counter):
    """At most so much within any span of the limit's seconds, on the monotonic clock.

    What a call took comes back one window after the latest moment the provider plausibly counted it:
    *guard* seconds after it was sent, or when its answer began if that came sooner. What a call used
    beyond its estimate was counted by the time it was settled.

    Slips are in two queues, each in the order they come back: those of which the moment is a guess in the
    order of taking, those that are sure in the order of answers. What has become sure stays behind in the
    first queue until it is come to there from either end.
    """

    heeds_answers = True

    def __init__(self, limit: Limit, guard: float = GUARD) -> None:
        """Start empty; *guard* may be changed at any time."""
        super().__init__(limit)
        self.guard = guard
        self._guessed: deque[Slip] = deque()
        self._sure: deque[Slip] = deque()
        self._due = math.inf  # nothing comes back before
        self._gone: deque[Slip] = deque(maxlen=GONE)
        self._seen = -math.inf
        self._merge_at = MERGE_AT

    @classmethod
    def restored(cls, limit: Limit, kept: KeptSliding, rebase: Rebase, guard: float = GUARD) -> "Sliding":
        """Return the window of *limit* as it was *kept*; nothing in it is held for longer than anew."""
        made = cls(limit, guard)
        latest = rebase.now.mono + LONGEST * guard + limit.seconds
        for mark, amount in sorted(kept.slips):
            made._add(Slip(amount, rebase.mono(mark, latest), open=False))
        return made

    def kept(self, now: Now) -> KeptSliding:
        """Return when how much comes back, calls under way included; many slips are kept in grains."""
        self._expire(now)
        if len(self._guessed) + len(self._sure) <= GRAINS:
            return KeptSliding([(slip.mark, slip.amount) for slip in self._slips() if slip.amount])
        grain = self.limit.seconds / GRAINS
        return KeptSliding([*_grains(self._unsure(), grain), *_grains(self._sure, grain)])

    def take(self, amount: float, now: Now) -> Slip:
        """Take *amount*, whether it fits or not."""
        mono = now.mono
        if mono >= self._due:
            self._expire(now)
        mark = mono + self.guard + self.limit.seconds
        others = self.in_flight
        self.in_flight = others + amount
        self.taken = taken = self.taken + amount
        self.level = level = self.level + amount
        slip = Slip(amount, mark, True, False, mono, others, taken, self.freed, level, amount)
        guessed = self._guessed
        if guessed and guessed[-1].mark > mark:
            _insert(guessed, slip)
        else:  # as nearly always
            guessed.append(slip)
        if mark < self._due:
            self._due = mark
        if len(guessed) + len(self._sure) > self._merge_at:
            self._merge()
        return slip

    def settle(self, slip: Slip, actual: float | None, now: Now) -> None:
        """End *slip* with the *actual* amount, or as taken if None; a second time does nothing."""
        if not slip.open:
            return
        slip.open = False
        self.in_flight -= slip.amount
        if actual is None:
            return
        if actual < 0.0:  # as in `_turned_out`
            actual = 0.0
        change = actual - slip.amount
        if change > 0.0:
            slip.change = change
            self.taken += change
            self._add(Slip(change, now.mono + self.limit.seconds, False, True))
        elif change:
            slip.change = change
            self.freed -= change
            if now.mono >= self._due:
                self._expire(now)
            if slip.mark > self._seen:
                slip.amount += change
                self.level += change

    def sent(self, slip: Slip, now: Now) -> None:
        """Start the guard of *slip* at *now*, if it was taken before."""
        self._expire(now)
        mark = now.mono + self.guard + self.limit.seconds
        if slip.open and self._seen < slip.mark < mark:
            if slip.sure:
                self._sure.remove(slip)
            if slip in self._guessed:
                self._guessed.remove(slip)
            slip.mark, slip.sure = mark, False
            _insert(self._guessed, slip)

    def confirm(self, slip: Slip, now: Now) -> None:
        """Start the window of *slip* now, if its guard would have started it later."""
        mark = now.mono + self.limit.seconds
        if slip.open and not slip.sure and self._seen < slip.mark > mark:
            slip.mark, slip.sure = mark, True
            guessed, sure = self._guessed, self._sure
            if sure and sure[-1].mark > mark:
                _insert(sure, slip)
            else:
                sure.append(slip)
            if mark < self._due:
                self._due = mark
            while guessed and guessed[0].sure:
                guessed.popleft()
            while guessed and guessed[-1].sure:
                guessed.pop()

    def used(self, now: Now) -> float:
        """Return how much is taken within the window."""
        if now.mono >= self._due:
            self._expire(now)
        return self.level

    def resets_in(self, now: Now) -> float:
        """Return the seconds until the last slip comes back."""
        if now.mono >= self._due:
            self._expire(now)
        guessed, sure = self._guessed, self._sure
        last = guessed[-1] if guessed else None
        if sure and (last is None or sure[-1].mark > last.mark):
            last = sure[-1]
        if last is not None and last.amount:  # as nearly always
            return last.mark - now.mono
        return max((slip.mark - now.mono for slip in self._slips() if slip.amount), default=0.0)

    def _correct(self, used: float, now: Now, back_in: float | None) -> None:
        """Let *used* be taken from now on; what is too much goes oldest first, calls under way apart."""
        change = used - self.used(now)
        if change > 0:
            span = self.limit.seconds if not back_in else min(back_in, self.limit.seconds)
            self._add(Slip(change, now.mono + span, False, True))
            return
        for slip in self._in_order():
            if change >= 0:
                break
            if not slip.open:
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
        for slip in self._slips():
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
        for slip in (*self._gone, *self._slips()):
            if not slip.sure:
                slip.mark += longer
        back = [slip for slip in self._gone if slip.mark > self._seen]
        self._gone = deque((slip for slip in self._gone if slip.mark <= self._seen), GONE)
        self._queue([*back, *self._slips()])
        again = sum(slip.amount for slip in back)
        self.level += again
        self.freed -= again

    def _returned(self, slip: Slip, now: Now) -> float:
        self._expire(now)
        freed, soon = self.freed - slip.freed, self._seen + self.guard
        if self._due <= soon:
            due = takewhile(lambda other: other.mark <= soon, self._in_order())
            freed += sum(other.amount for other in due)
        return freed

    def _back_at(self, amount: float, now: Now) -> float:
        missing, mark = self.level + amount - self.limit.amount - NOISE, now.mono
        slips = self._in_order()
        while missing > 0.0 and (slip := next(slips, None)) is not None:
            mark = slip.mark
            missing -= slip.amount
        return mark

    def _slips(self) -> Iterator[Slip]:
        """Go through all that is taken."""
        return chain(self._unsure(), self._sure)

    def _unsure(self) -> Iterator[Slip]:
        """Go through what comes back at a guess."""
        return (slip for slip in self._guessed if not slip.sure)

    def _in_order(self) -> Iterator[Slip]:
        """Go through all that is taken in the order it comes back, no further than is asked for."""
        return merge(self._unsure(), self._sure, key=_mark)

    def _add(self, slip: Slip) -> None:
        """Take what no call under way has taken."""
        mark, queue = slip.mark, self._sure if slip.sure else self._guessed
        if queue and queue[-1].mark > mark:
            _insert(queue, slip)
        else:  # as nearly always
            queue.append(slip)
        self.level += slip.amount
        if mark < self._due:
            self._due = mark

    def _queue(self, slips: Iterable[Slip]) -> None:
        """Let *slips* be all that is taken."""
        in_order = sorted(slips, key=_mark)
        self._guessed = deque(slip for slip in in_order if not slip.sure)
        self._sure = deque(slip for slip in in_order if slip.sure)
        self._due = in_order[0].mark if in_order else math.inf

    def _expire(self, now: Now) -> None:
        # A caller's instant may be a little older than one already seen; what is gone stays gone.
        if now.mono > self._seen:
            self._seen = now.mono
        seen, due = self._seen, math.inf
        if self._due > seen:
            return
        gone, freed, sure = [], 0.0, self._sure
        for queue in (self._guessed, sure):  # on the way of every call once a window is full
            while queue:
                slip = queue[0]
                if slip.mark > seen:
                    if slip.mark < due:
                        due = slip.mark
                    break
                queue.popleft()
                if queue is sure or not slip.sure:
                    gone.append(slip)
                    freed += slip.amount
        if len(gone) > 1:
            gone.sort(key=_mark)
        self._gone.extend(gone)
        self._due = due
        self.freed += freed
        self.level = self.level - freed if due < math.inf else 0.0

    def _merge(self) -> None:
        self._guessed = self._merged([*self._unsure()], sure=False)
        self._sure = self._merged(self._sure, sure=True)
        self.level = math.fsum(map(_amount, self._slips()))
        self._merge_at = max(MERGE_AT, 2 * (len(self._guessed) + len(self._sure)))

    def _merged(self, slips: Collection[Slip], *, sure: bool) -> deque[Slip]:
        # Slips of calls under way stay as they are: they may still change, and are no more than those calls.
        under_way = [slip for slip in slips if slip.open]
        grains = _grains((slip for slip in slips if not slip.open), self.limit.seconds / GRAINS)
        ended = [Slip(amount, mark, open=False, sure=sure) for mark, amount in grains]
        return deque(sorted([*under_way, *ended], key=_mark))


def _insert(queue: deque[Slip], slip: Slip) -> None:
    """Put *slip* where it belongs in *queue*, which is at its end or not far from it."""
    while queue and queue[-1].sure is not slip.sure:
        queue.pop()
    at = len(queue)
    while at and ((other := queue[at - 1]).mark > slip.mark or other.sure is not slip.sure):
        at -= 1
    queue.insert(at, slip)


def _grains(slips: Iterable[Slip], grain: float) -> list[tuple[float, float]]:
    """Return mark and amount of what is in each *grain* seconds: the latest, so that none is back early."""
    merged: list[tuple[float, float]] = []
    total, latest, end = 0.0, 0.0, -math.inf
    for slip in slips:
        mark = slip.mark
        if mark >= end:
            if total:
                merged.append((latest, total))
            total, end = 0.0, mark + grain
        if amount := slip.amount:
            total += amount
            latest = mark
    if total:
        merged.append((latest, total))
    return merged
