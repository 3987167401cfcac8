"""How long a call may be under way before it is counted."""

import pytest

from freeroute.clock import Now
from freeroute.domain.guards import HALF_LIFE, LONGEST, SLOW, Guard

START = Now(1_000.0, 1_790_000_000.0)
ORDINARY = 0.5


def test_a_guard_that_proved_too_short_doubles_within_bounds_and_comes_slowly_back():
    guard = Guard(ORDINARY)
    guard.too_short(START)
    assert guard.seconds(START) == 1.0
    assert guard.seconds(START.later(HALF_LIFE)) == 0.75
    for _ in range(9):
        guard.too_short(START)
    assert guard.seconds(START) == LONGEST * ORDINARY
    assert guard.seconds(START.later(30 * HALF_LIFE)) == pytest.approx(ORDINARY)


def test_answers_that_all_begin_late_lengthen_it_a_little():
    guard = Guard(ORDINARY)
    for seconds in (3.0, 0.7, 5.0):
        guard.answered(seconds)
    assert guard.seconds(START) == SLOW * ORDINARY
    guard.answered(0.1)
    assert guard.seconds(START) == ORDINARY


def test_quick_answers_never_shorten_it():
    guard = Guard(ORDINARY)
    guard.answered(0.001)
    assert guard.seconds(START) == ORDINARY
