"""A provider's own counting: what it has counted, and whether one more call would pass a ceiling.

The judge of the limiter. It shares nothing with what it judges: it keeps every call that ever arrived and
adds them up anew for each question, in the plainest way there is.
"""

import math
from datetime import datetime
from zoneinfo import ZoneInfo

from msgspec import Struct


class Quota(Struct):
    """At most *amount* in any *seconds* (``sliding``) or each ``day`` or ``month`` of *zone*.

    A ``bucket`` of it refills evenly within *seconds*.
    """

    kind: str
    amount: float
    seconds: float = 60.0
    zone: str = "UTC"


class Count(Struct):
    """*amount* that was counted at *mono*, on the provider's calendar at *wall*."""

    mono: float
    wall: float
    amount: float


def used(quota: Quota, counts: list[Count], mono: float, wall: float) -> float:
    """Return how much of *quota* is used at an instant, by what was counted until then."""
    past = [count for count in counts if count.mono <= mono]
    match quota.kind:
        case "sliding":
            return math.fsum(count.amount for count in past if count.mono > mono - quota.seconds)
        case "bucket":
            return _missing(quota, past, mono)
        case _:
            today = _date(quota, wall)
            return math.fsum(count.amount for count in past if _date(quota, count.wall) == today)


def _missing(quota: Quota, counts: list[Count], mono: float) -> float:
    missing, at = 0.0, -math.inf
    for count in sorted(counts, key=lambda count: count.mono):
        missing = max(0.0, missing - (count.mono - at) * quota.amount / quota.seconds) + count.amount
        missing, at = max(0.0, missing), count.mono
    return max(0.0, missing - (mono - at) * quota.amount / quota.seconds)


def _date(quota: Quota, wall: float) -> tuple[int, ...]:
    day = datetime.fromtimestamp(wall, ZoneInfo(quota.zone))
    return (day.year, day.month) if quota.kind == "month" else (day.year, day.month, day.day)
