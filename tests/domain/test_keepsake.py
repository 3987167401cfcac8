"""From one run to the next: counters go on where they were, whatever the clocks did meanwhile."""

import copy
import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.clock import Now
from freeroute.domain.catalogue import Limit, Unit, WindowKind
from freeroute.domain.counters import Counter, Slip
from freeroute.domain.guards import LONGEST, Guard
from freeroute.domain.keepsake import (
    LEARNED_FOR,
    KeptBucket,
    KeptPool,
    KeptSliding,
    Moment,
    Rebase,
    rebase,
    sound,
)
from freeroute.domain.limits import Concurrency, adapted, counter_for, restored
from freeroute.domain.measuring import Measure
from freeroute.domain.sliding import GRAINS
from tests.support.clocks import EPOCH, ManualClock

GUARD = 0.5
MINUTE = 60.0
DAY = 86_400.0
YEAR = 365 * DAY
BOOT = "boot"
LIMITS = [
    Limit(Unit.TOKENS, 50, MINUTE),
    Limit(Unit.TOKENS, 50, MINUTE, WindowKind.BUCKET),
    Limit(Unit.TOKENS, 50, DAY, WindowKind.CALENDAR, "day"),
]
SPANS = st.sampled_from([0.0, 0.25, 1.0, 7.5, 29.75, 60.0, 3_600.0, DAY / 2])
NOWHERE = Rebase(Now(1_000.0, EPOCH))


def kept(counter: Counter, now: Now) -> KeptPool:
    """Return what a file gives back of *counter*."""
    window = counter.kept(now)
    assert window is not None
    counter.note_peak()
    raw = msgspec.msgpack.encode(KeptPool(counter.limit, window, counter.peak, counter.raised))
    return msgspec.msgpack.decode(raw, type=KeptPool)


def at(clock: ManualClock) -> Moment:
    return Moment(BOOT, clock.now().mono, clock.now().wall)


def spent(limit: Limit, amount: float, clock: ManualClock) -> Counter:
    counter = counter_for(limit, GUARD)
    counter.settle(counter.take(amount, clock.now()), None, clock.now())
    return counter


def reborn(
    counter: Counter, clock: ManualClock, then: Now, boot: str = BOOT, *, lost: bool = False
) -> Counter:
    """Return what *counter* is in a run that begins at *then*, having been kept now."""
    return restored(kept(counter, clock.now()), rebase(at(clock), boot, then), GUARD, lost=lost)


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.window.value)
class TestEveryWindow:
    @given(
        calls=st.lists(st.tuples(SPANS, st.integers(0, 20), st.sampled_from(["open", "less", "all"]))),
        down=SPANS,
        rebooted=st.booleans(),
        amount=st.integers(1, 50),
    )
    def test_nothing_fits_sooner_than_it_would_have_and_nothing_much_later(
        self, limit, calls, down, rebooted, amount
    ):
        clock = ManualClock()
        counter = counter_for(limit, GUARD)
        for span, taken, ending in calls:
            clock.advance(span)
            slip = counter.take(taken, clock.now())
            if ending != "open":
                counter.settle(slip, taken / 2 if ending == "less" else None, clock.now())
        saved = clock.now()
        then = saved.later(down)
        there = Now(5.0, then.wall) if rebooted else then
        again = reborn(counter, clock, there, "another" if rebooted else BOOT)
        assert again.used(there) == pytest.approx(counter.used(then))
        before, after = counter.fits_at(amount, then) - then.mono, again.fits_at(amount, there) - there.mono
        if math.isinf(before):
            assert after == before
        else:
            # Sums of times of day are that fine.
            assert before - 1e-6 <= after <= before + 1e-6

    def test_a_machine_that_boots_with_its_clock_behind_frees_and_freezes_nothing(self, limit):
        clock = ManualClock()
        counter = spent(limit, 50, clock)
        there = Now(5.0, EPOCH - YEAR)
        again = reborn(counter, clock, there, "another")
        assert again.fits_at(1, there) > there.mono
        later = there.later(limit.seconds + GUARD)
        assert again.fits_at(50, later) == later.mono

    def test_a_clock_that_is_set_meanwhile_changes_only_calendars(self, limit):
        clock = ManualClock()
        counter = spent(limit, 50, clock)
        for jump in (-YEAR, YEAR):
            there = Now(clock.now().mono + 1, EPOCH + jump)
            again = reborn(counter, clock, there)
            free = limit.window is WindowKind.CALENDAR and jump > 0
            assert (again.fits_at(50, there) == there.mono) == free

    def test_a_monotonic_clock_that_went_back_is_not_believed_to_be_the_same(self, limit):
        clock = ManualClock()
        counter = spent(limit, 50, clock)
        there = Now(2.0, clock.now().wall + 2 * DAY)
        again = reborn(counter, clock, there)
        assert again.fits_at(50, there) == there.mono

    def test_a_crash_raises_it_by_the_most_that_was_taken_between_two_savings_and_once(self, limit):
        clock = ManualClock()
        counter = counter_for(limit, GUARD)
        for amount in (3, 7, 2):
            counter.settle(counter.take(amount, clock.now()), None, clock.now())
            kept(counter, clock.now())
        calm = reborn(counter, clock, clock.now())
        assert (calm.used(clock.now()), calm.peak) == (12, 7)
        crashed = reborn(counter, clock, clock.now(), lost=True)
        assert (crashed.used(clock.now()), crashed.peak) == (19, 7)
        again = reborn(crashed, clock, clock.now(), lost=True)
        assert again.used(clock.now()) == 19
        again.settle(again.take(1, clock.now()), None, clock.now())
        assert reborn(again, clock, clock.now(), lost=True).used(clock.now()) == 27

    def test_a_crash_raises_nothing_over_its_limit(self, limit):
        clock = ManualClock()
        assert reborn(spent(limit, 40, clock), clock, clock.now(), lost=True).used(clock.now()) == 50
        assert reborn(spent(limit, 60, clock), clock, clock.now(), lost=True).used(clock.now()) == 60

    def test_other_settings_apply_to_what_was_kept(self, limit):
        clock = ManualClock()
        again = reborn(spent(limit, 40, clock), clock, clock.now())
        for other in (*LIMITS, Limit(Unit.TOKENS, 80, 3_600.0)):
            changed = adapted(copy.deepcopy(again), other, clock.now(), GUARD)
            assert changed.used(clock.now()) == 40
            assert changed.peak == 40


def test_many_slips_are_kept_in_grains_that_come_back_a_little_late_and_never_early():
    clock = ManualClock()
    counter = counter_for(Limit(Unit.REQUESTS, 10_000, MINUTE), 0.0)
    for _ in range(3_000):
        counter.settle(counter.take(1, clock.now()), None, clock.now())
        clock.advance(MINUTE / 3_000)
    window = counter.kept(clock.now())
    assert isinstance(window, KeptSliding)
    assert len(window.slips) <= GRAINS + 1
    again = reborn(counter, clock, clock.now())
    for _ in range(100):
        now = clock.advance(0.6)
        late = again.used(now) - counter.used(now)
        assert 0 <= late <= 3_000 / GRAINS + 1


def test_what_lies_further_ahead_than_any_call_could_is_brought_back():
    sliding = KeptPool(LIMITS[0], KeptSliding([(1e9, 50.0)]))
    bucket = KeptPool(LIMITS[1], KeptBucket(50.0, 1e9))
    for found in (sliding, bucket):
        counter = restored(found, NOWHERE, GUARD)
        assert counter.resets_in(NOWHERE.now) == MINUTE + LONGEST * GUARD


def test_calls_under_way_at_a_stop_count_on_the_next_day_too_and_on_no_later_one():
    clock = ManualClock(wall=EPOCH - EPOCH % DAY - 5)
    counter = spent(LIMITS[2], 20, clock)
    counter.take(7, clock.now())
    assert reborn(counter, clock, clock.now()).used(clock.now()) == 27
    tomorrow, later = clock.now().later(10), clock.now().later(10 + DAY)
    assert reborn(counter, clock, tomorrow).used(tomorrow) == 7
    assert reborn(counter, clock, later).used(later) == 0


def test_a_calendar_that_was_never_used_is_kept_as_such():
    clock = ManualClock()
    again = reborn(counter_for(LIMITS[2]), clock, Now(1.0, EPOCH + YEAR), "another")
    assert again.used(Now(1.0, EPOCH + YEAR)) == 0


def test_concurrency_ends_with_the_process():
    clock = ManualClock()
    counter: Counter = Concurrency(Limit(Unit.CONCURRENCY, 2))
    assert isinstance(counter.take(1, clock.now()), Slip)
    assert counter.kept(clock.now()) is None


def test_measures_and_guards_go_on_in_the_next_run():
    now, later = Now(1_000.0, EPOCH), Now(5.0, EPOCH + 100)
    shifted = rebase(Moment(BOOT, now.mono, now.wall), "another", later)
    measure = Measure(30.0, against_told=True)
    assert measure.refused(20, MINUTE, now)
    again = Measure.restored(measure.kept(), shifted)
    assert again.amount(later) == 20
    assert again.against_told
    step = measure.step_at - now.mono - 100
    assert again.amount(later.later(step)) == 22 > again.amount(later.later(step - 1))
    guard = Guard(GUARD)
    guard.too_short(now)
    assert Guard.restored(GUARD, guard.kept(), shifted).seconds(later) == guard.seconds(now.later(100))


def test_lessons_are_believed_for_a_week():
    later = Rebase(Now(2_000.0 + LEARNED_FOR, EPOCH), 1_000.0)
    assert later.fresh(1_001.0)
    assert not later.fresh(999.0)


def test_an_unknown_boot_is_never_the_same():
    assert rebase(Moment("", 10.0, EPOCH), "", Now(20.0, EPOCH + 5)).shift == 5.0
    assert rebase(Moment(BOOT, 10.0, EPOCH), BOOT, Now(20.0, EPOCH + 5)).shift == 0.0


def test_infinity_is_kept():
    assert Rebase(Now(5.0, 5.0), -3.0).mono(math.inf) == math.inf
    assert Rebase(Now(5.0, 5.0), -3.0).mono(-math.inf) == -math.inf


@pytest.mark.parametrize("limit", LIMITS)
def test_what_counters_keep_is_sound(limit):
    counter, clock = counter_for(limit, GUARD), ManualClock()
    counter.settle(counter.take(5, clock.now()), 4.0, clock.advance(1.0))
    window = counter.kept(clock.now())
    assert window is not None
    assert sound(KeptPool(limit, window))


@pytest.mark.parametrize(
    "kept",
    [
        KeptPool(Limit(Unit.TOKENS, 50, 0.0), KeptBucket(1.0, 0.0)),
        KeptPool(Limit(Unit.TOKENS, 50, math.inf), KeptBucket(1.0, 0.0)),
        KeptPool(Limit(Unit.TOKENS, -1, MINUTE), KeptBucket(1.0, 0.0)),
        KeptPool(Limit(Unit.TOKENS, 50, MINUTE), KeptSliding([(1.0, 1.0), (2.0, math.nan)])),
    ],
)
def test_numbers_that_cannot_be_are_not_sound(kept):
    assert not sound(kept)
