"""What refusals and answers show of a limit that nobody tells."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.clock import Now
from freeroute.domain.catalogue import Limit, Pool, Scope, Unit, WindowKind
from freeroute.domain.leases import Reading
from freeroute.domain.measuring import FLOOR, PATIENCE, UNKNOWN, Measure, pool_blamed
from freeroute.domain.outcome import Kind, Outcome

MINUTE = 60.0
START = Now(1_000.0, 1_790_000_000.0)
RESTED = START.later(PATIENCE * MINUTE)


def lowered(given: float, counted: float) -> Measure:
    measure = Measure(given)
    assert measure.refused(counted, MINUTE, START)
    return measure


class TestLevels:
    def test_the_level_is_what_was_counted_without_the_refused_call(self):
        assert lowered(30, 20).amount(START) == 20

    def test_a_refusal_under_the_limit_lowers_it_whatever_was_counted(self):
        measure = lowered(30, 20)
        assert measure.refused(20, MINUTE, START)
        assert measure.amount(START) == 19

    def test_a_refusal_far_below_the_limit_is_somebody_else_s_use(self):
        measure = Measure(30)
        assert not measure.refused(30 * FLOOR - 1, MINUTE, START)
        assert measure.amount(START) == 30

    def test_after_a_rest_one_step_more_is_tried_and_each_one_served_makes_room_for_the_next(self):
        measure = lowered(30, 20)
        assert measure.amount(RESTED.later(-0.1)) == 20
        assert measure.amount(RESTED) == 22
        measure.served(21, RESTED.mono, MINUTE, RESTED)
        assert measure.level == 20
        measure.served(22, RESTED.mono, MINUTE, RESTED)
        assert measure.amount(RESTED.later(MINUTE - 0.1)) == 22
        assert measure.amount(RESTED.later(MINUTE)) == 24

    def test_a_step_refused_goes_straight_back_and_rests_again(self):
        measure = lowered(30, 20)
        assert measure.refused(20, MINUTE, RESTED)
        assert measure.amount(RESTED) == 20
        assert measure.amount(RESTED.later(PATIENCE * MINUTE - 0.1)) == 20

    def test_an_answer_to_a_call_sent_before_the_step_proves_nothing(self):
        measure = lowered(30, 20)
        measure.served(25, START.mono - 1, MINUTE, START)
        assert measure.amount(START) == 20

    def test_the_given_limit_is_the_ceiling_and_the_end(self):
        measure = lowered(30, 29)
        assert measure.amount(RESTED) == 30
        assert not measure.is_over
        measure.served(30, RESTED.mono, MINUTE, RESTED)
        assert measure.is_over

    @given(
        given_limit=st.integers(1, 100),
        events=st.lists(st.tuples(st.booleans(), st.integers(0, 120), st.integers(0, 900)), max_size=30),
    )
    def test_a_level_stays_between_floor_and_ceiling(self, given_limit, events):
        measure, now = Measure(given_limit), START
        for is_served, number, seconds in events:
            now = now.later(seconds)
            if is_served:
                measure.served(min(number, measure.amount(now)), now.mono, MINUTE, now)
            else:
                measure.refused(number, MINUTE, now)
            assert max(1, FLOOR * given_limit) <= measure.amount(now) <= given_limit


class TestUnknown:
    def test_it_begins_with_one_call_and_every_answer_lets_one_more_go(self):
        measure = Measure.unknown()
        assert measure.width == 1
        assert measure.served(1, START.mono, MINUTE, START)
        assert measure.served(2, START.mono, MINUTE, START)
        assert (measure.width, measure.amount(START)) == (3, math.inf)

    def test_once_it_is_found_only_the_level_counts(self):
        measure = Measure.unknown()
        assert measure.refused(7, MINUTE, START)
        assert (measure.width, measure.amount(START)) == (math.inf, 7)
        assert not measure.served(7, START.mono, MINUTE, START)
        assert not measure.is_over

    def test_a_refusal_when_nothing_was_counted_is_not_about_the_minute_and_forgets_it(self):
        measure = Measure.unknown()
        measure.refused(7, MINUTE, START)
        assert not measure.refused(0, MINUTE, RESTED)
        assert (measure.width, measure.amount(RESTED)) == (1, math.inf)


class TestExcuses:
    def test_the_guard_is_blamed_once_within_two_windows(self):
        measure = Measure(30)
        assert measure.excuse(MINUTE, START)
        assert not measure.excuse(MINUTE, START.later(MINUTE))
        assert measure.excuse(MINUTE, START.later(2 * MINUTE))

    def test_a_limit_that_is_itself_a_guess_is_doubted_before_the_guard(self):
        assert not lowered(30, 20).excuse(MINUTE, START)


PER_MINUTE = Limit(Unit.REQUESTS, 30, MINUTE, span="minute")
TOKENS = Limit(Unit.TOKENS, 6_000, MINUTE, span="minute")
DAY = Limit(Unit.REQUESTS, 100, 86_400.0, WindowKind.CALENDAR, "day")
SECOND = Limit(Unit.REQUESTS, 2, 1.0, span="second")
MODEL = Limit(Unit.REQUESTS, 20, MINUTE, span="minute", scope=Scope.MODEL)


def blamed(*used: tuple[Limit, float], **said) -> Limit | None:
    readings = [
        Reading(Pool(f"p/{number}", limit), taken, limit.amount, 0.0)
        for number, (limit, taken) in enumerate(used)
    ]
    pool = pool_blamed(Outcome(Kind.RATE_LIMITED, 429, **said), readings)
    return pool.limit if pool is not None else None


class TestWhichPoolRefused:
    def test_it_is_the_fullest_short_one_of_requests(self):
        assert blamed((PER_MINUTE, 20), (DAY, 99), (TOKENS, 100)) == PER_MINUTE
        assert blamed((PER_MINUTE, 20), (MODEL, 19)) == MODEL
        assert blamed((PER_MINUTE, 20), (SECOND, 1)) == PER_MINUTE

    def test_tokens_are_estimates_and_their_limit_is_left_alone(self):
        assert blamed((PER_MINUTE, 3), (TOKENS, 5_900)) is None
        assert blamed((PER_MINUTE, 3), (TOKENS, 5_900), unit="requests") == PER_MINUTE

    @pytest.mark.parametrize(
        "said", [{"window": "day"}, {"window": "hour"}, {"unit": "tokens"}, {"retry_after": 600.0}]
    )
    def test_what_speaks_of_something_else_lowers_nothing(self, said):
        assert blamed((PER_MINUTE, 20), (DAY, 20), **said) is None

    def test_what_it_names_is_meant(self):
        assert blamed((PER_MINUTE, 20), (MODEL, 19), scope="account") == PER_MINUTE
        assert blamed((PER_MINUTE, 20), (MODEL, 1), scope="key") == PER_MINUTE
        hours = Limit(Unit.REQUESTS, 20, 600.0)
        assert blamed((PER_MINUTE, 1), (hours, 19), window="minute", retry_after=60.0) == PER_MINUTE

    def test_an_unknown_limit_is_likelier_than_one_with_room(self):
        assert blamed((UNKNOWN, 20), (TOKENS, 600)) == UNKNOWN
        assert blamed((UNKNOWN, 20), (TOKENS, 5_900)) is None

    def test_days_alone_are_never_blamed(self):
        assert blamed((DAY, 99)) is None
        assert blamed() is None
