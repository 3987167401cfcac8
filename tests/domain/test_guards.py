"""How long a call may be under way before it is counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.clock import Now
from freeroute.domain.guards import HALF_LIFE, LONGEST, SLOW, Guard
from freeroute.domain.keepsake import Rebase

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


def test_answers_that_all_begin_late_lengthen_it_to_half_of_the_fastest():
    guard = Guard(ORDINARY)
    for seconds in (3.0, 1.2, 1.3):
        guard.answered(seconds)
    assert guard.seconds(START) == pytest.approx(0.605)
    guard.answered(0.9)
    assert guard.seconds(START) == ORDINARY


def test_it_is_believed_within_bounds_only_that_the_line_is_slow():
    guard = Guard(ORDINARY)
    guard.answered(9.0)
    assert guard.seconds(START) == SLOW * ORDINARY


def test_quick_answers_never_shorten_it():
    guard = Guard(ORDINARY)
    guard.answered(0.001)
    assert guard.seconds(START) == ORDINARY


@given(st.lists(st.just("refused") | st.just("restarted") | st.floats(0.001, 3.0), max_size=12))
def test_a_guard_that_has_not_moved_was_always_ordinary(what):
    guard, now, always = Guard(ORDINARY), START, True
    for one in what:
        now = now.later(1.0)
        if one == "refused":
            guard.too_short(now)
        elif one == "restarted":  # when all counters begin with the ordinary one anew
            guard, always = Guard.restored(ORDINARY, guard.kept(), Rebase(now)), True
        else:
            guard.answered(one)
        always = always and guard.seconds(now) == ORDINARY
        assert guard.moved or always
