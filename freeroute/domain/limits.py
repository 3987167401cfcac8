"""Counters: how much of a limit is taken, and when more of it fits. One class for each kind of window.

All share the interface of `counters.Counter`. Time is an argument; a counter forgets what is over when it
is read.
"""

from freeroute.clock import Now
from freeroute.domain.buckets import Bucket
from freeroute.domain.calendars import Calendar
from freeroute.domain.catalogue import Limit, Unit, WindowKind
from freeroute.domain.counters import GUARD, Counter, Slip
from freeroute.domain.keepsake import KeptBucket, KeptCalendar, KeptPool, KeptWindow, Rebase
from freeroute.domain.sliding import Sliding

RELOOK = 0.25
"""Seconds until another look at full concurrency: nobody knows when a call ends. Own design."""


class Concurrency(Counter):
    """So many calls under way at once."""

    def take(self, amount: float, now: Now) -> Slip:
        """Take so many slots."""
        others = self.in_flight
        self.in_flight = others + amount
        self.taken = taken = self.taken + amount
        self.level = level = self.level + amount
        return Slip(amount, 0.0, True, False, now.mono, others, taken, self.freed, level, amount)

    def settle(self, slip: Slip, actual: float | None, now: Now) -> None:
        """Give back what *slip* took."""
        if slip.open:
            slip.open = False
            self.level -= slip.amount
            self.in_flight -= slip.amount
            if actual is not None:
                self._turned_out(slip, actual)

    def used(self, now: Now) -> float:
        """Return the slots taken."""
        return self.level

    def resets_in(self, now: Now) -> float:
        """Return 0: slots come back as calls end, not with time."""
        return 0.0

    def _correct(self, used: float, now: Now, back_in: float | None) -> None:
        """Do nothing: what is under way is known here best."""

    def kept(self, now: Now) -> None:
        """Return None: calls under way end with the process."""

    def _returned(self, slip: Slip, now: Now) -> float:
        return self.freed - slip.freed

    def _back_at(self, amount: float, now: Now) -> float:
        return now.mono + RELOOK


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
    fresh.carry(counter.used(now), counter.peak, now)
    return fresh


def restored(kept: KeptPool, rebase: Rebase, guard: float = GUARD, *, lost: bool = False) -> Counter:
    """Return the counter that was *kept*; *lost* if what it took last may not have been kept any more.

    Then it is raised by the most that it ever took between two savings, as if that had been taken just now.
    A crash after which nothing was taken raises it no further.
    """
    counter = _restored(kept.limit, kept.window, rebase, guard)
    now = rebase.now
    extra = 0.0
    if lost and not kept.raised:
        extra = min(kept.peak, max(0.0, kept.limit.amount - counter.used(now)))
    counter.carry(extra, kept.peak, now)
    counter.raised = lost or kept.raised
    return counter


def _restored(limit: Limit, window: KeptWindow, rebase: Rebase, guard: float) -> Counter:
    match window:
        case KeptCalendar():
            return Calendar.restored(limit, window, rebase)
        case KeptBucket():
            return Bucket.restored(limit, window, rebase, guard)
        case _:
            return Sliding.restored(limit, window, rebase, guard)
