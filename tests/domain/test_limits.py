"""Counters: what is taken, when it comes back, and how they change on a reload."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.clock import Now
from freeroute.domain import limits, sliding
from freeroute.domain.buckets import Bucket
from freeroute.domain.calendars import Calendar
from freeroute.domain.catalogue import Limit, Unit, WindowKind
from freeroute.domain.counters import Counter
from freeroute.domain.limits import Concurrency, adapted, counter_for
from freeroute.domain.sliding import Sliding
from tests.support.clocks import EPOCH, ManualClock

MINUTE = 60.0
DAY = 86_400.0
GUARD = 0.5
START = Now(1_000.0, EPOCH)


def limit(
    amount: float, window: WindowKind = WindowKind.SLIDING, seconds: float = MINUTE, span: str = ""
) -> Limit:
    return Limit(Unit.REQUESTS, amount, seconds, window, span)


def every_window(amount: float) -> list[Counter]:
    kinds = [counter_for(limit(amount, kind), GUARD) for kind in WindowKind]
    return [*kinds, counter_for(Limit(Unit.CONCURRENCY, amount))]


def fits(counter: Counter, amount: float, now: Now) -> bool:
    return counter.fits_at(amount, now) == now.mono


@pytest.mark.parametrize("counter", every_window(5), ids=lambda c: type(c).__name__)
class TestEveryWindow:
    def test_no_call_took_less_than_nothing(self, counter):
        before = counter.used(START)
        counter.settle(counter.take(2, START), -3.0, START)
        assert counter.used(START) == before

    def test_more_than_the_limit_never_fits(self, counter):
        assert counter.fits_at(5, START) == START.mono
        assert counter.fits_at(6, START) == math.inf

    def test_taking_uses_settling_corrects_and_a_second_end_does_nothing(self, counter):
        slip = counter.take(2, START)
        counter.confirm(slip, START)
        assert counter.used(START) == 2
        counter.settle(slip, 0.0, START)
        counter.settle(slip, 5, START)
        counter.settle(slip, 0.0, START)
        assert counter.used(START) == 0

    def test_half_taken_leaves_half(self, counter):
        slip = counter.take(2.5, START)
        assert counter.left(START) == 0.5
        counter.settle(slip, 0.0, START)
        assert counter.left(START) == 1

    def test_nothing_fits_a_limit_of_zero(self, counter):
        nil = adapted(
            counter, Limit(counter.limit.unit, 0, counter.limit.seconds, counter.limit.window), START
        )
        assert nil.fits_at(0, START) == math.inf
        assert nil.left(START) == 0


class TestSliding:
    def test_a_slot_comes_back_one_window_after_the_guard(self):
        counter = Sliding(limit(1), GUARD)
        counter.take(1, START)
        back = START.mono + GUARD + MINUTE
        assert counter.fits_at(1, START) == back
        assert not fits(counter, 1, START.later(GUARD + MINUTE - 0.001))
        assert fits(counter, 1, START.later(GUARD + MINUTE))

    def test_an_answer_that_begins_within_the_guard_starts_the_window(self):
        counter = Sliding(limit(2), GUARD)
        first, second = counter.take(1, START), counter.take(1, START)
        counter.confirm(second, START.later(0.1))
        assert counter.fits_at(1, START.later(0.1)) == START.mono + 0.1 + MINUTE
        counter.confirm(first, START.later(30))
        assert counter.fits_at(2, START.later(30)) == START.mono + GUARD + MINUTE

    def test_a_call_that_goes_out_late_comes_back_as_much_later_unless_its_answer_tells(self):
        counter = Sliding(limit(2), GUARD)
        first, second = counter.take(1, START), counter.take(1, START)
        counter.sent(second, START.later(3))
        counter.sent(second, START.later(2))
        now = START.later(10)
        assert counter.fits_at(1, now) == START.mono + GUARD + MINUTE
        assert counter.fits_at(2, now) == START.mono + 3 + GUARD + MINUTE
        counter.confirm(second, START.later(3.1))
        assert counter.fits_at(2, now) == START.mono + 3.1 + MINUTE
        counter.settle(first, None, now)
        counter.sent(first, now)
        assert counter.fits_at(1, now) == START.mono + GUARD + MINUTE

    def test_a_call_longer_than_the_window_does_not_hold_its_slot(self):
        # The provider counted it when it arrived; a JSON answer's head comes after its last token.
        counter = Sliding(limit(1), GUARD)
        slip = counter.take(1, START)
        late = START.later(2 * MINUTE)
        assert fits(counter, 1, late)
        counter.confirm(slip, late)
        counter.settle(slip, 0, late)
        assert counter.used(late) == 0

    def test_a_guard_may_be_lengthened_while_running(self):
        counter = Sliding(limit(1), GUARD)
        counter.guard = 2.0
        counter.take(1, START)
        assert counter.fits_at(1, START) == START.mono + 2.0 + MINUTE

    def test_settling_to_more_counts_the_rest_from_then(self):
        counter = Sliding(limit(10), 0.0)
        slip = counter.take(4, START)
        end = START.later(30)
        counter.settle(slip, 12, end)
        assert counter.used(end) == 12
        assert counter.fits_at(1, end) == START.mono + MINUTE
        assert counter.fits_at(3, end) == end.mono + MINUTE
        assert counter.resets_in(end) == MINUTE

    def test_an_instant_from_before_the_last_one_brings_nothing_back_twice(self):
        counter = Sliding(limit(10), 0.0)
        slip, _ = counter.take(4, START), counter.take(1, START.later(30))
        assert counter.used(START.later(MINUTE)) == 1
        counter.settle(slip, 0, START.later(MINUTE - 1))
        assert counter.used(START.later(MINUTE)) == 1

    def test_nothing_taken_needs_no_time_to_reset(self):
        counter = Sliding(limit(10))
        counter.settle(counter.take(1, START), 0.0, START)
        assert counter.resets_in(START) == 0

    def test_what_was_given_back_is_not_waited_for(self):
        counter = Sliding(limit(10), 0.0)
        counter.take(4, START)
        counter.settle(counter.take(1, START.later(30)), 0.0, START.later(30))
        assert counter.resets_in(START.later(30)) == 30

    def test_fractions_that_do_not_add_up_exactly_still_fill_the_limit(self):
        counter = Sliding(limit(1.0), 0.0)
        for _ in range(10):
            assert fits(counter, 0.1, START)
            counter.take(0.1, START)
        assert counter.fits_at(0.1, START) == START.mono + MINUTE

    def test_many_calls_take_bounded_memory_and_come_back_late_by_a_grain_at_most(self):
        counter, clock = Sliding(limit(20_000), 0.0), ManualClock()
        under_way = counter.take(1, clock.now())
        sent = [counter.take(1, clock.advance(0.005)) for _ in range(2 * sliding.MERGE_AT)]
        times = [slip.mark for slip in sent]
        for slip in sent:
            counter.settle(slip, None, clock.now())
        for _ in range(2 * sliding.MERGE_AT):
            counter.settle(counter.take(1, clock.now()), None, clock.now())
        assert len([*counter._slips()]) <= sliding.MERGE_AT + 1
        in_a_grain = MINUTE / sliding.GRAINS / 0.005
        for count in (1_000, 1_007, 1_015):
            now = clock.advance(times[count - 1] - clock.now().mono)
            gone = 4 * sliding.MERGE_AT + 1 - counter.used(now)
            assert count - in_a_grain <= gone <= count + 1
        counter.settle(under_way, 0.0, clock.now())
        assert counter.used(clock.advance(MINUTE)) == 0

    def test_calls_under_way_are_not_merged(self, monkeypatch):
        monkeypatch.setattr(sliding, "MERGE_AT", 4)
        counter = Sliding(limit(100), 0.0)
        slips = [counter.take(1, START) for _ in range(12)]
        for slip in slips[:6]:
            counter.settle(slip, 0.0, START)
        assert counter.used(START) == 6


class TestBucket:
    def test_a_full_bucket_gives_all_at_once_and_refills_evenly(self):
        counter = Bucket(limit(30, WindowKind.BUCKET), 0.0)
        for _ in range(30):
            assert fits(counter, 1, START)
            counter.take(1, START)
        assert counter.fits_at(1, START) == START.mono + 2
        assert counter.fits_at(3, START) == START.mono + 6
        assert counter.used(START.later(20)) == 20
        assert counter.resets_in(START.later(20)) == 40
        assert counter.resets_in(START.later(90)) == 0

    def test_a_full_bucket_gains_nothing_while_a_call_is_on_its_way(self):
        counter = Bucket(limit(1, WindowKind.BUCKET), GUARD)
        counter.take(1, START)
        assert counter.fits_at(1, START) == START.mono + GUARD + MINUTE

    def test_calls_sent_together_share_one_pause_and_what_is_given_back_is_back_in_full(self):
        counter = Bucket(limit(2, WindowKind.BUCKET), GUARD)
        first, _ = counter.take(1, START), counter.take(1, START)
        counter.settle(first, 0.0, START)
        assert counter.used(START) == 1
        counter.take(1, START)
        assert counter.fits_at(1, START) == START.mono + GUARD + MINUTE / 2

    @given(st.permutations(range(4)), st.lists(st.floats(0, 3), min_size=4, max_size=4))
    def test_calls_that_were_never_sent_leave_no_debt_in_whatever_order_they_are_taken_back(
        self, order, amounts
    ):
        counter = Bucket(limit(12, WindowKind.BUCKET), GUARD)
        slips = [counter.take(amount, START) for amount in amounts]
        for number in order:
            counter.settle(slips[number], 0.0, START)
        assert counter.used(START) == pytest.approx(0.0, abs=1e-9)

    def test_settling_to_more_makes_a_debt(self):
        counter = Bucket(limit(10, WindowKind.BUCKET), 0.0)
        counter.settle(counter.take(10, START), 20, START)
        assert counter.used(START) == 20
        assert counter.left(START) == 0
        assert counter.fits_at(10, START) == START.mono + 2 * MINUTE

    def test_what_was_refilled_meanwhile_is_not_given_back_again(self):
        counter = Bucket(limit(60, WindowKind.BUCKET), 0.0)
        first, second = counter.take(10, START), counter.take(10, START)
        counter.take(10, START.later(15))
        # With smaller charges the bucket would have been full just before the third call.
        counter.settle(first, 0, START.later(15))
        counter.settle(second, 0, START.later(15))
        assert counter.used(START.later(15)) == 10

    def test_what_a_nearly_full_bucket_would_gain_while_a_call_is_on_its_way_is_not_counted(self):
        counter = Bucket(limit(60, WindowKind.BUCKET), GUARD)
        first = counter.take(10, START)
        counter.take(5, START.later(GUARD + 9.8))
        arrived = START.later(GUARD + 10.3)
        counter.settle(first, 0, arrived)
        assert counter.used(arrived) == pytest.approx(5)

    def test_a_bucket_without_refill_never_fills(self):
        counter = Bucket(limit(10, WindowKind.BUCKET), 0.0)
        counter.take(5, START)
        counter.resize(limit(0, WindowKind.BUCKET), START)
        assert counter.used(START.later(DAY)) == 5
        assert counter.resets_in(START) == math.inf


class TestCalendar:
    # START is 14:13:20 UTC; the next midnight is 35,200 s away.
    midnight = 35_200.0

    def day(self, amount: float) -> Calendar:
        return Calendar(limit(amount, WindowKind.CALENDAR, DAY, "day"))

    def test_the_quota_comes_back_at_midnight(self):
        counter = self.day(1)
        counter.settle(counter.take(1, START), None, START)
        assert counter.fits_at(1, START) == START.mono + self.midnight
        assert not fits(counter, 1, START.later(self.midnight - 0.001))
        assert fits(counter, 1, START.later(self.midnight))
        assert counter.resets_in(START.later(self.midnight)) == DAY

    def test_a_call_under_way_at_midnight_counts_in_both_days(self):
        counter = self.day(10)
        slip, gone = counter.take(4, START), counter.take(3, START)
        counter.settle(gone, None, START)
        tomorrow = START.later(self.midnight)
        assert counter.used(tomorrow) == 4
        counter.settle(slip, 5, tomorrow)
        assert counter.used(tomorrow) == 5

    def test_a_quota_is_ahead_of_its_clock_by_what_is_left_beyond_the_time_left(self):
        counter = self.day(10)
        counter.take(5, START)
        late = START.later(self.midnight - DAY / 4)
        assert counter.lead(late) == pytest.approx(0.25)
        assert Sliding(limit(10)).lead(START) == 1

    def test_a_call_that_ends_after_midnight_is_settled_in_the_new_day(self):
        counter = Calendar(limit(10, WindowKind.CALENDAR, DAY, "day"))
        counter.settle(counter.take(3, START), None, START)
        slip, tomorrow = counter.take(4, START), START.later(self.midnight)
        counter.settle(slip, 1, tomorrow)
        assert counter.used(tomorrow) == 1

    def test_no_more_is_given_back_than_there_is(self):
        counter = Calendar(limit(10, WindowKind.CALENDAR, DAY, "day"))
        slip = counter.take(4, START)
        counter.correct(1, START)
        counter.settle(slip, 0.0, START)
        assert counter.used(START) == 0

    def test_a_clock_set_back_over_midnight_does_not_free_the_quota_twice(self):
        counter = self.day(1)
        tomorrow = START.later(self.midnight)
        counter.settle(counter.take(1, tomorrow), None, tomorrow)
        set_back = Now(tomorrow.mono + 10, tomorrow.wall - 3_600)
        assert not fits(counter, 1, set_back)
        assert not fits(counter, 1, set_back.later(3_700))
        # Nor is anybody told to come at a midnight that does not count.
        assert counter.fits_at(1, set_back) == set_back.mono + 3_600 + DAY
        assert fits(counter, 1, set_back.later(3_600 + DAY))

    def test_a_clock_set_back_by_days_and_forward_again_frees_nothing(self):
        counter = self.day(1)
        counter.settle(counter.take(1, START), None, START)
        assert not fits(counter, 1, Now(START.mono + 1, START.wall - 5 * DAY))
        assert not fits(counter, 1, Now(START.mono + 2, START.wall - 4 * DAY))
        assert not fits(counter, 1, Now(START.mono + 3, START.wall))

    @pytest.mark.parametrize("ahead", [0.5, 1.0, 5.0])
    def test_a_day_that_was_come_to_by_a_clock_set_forward_is_still_to_come_once_it_is_set_back(self, ahead):
        counter = self.day(1)
        counter.settle(counter.take(1, START), None, START)
        early = Now(START.mono + 1, START.wall + ahead * DAY)
        counter.settle(counter.take(1, early), None, early)
        assert not fits(counter, 1, START.later(2))
        assert counter.fits_at(1, START.later(3)) == START.mono + self.midnight
        midnight = START.later(self.midnight)
        assert fits(counter, 1, midnight)
        counter.settle(counter.take(1, midnight), None, midnight)
        assert not fits(counter, 1, midnight.later(DAY - 1))
        assert fits(counter, 1, midnight.later(DAY))

    def test_a_clock_that_was_years_ahead_freezes_the_quota_for_two_periods_at_most(self):
        counter = self.day(1)
        ahead = Now(START.mono, START.wall + 1_000 * DAY)
        counter.settle(counter.take(1, ahead), None, ahead)
        days = [Now(START.mono + n * DAY, START.wall + n * DAY) for n in range(4)]
        assert [fits(counter, 1, day) for day in days] == [False, True, True, True]
        counter.settle(counter.take(1, days[3]), None, days[3])
        assert fits(counter, 1, days[3].later(self.midnight))

    def test_a_new_zone_keeps_what_is_taken_until_its_own_midnight(self):
        counter = self.day(2)
        counter.settle(counter.take(2, START), None, START)
        pacific = Limit(Unit.REQUESTS, 3, DAY, WindowKind.CALENDAR, "day", "America/Los_Angeles")
        assert adapted(counter, pacific, START) is counter
        assert fits(counter, 1, START)
        assert counter.fits_at(2, START) == START.mono + self.midnight + 7 * 3_600


class TestConcurrency:
    def test_a_slot_is_free_when_its_call_has_ended_however_it_ended(self):
        counter = Concurrency(Limit(Unit.CONCURRENCY, 1))
        slip = counter.take(1, START)
        assert counter.fits_at(1, START) == START.mono + limits.RELOOK
        assert counter.resets_in(START) == 0
        counter.settle(slip, 1, START)
        assert fits(counter, 1, START)


class TestReload:
    @pytest.mark.parametrize("kind", list(WindowKind))
    def test_a_changed_amount_keeps_what_is_taken(self, kind):
        counter = counter_for(limit(10, kind), 0.0)
        counter.take(6, START)
        assert adapted(counter, limit(8, kind), START) is counter
        assert counter.used(START) == 6
        assert fits(counter, 2, START)
        assert not fits(counter, 3, START)

    @pytest.mark.parametrize("new", list(WindowKind))
    @pytest.mark.parametrize("old", list(WindowKind))
    def test_a_changed_window_keeps_what_is_taken_even_by_calls_under_way(self, old, new):
        counter = counter_for(limit(10, old), 0.0)
        slip = counter.take(6, START)
        fresh = adapted(counter, limit(10, new, 3_600), START, 0.0)
        counter.settle(slip, 0.0, START)
        assert fresh is not counter
        assert fresh.used(START) == 6


@pytest.mark.parametrize("window", WindowKind)
def test_what_is_settled_as_less_than_nothing_took_nothing(window):
    counter = counter_for(Limit(Unit.TOKENS, 10, 60.0, window, "minute"), 0.0)
    now = Now(1_000.0, 1_790_000_000.0)
    counter.settle(counter.take(4.0, now), -1.0, now)
    counter.settle(counter.take(3.0, now), 3.0, now)
    assert (counter.used(now), counter.in_flight, counter.taken, counter.freed) == (3.0, 0.0, 7.0, 4.0)
