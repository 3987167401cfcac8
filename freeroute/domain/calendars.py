"""The periods of a provider's calendar, as limits use them."""

import math
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from freeroute.domain.catalogue import Limit

_DAY = 86_400


def period(limit: Limit, wall: float) -> tuple[float, float]:
    """Return start and end, in Unix time, of the calendar period of *limit* around *wall*.

    Months begin on the 1st and weeks on Monday. A length of whole days is counted from a Monday long ago,
    a length with a part of a day is rounded up; a length below a day is counted from each midnight,
    the day's last period being cut short where it does not divide. All in the limit's zone.
    """
    zone = ZoneInfo(limit.tz)
    day = datetime.fromtimestamp(wall, zone).date()
    if limit.span == "month":
        first = day.replace(day=1)
        return _midnight(first, zone), _midnight((first + timedelta(days=32)).replace(day=1), zone)
    if limit.seconds >= _DAY:
        days = math.ceil(limit.seconds / _DAY)
        first = day - timedelta(days=(day.toordinal() - 1) % days)
        return _midnight(first, zone), _midnight(first + timedelta(days=days), zone)
    midnight = _midnight(day, zone)
    start = midnight + (wall - midnight) // limit.seconds * limit.seconds
    return start, min(start + limit.seconds, _midnight(day + timedelta(days=1), zone))


def _midnight(day: date, zone: ZoneInfo) -> float:
    # Where clocks go forward at midnight this is the first instant of the day, where back, the first of two.
    return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()
