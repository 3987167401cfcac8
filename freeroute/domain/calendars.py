"""The calendar window: so much in each period of the provider's calendar."""

import math
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from freeroute.clock import Now
from freeroute.domain.catalogue import Limit
from freeroute.domain.counters import Counter, Slip
from freeroute.domain.keepsake import KeptCalendar, Rebase

SKEW = 60.0
"""Seconds after a reset in which a provider may still count for the period before. Own design."""

DRIFT = 0.001
"""Share of a period by which it may end sooner on the monotonic clock than was expected. Own design: twice
what a wall clock is slewed at most."""

_DAY = 86_400


def period(limit: Limit, wall: float) -> tuple[float, float]:
    """Return start and end, in Unix time, of the calendar period of *limit* around *wall*.

    Months begin on the 1st and weeks on Monday, in the limit's zone. Hours and shorter spans are counted from
    each midnight; the last one is cut short where the zone changes its clocks by half an hour.
    """
    zone = ZoneInfo(limit.tz)
    day = datetime.fromtimestamp(wall, zone).date()
    if limit.span == "month":
        first = day.replace(day=1)
        return _midnight(first, zone), _midnight((first + timedelta(days=32)).replace(day=1), zone)
    if limit.seconds >= _DAY:
        days = int(limit.seconds // _DAY)
        first = day - timedelta(days=day.weekday() % days)
        return _midnight(first, zone), _midnight(first + timedelta(days=days), zone)
    midnight = _midnight(day, zone)
    start = midnight + (wall - midnight) // limit.seconds * limit.seconds
    return start, min(start + limit.seconds, _midnight(day + timedelta(days=1), zone))


def _midnight(day: date, zone: ZoneInfo) -> float:
    # Where clocks go forward at midnight this is the first instant of the day, where back, the first of two.
    return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()


class Calendar(Counter):
    """So much in each period of the provider's calendar, on the wall clock; see `period`.

    A call under way at a reset counts in both periods: nobody knows in which the provider counted it.
    `fits_at` takes it that calls under way end before the reset.

    A period is opened once. A clock that was set back neither opens it again nor holds the quota for long:
    once a period's length has passed on the monotonic clock, the next boundary counts whatever its date.
    A period that was not come to by time, but because the clock was set forward, may be opened again: if the
    clock is set back, that was a mistake, and the period is still to come.
    """

    def __init__(self, limit: Limit) -> None:
        """Start empty, in no period."""
        super().__init__(limit)
        self._start = self._end = self._newest = self._opened = -math.inf
        self._due = -math.inf  # when the present period should end, on the monotonic clock
        self._open: set[Slip] = set()

    @classmethod
    def restored(cls, limit: Limit, kept: KeptCalendar, rebase: Rebase) -> "Calendar":
        """Return the window of *limit* as it was *kept*.

        Calls that were under way may have been counted in the period after it too, but in no later one.
        """
        made = cls(limit)
        made.level, made._start, made._end, made._newest = kept.used, kept.start, kept.end, kept.newest
        made._opened, made._due = rebase.mono(kept.opened), rebase.mono(kept.due)
        made._turn(rebase.now)
        if made._start == kept.end:
            made.level += kept.under_way
        return made

    def kept(self, now: Now) -> KeptCalendar:
        """Return what is used in which period."""
        self._turn(now)
        under_way = math.fsum(slip.amount for slip in self._open)
        return KeptCalendar(
            self.level, under_way, self._start, self._end, self._newest, self._opened, self._due
        )

    def take(self, amount: float, now: Now) -> Slip:
        """Take *amount*, whether it fits or not."""
        if not self._start <= now.wall < self._end:
            self._turn(now)
        others = self.in_flight
        self.in_flight = others + amount
        self.taken = taken = self.taken + amount
        self.level = level = self.level + amount
        slip = Slip(amount, 0.0, True, False, now.mono, others, taken, self.freed, level, amount)
        self._open.add(slip)
        return slip

    def settle(self, slip: Slip, actual: float | None, now: Now) -> None:
        """End *slip* with the *actual* amount, or as taken if None; a second time does nothing."""
        if slip.open:
            if not self._start <= now.wall < self._end:
                self._turn(now)
            slip.open = False
            self._open.discard(slip)
            self.in_flight -= slip.amount
            if actual is not None:
                self.level += self._turned_out(slip, actual)
                if self.level < 0.0:
                    self.level = 0.0

    def used(self, now: Now) -> float:
        """Return how much is taken in the present period."""
        self._turn(now)
        return self.level

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

    def _correct(self, used: float, now: Now, back_in: float | None) -> None:
        """Let *used* be taken in the present period."""
        self._turn(now)
        self.level = used

    def _returned(self, slip: Slip, now: Now) -> float:
        return self.freed - slip.freed

    def _heeds(self, slip: Slip, now: Now) -> bool:
        # Around a reset nobody knows which period was counted: their clock is not ours.
        self._turn(now)
        return slip.at - (now.mono - (now.wall - self._start)) >= SKEW

    def _back_at(self, amount: float, now: Now) -> float:
        # Of the boundaries to come, the first that will count: see `_turn`.
        end = self._end
        while True:
            at = now.mono + (end - now.wall)
            start, end = period(self.limit, end)
            if start > self._newest or at - self._opened >= end - start:
                return at

    def _turn(self, now: Now) -> None:
        if self._start <= now.wall < self._end:
            return
        leapt = now.mono < self._due - DRIFT * self.limit.seconds
        self._start, self._end = period(self.limit, now.wall)
        self._due = now.mono + self._end - now.wall
        passed = now.mono - self._opened >= self._end - self._start
        if self._start > self._newest or passed:
            self.level = math.fsum(slip.amount for slip in self._open)
            if not leapt:
                self._newest, self._opened = self._start, now.mono
