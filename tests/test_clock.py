"""The wall clock as the gateway believes it: whoever sets it frees no quota and freezes none."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.clock import LOOKS, SLEW, STAYS, Now, SteadyWall, SystemClock, worked
from freeroute.domain.calendars import Calendar
from freeroute.domain.catalogue import Limit, Unit, WindowKind
from tests.support.clocks import EPOCH, ManualClock

MINUTE = Limit(Unit.REQUESTS, 5, 60.0, WindowKind.CALENDAR, "minute")
JUMPS = st.floats(-1e7, 1e7) | st.sampled_from([-3_600.0, -70.0, -61.0, -2.0, 2.0, 61.0, 70.0, 86_400.0])


class DoubtfulClock:
    """A manual clock whose wall is believed as the system's is; *true* is right, whatever is set."""

    def __init__(self) -> None:
        self.true = ManualClock()
        self.error = 0.0
        self._wall = SteadyWall()
        self.now()

    def now(self) -> Now:
        true = self.true.now()
        return Now(true.mono, self._wall.read(true.mono, true.wall + self.error))


@given(st.lists(st.tuples(JUMPS, st.floats(0, STAYS - 1.0), st.floats(0, 200.0))))
def test_a_jump_that_is_taken_back_is_never_seen(jumps):
    clock = DoubtfulClock()
    for error, lasts, right in jumps:
        for clock.error, passes in ((error, lasts), (0.0, right)):
            assert clock.now().wall == pytest.approx(clock.true.now().wall, abs=SLEW)
            clock.true.advance(passes)
            assert clock.now().wall == pytest.approx(clock.true.now().wall, abs=SLEW)


@given(JUMPS, st.floats(0, 5.0))
def test_a_jump_that_stays_is_believed_after_a_minute(error, between):
    clock = DoubtfulClock()
    clock.error = error
    before = clock.now().wall
    clock.true.advance(STAYS - 0.001)
    assert clock.now().wall == pytest.approx(before + STAYS, abs=SLEW)
    clock.true.advance(0.002)
    assert clock.now().wall == pytest.approx(clock.true.now().wall + error, abs=1e-3)
    clock.true.advance(between)
    assert clock.now().wall == pytest.approx(clock.true.now().wall + error, abs=1e-3)


def test_a_clock_that_jumps_again_is_doubted_anew():
    clock = DoubtfulClock()
    for clock.error in (100.0, 200.0, 300.0):
        assert clock.now().wall == pytest.approx(clock.true.now().wall)
        clock.true.advance(STAYS - 1.0)
        assert clock.now().wall == pytest.approx(clock.true.now().wall)
    clock.true.advance(1.0)
    assert clock.now().wall == pytest.approx(clock.true.now().wall + 300.0)


def test_a_clock_that_is_slewed_is_followed_at_once():
    clock = DoubtfulClock()
    for _ in range(100):
        clock.true.advance(1.0)
        clock.error += 0.05
        assert clock.now().wall == clock.true.now().wall + clock.error


@given(
    st.lists(st.tuples(JUMPS, st.floats(0, STAYS - 1.0), st.floats(0, 90.0), st.integers(1, 6)), max_size=20)
)
def test_no_jump_that_is_taken_back_frees_or_freezes_a_calendar(jumps):
    clock, counter = DoubtfulClock(), Calendar(MINUTE)
    judge = Calendar(MINUTE)  # goes by the true clock
    for error, lasts, right, calls in jumps:
        for clock.error, passes in ((error, lasts), (0.0, right)):
            for _ in range(calls):
                fits = counter.fits_at(1, clock.now()) == clock.now().mono
                assert fits == (judge.fits_at(1, clock.true.now()) == clock.true.now().mono)
                if fits:
                    for one, now in ((counter, clock.now()), (judge, clock.true.now())):
                        one.settle(one.take(1, now), None, now)
            # Between two readings of a boundary both clocks read alike only to a fraction of a microsecond.
            clock.true.advance(round(passes) + 0.5 - (clock.true.now().wall - EPOCH) % 1.0)


@given(st.lists(st.tuples(st.floats(-SLEW / 2, SLEW / 2), st.floats(0, 2 * LOOKS), st.integers(1, 5))))
def test_the_systems_clocks_agree_with_it_but_for_the_last_second_of_the_wall(steps):
    true, error, told = ManualClock(), [0.0], []

    def wall() -> float:
        told.append(true.now().mono)
        return true.now().wall + error[0]

    clock = SystemClock(lambda: true.now().mono, wall)
    assert clock.now() == true.now()
    for error[0], passes, times in steps:
        for _ in range(times):
            true.advance(passes)
            now = clock.now()
            assert now.mono == true.now().mono
            assert now.wall == pytest.approx(true.now().wall, abs=SLEW)
        true.advance(LOOKS)
        assert clock.now().wall == pytest.approx(true.now().wall + error[0], abs=1e-6)
    assert all(later - earlier > LOOKS - 1e-6 for earlier, later in pairwise(told))


def test_a_jump_of_the_systems_wall_clock_is_believed_after_a_minute():
    true, error = ManualClock(), 0.0
    clock = SystemClock(lambda: true.now().mono, lambda: true.now().wall + error)
    clock.now()
    error = 3600.0
    for _ in range(int(STAYS)):
        true.advance(LOOKS)
        assert clock.now().wall == pytest.approx(true.now().wall)
    true.advance(LOOKS)
    assert clock.now().wall == pytest.approx(true.now().wall + error)


def test_the_systems_clocks_are_read():
    clock = SystemClock()
    first, second = clock.now(), clock.now()
    assert first.mono <= second.mono
    assert second.wall == pytest.approx(first.wall, abs=5.0)


def test_waiting_is_no_work():
    before = worked()
    assert worked() >= before
    sum(range(200_000))
    assert worked() > before
