"""Counters that are told what the provider counts: both directions, out of order, with calls under way."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.clock import Now
from freeroute.domain.buckets import Bucket
from freeroute.domain.calendars import SKEW, Calendar
from freeroute.domain.catalogue import Limit, Unit, WindowKind
from freeroute.domain.counters import Counter
from freeroute.domain.limits import Concurrency, counter_for
from freeroute.domain.sliding import Sliding
from tests.support.clocks import EPOCH

MINUTE = 60.0
DAY = 86_400.0
GUARD = 0.5
# In the middle of a day, so that no calendar turns by itself.
START = Now(1_000.0, EPOCH - EPOCH % DAY + DAY / 2)
LIMIT = 100


def counter(window: WindowKind, unit: Unit = Unit.REQUESTS, amount: float = LIMIT) -> Counter:
    if window is WindowKind.CALENDAR:
        return counter_for(Limit(unit, amount, DAY, window, "day"), GUARD)
    return counter_for(Limit(unit, amount, MINUTE, window), GUARD)


every_window = pytest.mark.parametrize("window", list(WindowKind))


@every_window
class TestEveryWindow:
    def test_what_others_took_is_counted_at_once(self, window):
        ours = counter(window)
        slip = ours.take(1, START)
        assert ours.learn(slip, 40, LIMIT, START)
        assert ours.used(START) == 40

    def test_what_the_provider_never_counted_is_given_back(self, window):
        ours = counter(window)
        for _ in range(30):
            ours.settle(ours.take(1, START), None, START)
        slip = ours.take(1, START.later(1))
        before = ours.used(START.later(1))
        ours.learn(slip, 4, LIMIT, START.later(1))
        # Half of a second's refill, at most, may be the provider's own doing.
        assert 4 <= ours.used(START.later(1)) <= 4 + 2 * (1 + GUARD) * LIMIT / MINUTE < before

    def test_what_agrees_changes_nothing(self, window):
        ours = counter(window)
        slips = [ours.take(1, START) for _ in range(5)]
        back = ours.resets_in(START)
        assert ours.learn(slips[-1], 5, LIMIT, START)
        assert (ours.used(START), ours.resets_in(START)) == (5, back)

    def test_calls_sent_after_the_one_that_is_answered_are_counted_too(self, window):
        ours = counter(window)
        first = ours.take(1, START)
        ours.take(1, START)
        ours.take(1, START)
        ours.learn(first, 60, LIMIT, START)
        assert 60 <= ours.used(START) <= 62  # the two were in the count, or come to it
        last = ours.take(1, START)
        ours.learn(last, 63, LIMIT, START)
        assert ours.used(START) == 63

    def test_an_answer_older_than_the_last_one_believed_is_ignored(self, window):
        ours = counter(window)
        older, newer = ours.take(1, START), ours.take(1, START.later(0.1))
        now = START.later(0.1)
        assert ours.learn(newer, 70, LIMIT, now)
        used = ours.used(now)
        assert not ours.learn(older, 20, 50, now)
        assert (ours.used(now), ours.limit.amount) == (used, LIMIT)

    def test_calls_under_way_stay_counted_whatever_is_told(self, window):
        ours = counter(window)
        slips = [ours.take(1, START) for _ in range(5)]
        ours.learn(slips[-1], 0, LIMIT, START)
        assert ours.used(START) == 5

    def test_the_limit_that_is_told_holds_at_once_in_both_directions(self, window):
        ours = counter(window)
        slip = ours.take(1, START)
        ours.learn(slip, 1, 20, START)
        assert (ours.limit.amount, ours.fits_at(21, START)) == (20, math.inf)
        ours.learn(slip, None, 300, START)
        assert (ours.limit.amount, ours.used(START)) == (300, 1)
        assert ours.fits_at(200, START) == START.mono

    def test_a_call_that_failed_is_compared_by_what_it_cost(self, window):
        ours = counter(window, Unit.TOKENS)
        slip = ours.take(50, START)
        ours.settle(slip, 0, START)
        ours.learn(slip, LIMIT, LIMIT, START)
        assert ours.used(START) == LIMIT
        cut = ours.take(0, START)
        ours.settle(cut, 8, START)
        used = ours.used(START)
        ours.learn(cut, used, LIMIT, START)
        assert ours.used(START) == used

    def test_an_estimate_is_left_to_settling_and_others_tokens_are_not(self, window):
        ours = counter(window, Unit.TOKENS)
        slip = ours.take(40, START)
        ours.learn(slip, 30, LIMIT, START)
        ours.learn(slip, 45, LIMIT, START)
        assert ours.used(START) == 40
        ours.learn(slip, 80, LIMIT, START)
        assert ours.used(START) == 80

    @given(
        charges=st.lists(
            st.tuples(st.integers(0, 20), st.booleans(), st.booleans()), min_size=1, max_size=12
        ),
        told=st.floats(0, 200),
        limit=st.floats(1, 200),
        seconds=st.floats(0, 2),
        answered=st.integers(0, 11),
    )
    def test_calls_just_sent_are_never_undercounted(self, window, charges, told, limit, seconds, answered):
        ours = counter(window, Unit.TOKENS)
        slips = []
        for amount, ends, counted in charges:
            slip = ours.take(amount, START)
            slips.append(slip)
            if ends:
                ours.settle(slip, None if counted else 0, START)
        now = START.later(seconds)
        before = ours.used(now)
        ours.learn(slips[answered % len(slips)], told, limit, now)
        under_way = sum(slip.amount for slip in slips if slip.open)
        assert ours.used(now) >= min(before, under_way) - 1e-6
        # Once all has ended, nothing but what was told or settled is left.
        for slip in slips:
            ours.settle(slip, 0, now)
        assert ours.used(now) >= 0


class TestSliding:
    def test_what_others_took_comes_back_when_the_answer_says_or_after_the_window(self):
        ours = Sliding(Limit(Unit.REQUESTS, 10, MINUTE), GUARD)
        ours.settle(ours.take(1, START), None, START)
        told = ours.take(1, START)
        ours.learn(told, 10, 10, START, back_in=20.0)
        assert ours.fits_at(1, START) == START.mono + 20
        assert ours.used(START.later(20)) == 2
        again = ours.take(1, START.later(20))
        ours.learn(again, 10, 10, START.later(20))
        assert ours.fits_at(8, START.later(20)) == START.mono + 20 + MINUTE

    def test_what_was_too_much_goes_oldest_first(self):
        ours = Sliding(Limit(Unit.REQUESTS, 10, MINUTE), 0.0)
        ours.settle(ours.take(4, START), None, START)
        ours.settle(ours.take(4, START.later(10)), None, START.later(10))
        now = START.later(30)
        ours.learn(ours.take(1, now), 4, 10, now)
        assert ours.used(now) == 4
        assert ours.used(START.later(MINUTE)) == 4
        assert ours.used(START.later(MINUTE + 10)) == 1

    def test_a_slot_that_may_be_free_there_is_no_contradiction(self):
        ours = Sliding(Limit(Unit.REQUESTS, 10, MINUTE), GUARD)
        ours.settle(ours.take(3, START), None, START)
        late = START.later(MINUTE + GUARD / 2)  # theirs are back, ours are kept for the guard
        ours.learn(ours.take(1, late), 1, 10, late)
        assert ours.used(late) == 4
        assert ours.used(late.later(GUARD)) == 1

    def test_what_came_back_between_the_sending_and_the_answer_stays_back(self):
        ours = Sliding(Limit(Unit.REQUESTS, 10, MINUTE), 0.0)
        ours.settle(ours.take(3, START), None, START)
        slip = ours.take(1, START.later(MINUTE - 1))
        answered = START.later(MINUTE + 1)
        ours.learn(slip, 4, 10, answered)
        assert ours.used(answered) == 1


class TestBucket:
    def test_whole_numbers_and_a_refill_on_the_way_are_no_contradiction(self):
        ours = Bucket(Limit(Unit.REQUESTS, 60, MINUTE, WindowKind.BUCKET), 0.0)
        slip = ours.take(10, START)
        ours.learn(slip, 11, 60, START.later(0.5))
        assert ours.used(START.later(0.5)) == 9.5
        ours.learn(slip, 10, 60, START.later(1.0))
        assert ours.used(START.later(1.0)) == 9

    def test_an_emptied_bucket_refills_from_then(self):
        ours = Bucket(Limit(Unit.REQUESTS, 60, MINUTE, WindowKind.BUCKET), 0.0)
        ours.learn(ours.take(1, START), 60, 60, START)
        assert ours.fits_at(1, START) == START.mono + 1
        assert ours.resets_in(START) == MINUTE

    def test_dollars_are_told_exactly(self):
        ours = Bucket(Limit(Unit.USD, 60, MINUTE, WindowKind.BUCKET), 0.0)
        slip = ours.take(1, START)
        ours.settle(slip, None, START)
        ours.learn(slip, 1.5, 60, START)
        assert ours.used(START) == 1.5


class TestCalendar:
    midnight = Now(START.mono + DAY / 2, START.wall + DAY / 2)

    def test_around_a_reset_nobody_knows_which_day_was_counted(self):
        ours = counter(WindowKind.CALENDAR)
        before = ours.take(1, self.midnight.later(-1))
        assert not ours.learn(before, LIMIT, LIMIT, self.midnight.later(1))
        soon = ours.take(1, self.midnight.later(SKEW - 1))
        assert not ours.learn(soon, LIMIT, LIMIT, self.midnight.later(SKEW))
        assert ours.used(self.midnight.later(SKEW)) == 2
        later = self.midnight.later(SKEW)
        assert ours.learn(ours.take(1, later), LIMIT, LIMIT, later)
        assert ours.used(later) == LIMIT
        assert ours.used(self.midnight.later(DAY)) == 3  # calls under way count in both days

    def test_a_counter_that_is_new_believes_its_first_answer(self):
        ours = Calendar(Limit(Unit.REQUESTS, LIMIT, DAY, WindowKind.CALENDAR, "day"))
        assert ours.learn(ours.take(1, START), LIMIT, LIMIT, START)
        assert ours.fits_at(1, START) == START.mono + DAY / 2


def test_of_calls_under_way_only_the_limit_is_learned():
    ours = Concurrency(Limit(Unit.CONCURRENCY, 4))
    slip = ours.take(1, START)
    ours.learn(slip, 4, 2, START)
    assert (ours.used(START), ours.limit.amount) == (1, 2)
    ours.settle(ours.take(1, START), None, START)
    ours.learn(slip, 0, 2, START)
    assert ours.used(START) == 1


class TestJudgedCalls:
    """What a refused call says is compared with what was counted when it was judged."""

    def test_what_came_back_while_it_was_under_way_was_counted_beside_it(self):
        ours = Sliding(Limit(Unit.REQUESTS, 10, MINUTE), 0.0)
        ours.settle(ours.take(3, START), None, START)
        ours.settle(ours.take(2, START.later(10)), None, START.later(10))
        refused = ours.take(1, START.later(MINUTE - 0.1))
        answered = START.later(MINUTE + 0.1)
        ours.settle(refused, 0.0, answered)
        assert ours.counted_beside(refused, answered) == 5

    def test_a_refused_call_that_counts_is_not_beside_itself(self):
        ours = counter(WindowKind.BUCKET)
        ours.take(4, START)
        refused = ours.take(1, START)
        ours.settle(refused, None, START)
        assert ours.counted_beside(refused, START) == 4
        assert not ours.was_tight(refused, 2.0)

    def test_a_call_is_tight_if_it_needed_a_slot_that_came_back_a_moment_ago_by_guess(self):
        ours = Sliding(Limit(Unit.REQUESTS, 2, MINUTE), GUARD)
        sure = ours.take(1, START)
        ours.take(1, START)
        ours.confirm(sure, START.later(0.1))
        assert not ours.was_tight(ours.take(1, START.later(MINUTE + 0.2)), 2.0)
        assert ours.was_tight(ours.take(1, START.later(MINUTE + GUARD)), 2.0)
        late = START.later(3 * MINUTE)
        assert not ours.was_tight(ours.take(1, late), 2.0)

    def test_a_longer_guard_takes_back_what_came_back_too_early(self):
        ours = Sliding(Limit(Unit.REQUESTS, 2, MINUTE), GUARD)
        for _ in range(2):
            ours.settle(ours.take(1, START), None, START)
        now = START.later(MINUTE + GUARD)
        assert (ours.used(now), ours.in_flight) == (0, 0)
        ours.lengthen(2 * GUARD, now)
        assert ours.used(now) == 2
        assert ours.fits_at(1, now) == START.mono + MINUTE + 2 * GUARD
        assert ours.used(START.later(MINUTE + 2 * GUARD)) == 0
        again = ours.take(1, now)
        assert again.mark == now.mono + MINUTE + 2 * GUARD

    def test_a_longer_guard_leaves_alone_what_is_sure(self):
        ours = Sliding(Limit(Unit.REQUESTS, 2, MINUTE), GUARD)
        sure = ours.take(1, START)
        ours.confirm(sure, START.later(0.1))
        ours.lengthen(2 * GUARD, START.later(1))
        assert ours.resets_in(START.later(1)) == pytest.approx(MINUTE - 0.9)

    def test_other_windows_take_a_longer_guard_as_it_comes(self):
        ours = counter(WindowKind.BUCKET)
        ours.lengthen(2.0, START)
        assert ours.guard == 2.0
