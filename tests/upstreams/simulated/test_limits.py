"""The judge's own counting."""

import math
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.clock import Now
from freeroute.upstreams.simulated.limits import Ledger, Meter, Rule
from tests.support.clocks import ManualClock

START = Now(1_000.0, 1_790_000_000.0)

# Quarters of a second add up without rounding.
pauses = st.integers(0, 160).map(lambda quarters: quarters / 4)
steps = st.lists(st.tuples(pauses, st.integers(1, 6)), max_size=60)
kinds = st.sampled_from(["sliding", "bucket", "calendar"])


def admitted(rule: Rule, walk: list[tuple[float, int]]) -> list[tuple[Now, int]]:
    """Try to take each amount after each pause; return what was let in, and when."""
    ledger, now, taken = Ledger(), START, []
    for pause, amount in walk:
        now = now.later(pause)
        costs = {"requests": float(amount)}
        if ledger.refusal([rule], "m", costs, now) is None:
            ledger.charge([rule], "m", costs, now)
            taken.append((now, amount))
    return taken


@given(steps)
def test_no_sliding_minute_ever_holds_more_than_the_limit(walk):
    taken = admitted(Rule("requests", 10, "minute"), walk)
    for end, _ in taken:
        inside = sum(amount for at, amount in taken if end.mono - 60 < at.mono <= end.mono)
        assert inside <= 10


@given(steps)
def test_a_bucket_gives_its_content_plus_what_flows_in(walk):
    taken = admitted(Rule("requests", 10, "minute", "bucket"), walk)
    for first, _ in taken:
        for last, _ in taken:
            if last.mono >= first.mono:
                inside = sum(amount for at, amount in taken if first.mono <= at.mono <= last.mono)
                assert inside <= 10 + (last.mono - first.mono) / 6 + 1e-3


@given(kinds, steps, st.integers(1, 10))
def test_what_was_refused_fits_exactly_when_it_was_said_to(kind, walk, amount):
    rule = Rule("requests", 10, "minute" if kind != "calendar" else "day", kind)
    ledger, now = Ledger(), START
    for pause, cost in walk:
        now = now.later(pause)
        if ledger.refusal([rule], "m", {"requests": cost}, now) is None:
            ledger.charge([rule], "m", {"requests": cost}, now)
    refusal = ledger.refusal([rule], "m", {"requests": amount}, now)
    if refusal is not None:
        assert 0 < refusal.wait < math.inf
        assert ledger.refusal([rule], "m", {"requests": amount}, now.later(refusal.wait + 1e-3)) is None


@given(st.floats(1_700_000_000, 1_900_000_000), st.sampled_from(["America/Los_Angeles", "UTC"]))
def test_a_calendar_day_ends_at_the_next_local_midnight(wall, zone):
    rule = Rule("requests", 10, "day", "calendar", zone)
    left = Ledger().window(rule, "m").reset(Now(0.0, wall))
    turn = datetime.fromtimestamp(wall + left, ZoneInfo(zone))
    assert 0 < left <= 25 * 3600
    assert round(turn.hour * 3600 + turn.minute * 60 + turn.second + turn.microsecond / 1e6) % 86400 == 0


def test_a_month_ends_on_the_first_of_the_next():
    rule = Rule("tokens", 10, "month", "calendar")
    left = Ledger().window(rule, "m").reset(START)
    assert (
        datetime.fromtimestamp(START.wall + left, ZoneInfo("UTC")).isoformat() == "2026-10-01T00:00:00+00:00"
    )


@pytest.mark.parametrize("kind", ["sliding", "bucket", "calendar"])
def test_settling_leaves_what_was_really_used(kind):
    rule = Rule("tokens", 1000, "day", kind)
    ledger, clock = Ledger(), ManualClock()
    charge = ledger.charge([rule], "m", {"tokens": 900}, clock.now())
    charge.settle({"tokens": 200}, clock.now())
    assert ledger.window(rule, "m").used(clock.now()) == 200


@pytest.mark.parametrize("kind", ["sliding", "calendar"])
def test_a_charge_that_is_forgotten_already_cannot_be_settled(kind):
    rule = Rule("tokens", 1000, "day", kind)
    ledger, clock = Ledger(), ManualClock()
    charge = ledger.charge([rule], "m", {"tokens": 900}, clock.now())
    clock.advance(86400)
    ledger.charge([rule], "m", {"tokens": 50}, clock.now())
    charge.settle({"tokens": 100}, clock.now())
    assert ledger.window(rule, "m").used(clock.now()) == 50


def test_models_are_counted_apart_unless_the_rule_is_for_the_account():
    own, shared = Rule("requests", 1, "minute"), Rule("requests", 1, "minute", account_wide=True)
    ledger = Ledger()
    ledger.charge([own, shared], "a", {"requests": 1}, START)
    assert ledger.refusal([own], "b", {"requests": 1}, START) is None
    refused = ledger.refusal([shared], "b", {"requests": 1}, START)
    assert refused is not None
    assert refused.rule == shared


def test_the_longest_wait_is_the_one_named():
    minute, day = Rule("requests", 1, "minute"), Rule("requests", 1, "day", "calendar")
    ledger = Ledger()
    ledger.charge([minute, day], "m", {"requests": 1}, START)
    refused = ledger.refusal([minute, day], "m", {"requests": 1}, START)
    assert refused is not None
    assert refused.rule == day


@pytest.mark.parametrize("kind", ["sliding", "bucket", "calendar"])
def test_what_is_larger_than_the_limit_never_fits(kind):
    refused = Ledger().refusal([Rule("tokens", 10, "day", kind)], "m", {"tokens": 11}, START)
    assert refused is not None
    assert refused.wait == math.inf


def test_a_meter_never_shows_less_than_nothing():
    rule = Rule("tokens", 10, "minute", "bucket")
    ledger = Ledger()
    ledger.charge([rule], "m", {"tokens": 30}, START)
    assert Meter(ledger, [rule], "m", START).remaining(rule) == 0
