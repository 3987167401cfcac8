"""Periods of a calendar: where they begin and end, in every zone, whatever the clocks do."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freeroute.domain.calendars import period
from freeroute.domain.catalogue import Limit, Unit, WindowKind

DAY = 86_400.0
SPANS = {"second": 1.0, "minute": 60.0, "hour": 3_600.0, "day": DAY, "week": 7 * DAY, "month": 30 * DAY}
ZONES = (
    "UTC",
    "America/Los_Angeles",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "America/Havana",
)


def limit(span: str, tz: str = "UTC") -> Limit:
    return Limit(Unit.REQUESTS, 1, SPANS[span], WindowKind.CALENDAR, span, tz)


def unix(text: str, tz: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(tz)).timestamp()


def local(wall: float, tz: str = "UTC") -> str:
    return datetime.fromtimestamp(wall, ZoneInfo(tz)).strftime("%a %Y-%m-%d %H:%M:%S")


@pytest.mark.parametrize(
    ("span", "start", "end"),
    [
        ("second", "Wed 2026-12-30 15:45:20", "Wed 2026-12-30 15:45:21"),
        ("minute", "Wed 2026-12-30 15:45:00", "Wed 2026-12-30 15:46:00"),
        ("hour", "Wed 2026-12-30 15:00:00", "Wed 2026-12-30 16:00:00"),
        ("day", "Wed 2026-12-30 00:00:00", "Thu 2026-12-31 00:00:00"),
        ("week", "Mon 2026-12-28 00:00:00", "Mon 2027-01-04 00:00:00"),
        ("month", "Tue 2026-12-01 00:00:00", "Fri 2027-01-01 00:00:00"),
    ],
)
def test_a_span_follows_the_calendar(span, start, end):
    found = period(limit(span), unix("2026-12-30T15:45:20"))
    assert [local(wall) for wall in found] == [start, end]


@pytest.mark.parametrize(("date", "hours"), [("2026-03-08", 23), ("2026-11-01", 25), ("2026-06-01", 24)])
def test_a_day_is_as_long_as_the_zone_makes_it(date, hours):
    start, end = period(limit("day", "America/Los_Angeles"), unix(f"{date}T12:00:00", "America/Los_Angeles"))
    assert end - start == hours * 3_600
    assert local(end, "America/Los_Angeles").endswith("00:00:00")


def test_a_day_without_midnight_begins_with_its_first_instant():
    # Cairo goes from 23:59:59 to 01:00:00 when summer time begins.
    start, _ = period(limit("day", "Africa/Cairo"), unix("2026-04-24T12:00:00", "Africa/Cairo"))
    assert local(start, "Africa/Cairo") == "Fri 2026-04-24 01:00:00"
    assert local(start - 1, "Africa/Cairo") == "Thu 2026-04-23 23:59:59"


WALLS = st.datetimes(datetime(2024, 1, 1), datetime(2031, 1, 1)).map(  # noqa: DTZ001 - given its zone next
    lambda at: at.replace(tzinfo=UTC).timestamp()
)


@settings(max_examples=200, deadline=None)
@given(wall=WALLS, span=st.sampled_from(sorted(SPANS)), tz=st.sampled_from(ZONES))
def test_a_period_holds_its_instant_and_ends_where_the_next_begins(wall, span, tz):
    start, end = period(limit(span, tz), wall)
    assert start <= wall < end
    assert period(limit(span, tz), start) == (start, end)
    assert period(limit(span, tz), end)[0] == end
    assert period(limit(span, tz), start - 0.001)[1] == start
    longest = 31 * DAY + 3_600 if span == "month" else SPANS[span] + 3_600
    assert end - start <= longest
