"""What a simulated provider counts, exactly, and by the instant at which a call arrived there."""

import datetime as dt
import math
from collections import deque
from typing import Literal
from zoneinfo import ZoneInfo

from msgspec import Struct

MINUTE = 60.0


class Limit(Struct, frozen=True):
    """At most *amount* of *unit* in any minute, or on one day; concurrency has no span."""

    unit: Literal["requests", "tokens", "concurrency"]
    amount: int
    per: Literal["minute", "day", ""] = "minute"


class Entry(Struct, eq=False):
    """What one call took, and when (mono)."""

    at: float
    amount: float


class Quota:
    """The use of one limit. A call is refused if it does not fit, and then takes nothing."""

    def __init__(self, limit: Limit, zone: str) -> None:
        """Start with nothing used; a day ends at midnight in *zone*."""
        self.limit = limit
        self._zone = ZoneInfo(zone)
        self._entries: deque[Entry] = deque()
        self._day: dt.date | None = None
        self._today = 0.0

    def charge(self, tokens: int) -> float:
        """Return what a call of *tokens* takes."""
        return float(tokens) if self.limit.unit == "tokens" else 1.0

    def used(self, now: float, wall: float) -> float:
        """Return what is used at *now* (mono) and *wall*."""
        if self.limit.per == "day":
            self._turn(wall)
            return self._today
        if self.limit.per == "minute":
            while self._entries and self._entries[0].at <= now - MINUTE:
                self._entries.popleft()
        return sum(entry.amount for entry in self._entries)

    def fits_in(self, amount: float, now: float, wall: float) -> float:
        """Return the seconds until *amount* fits: 0 if now, ``inf`` if that is unknown or never."""
        over = self.used(now, wall) + amount - self.limit.amount
        if over <= 0:
            return 0.0
        if amount > self.limit.amount or self.limit.per == "":
            return math.inf
        if self.limit.per == "day":
            return self._until_midnight(wall)
        for entry in self._entries:
            over -= entry.amount
            if over <= 0:
                return entry.at + MINUTE - now
        return math.inf

    def take(self, amount: float, now: float, wall: float) -> Entry:
        """Count a call that arrived *now*."""
        entry = Entry(now, amount)
        if self.limit.per == "day":
            self._turn(wall)
            self._today += amount
        else:
            self._entries.append(entry)
        return entry

    def end(self, entry: Entry) -> None:
        """Note that a call is over: of those at once there is one less."""
        if self.limit.per == "":
            self._entries.remove(entry)

    def _turn(self, wall: float) -> None:
        today = dt.datetime.fromtimestamp(wall, self._zone).date()
        if today != self._day:
            self._day, self._today = today, 0.0

    def _until_midnight(self, wall: float) -> float:
        now = dt.datetime.fromtimestamp(wall, self._zone)
        midnight = dt.datetime.combine(now.date() + dt.timedelta(days=1), dt.time(), self._zone)
        return midnight.timestamp() - wall


def zone_at_noon(wall: float) -> str:
    """Return a time zone in which it is about noon, so that no run meets a midnight."""
    hour = dt.datetime.fromtimestamp(wall, dt.UTC).hour
    # The sign is POSIX's: what lies east of Greenwich counts as minus.
    return f"Etc/GMT{hour - 12:+d}" if hour != 12 else "UTC"
